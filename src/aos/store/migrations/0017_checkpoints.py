"""Checkpoints of graphs, and spans found by their run."""

from __future__ import annotations

from django.db import migrations

from aos.store.migrations.m0017.state import OPERATIONS
from aos.store.schema_files import run_files


class Migration(migrations.Migration):
    """Two tables, and one index on an older one."""

    dependencies = [("store", "0016_a2a")]
    operations = [
        migrations.SeparateDatabaseAndState(database_operations=[run_files("m0017")], state_operations=OPERATIONS)
    ]
