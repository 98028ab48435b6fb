"""What looks at A2A tasks and at refusals cost."""

from __future__ import annotations

from django.db import migrations

from aos.store.migrations.m0021.state import OPERATIONS
from aos.store.schema_files import run_files


class Migration(migrations.Migration):
    """One column, three indexes and a view."""

    dependencies = [("store", "0017_checkpoints")]
    operations = [
        migrations.SeparateDatabaseAndState(database_operations=[run_files("m0021")], state_operations=OPERATIONS)
    ]
