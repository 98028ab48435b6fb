"""The first schema: DDL in `m0001/*.sql`, models' state beside it so that Django knows what stands there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.db import migrations

from aos.store.migrations.m0001.state import OPERATIONS

SOURCE = Path(__file__).parent / "m0001"


def run_sql(apps: Any, schema_editor: Any) -> None:
    """Run the files in order."""
    with schema_editor.connection.cursor() as cursor:
        for file in sorted(SOURCE.glob("*.sql")):
            cursor.execute(file.read_text("utf-8"))


class Migration(migrations.Migration):
    """Tables, partitions and row-level security; who may do what follows from `rights.sql`."""

    initial = True
    dependencies: list[tuple[str, str]] = []
    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(run_sql, migrations.RunPython.noop, elidable=False)],
            state_operations=OPERATIONS,
        )
    ]
