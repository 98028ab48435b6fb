"""Turns, queues, timers and joins of tasks; signals, schedules and hooks; what a run came from."""

from __future__ import annotations

from django.db import migrations

from aos.store.migrations.m0003.state import OPERATIONS
from aos.store.schema_files import run_files


class Migration(migrations.Migration):
    """Columns with defaults and new tables: what stands goes on as before."""

    dependencies = [("store", "0002_credential_issuers")]
    operations = [
        migrations.SeparateDatabaseAndState(database_operations=[run_files("m0003")], state_operations=OPERATIONS)
    ]
