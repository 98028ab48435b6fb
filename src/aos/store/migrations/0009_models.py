"""Models and purposes in versions, and the hosts that an organization's models may be reached at."""

from __future__ import annotations

from django.db import migrations

from aos.store.migrations.m0009.state import OPERATIONS
from aos.store.schema_files import run_files


class Migration(migrations.Migration):
    """Four tables, and one column with a default."""

    dependencies = [("store", "0008_run_trees")]
    operations = [
        migrations.SeparateDatabaseAndState(database_operations=[run_files("m0009")], state_operations=OPERATIONS)
    ]
