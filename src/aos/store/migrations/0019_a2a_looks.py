"""What looks at A2A tasks and at refusals cost."""

from __future__ import annotations

from django.db import migrations

from aos.store.migrations.m0019.state import OPERATIONS
from aos.store.schema_files import run_files


class Migration(migrations.Migration):
    """One column, three indexes and a view."""

    dependencies = [("store", "0018_presence")]
    operations = [
        migrations.SeparateDatabaseAndState(database_operations=[run_files("m0019")], state_operations=OPERATIONS)
    ]
