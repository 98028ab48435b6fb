"""The first schema: DDL in `m0001/*.sql`, models' state beside it so that Django knows what stands there."""

from __future__ import annotations

from django.db import migrations

from aos.store.migrations.m0001.state import OPERATIONS
from aos.store.schema_files import run_files


class Migration(migrations.Migration):
    """Tables, partitions and row-level security; who may do what follows from `rights.sql`."""

    initial = True
    dependencies: list[tuple[str, str]] = []
    operations = [
        migrations.SeparateDatabaseAndState(database_operations=[run_files("m0001")], state_operations=OPERATIONS)
    ]
