"""Access tokens: their signing keys, the assertions that clients have used, and agents found by id or name alone."""

from __future__ import annotations

from django.db import migrations

from aos.store.migrations.m0013.state import OPERATIONS
from aos.store.schema_files import run_files


class Migration(migrations.Migration):
    """One table, two indexes, and one check that allows a further purpose."""

    dependencies = [("store", "0012_capture")]
    operations = [
        migrations.SeparateDatabaseAndState(database_operations=[run_files("m0013")], state_operations=OPERATIONS)
    ]
