"""Indexes that the planner does not mistake for a key, and tables that it does not mistake for small ones."""

from __future__ import annotations

from django.db import migrations

from aos.store.migrations.m0020.state import OPERATIONS
from aos.store.schema_files import run_files


class Migration(migrations.Migration):
    """Seven indexes are built again: `action`'s take a while where it is large, and who writes waits meanwhile."""

    dependencies = [("store", "0019_a2a_looks")]
    operations = [
        migrations.SeparateDatabaseAndState(database_operations=[run_files("m0020")], state_operations=OPERATIONS)
    ]
