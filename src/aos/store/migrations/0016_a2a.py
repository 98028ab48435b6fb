"""A2A: what clients sent and who is told of it, and what was handed to agents elsewhere."""

from __future__ import annotations

from django.db import migrations

from aos.store.migrations.m0016.state import OPERATIONS
from aos.store.schema_files import run_files


class Migration(migrations.Migration):
    """Three tables, and one view."""

    dependencies = [("store", "0015_offered_tasks")]
    operations = [
        migrations.SeparateDatabaseAndState(database_operations=[run_files("m0016")], state_operations=OPERATIONS)
    ]
