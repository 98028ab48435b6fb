"""DDL of a migration, kept as SQL files beside it: run in the order of their names, inside the migration's transaction."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.db import migrations

_FOLDER = Path(__file__).parent / "migrations"


def run_files(folder: str) -> migrations.RunPython:
    """Return the operation that runs a folder's SQL files; there is no way back: what was is restored from a backup."""

    def run(apps: Any, schema_editor: Any) -> None:
        with schema_editor.connection.cursor() as cursor:
            for file in sorted((_FOLDER / folder).glob("*.sql")):
                cursor.execute(file.read_text("utf-8"))

    return migrations.RunPython(run, migrations.RunPython.noop, elidable=False)
