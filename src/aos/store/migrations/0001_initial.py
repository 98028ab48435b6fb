"""The first schema: DDL in `m0001/*.sql`, models' state beside it so that Django knows what stands there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from django.db import migrations

from aos.store.role_names import role_names

SOURCE = Path(__file__).parent / "m0001"


def run_sql(apps: Any, schema_editor: Any) -> None:
    """Run the files in order, with this database's role names in place of `{app}` and `{machine}`."""
    connection = schema_editor.connection
    with connection.cursor() as cursor:
        cursor.execute("select oid::int from pg_database where datname = current_database()")
        names = role_names(cursor.fetchone()[0])
        for file in sorted(SOURCE.glob("*.sql")):
            text = re.sub(r"\{(app|machine)\}", lambda found: getattr(names, found[1]), file.read_text("utf-8"))
            cursor.execute(text)


class Migration(migrations.Migration):
    """Tables, partitions, row policies and rights."""

    initial = True
    dependencies: list[tuple[str, str]] = []
    operations = [migrations.RunPython(run_sql, migrations.RunPython.noop, elidable=False)]
