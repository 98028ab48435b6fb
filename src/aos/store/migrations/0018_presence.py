"""When agents outside were last here, which tools are held, and how often an MCP server was begun anew."""

from __future__ import annotations

from django.db import migrations

from aos.store.migrations.m0018.state import OPERATIONS
from aos.store.schema_files import run_files


class Migration(migrations.Migration):
    """Two tables, and one column of an older one."""

    dependencies = [("store", "0017_checkpoints")]
    operations = [
        migrations.SeparateDatabaseAndState(database_operations=[run_files("m0018")], state_operations=OPERATIONS)
    ]
