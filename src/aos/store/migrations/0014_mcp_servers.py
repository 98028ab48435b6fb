"""MCP servers in versions, whose tools agents may call."""

from __future__ import annotations

from django.db import migrations

from aos.store.migrations.m0014.state import OPERATIONS
from aos.store.schema_files import run_files


class Migration(migrations.Migration):
    """Two tables."""

    dependencies = [("store", "0013_oauth")]
    operations = [
        migrations.SeparateDatabaseAndState(database_operations=[run_files("m0014")], state_operations=OPERATIONS)
    ]
