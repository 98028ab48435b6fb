"""Counts the open runs nested in a run, and keeps what schedules and undoing wait for in their own rows."""

from __future__ import annotations

from django.db import migrations, models

from aos.store.schema_files import run_files


class Migration(migrations.Migration):
    """Four columns, filled in for what stands."""

    dependencies = [("store", "0007_archived_edges")]
    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[run_files("m0008")],
            state_operations=[
                migrations.AddField("Run", "root_run_id", models.UUIDField(null=True)),
                migrations.AddField("Run", "nested_open", models.IntegerField(db_default=0)),
                migrations.AddField("Run", "undo_error", models.TextField(null=True)),
                migrations.AddField("Schedule", "asked_at", models.DateTimeField(null=True)),
            ],
        )
    ]
