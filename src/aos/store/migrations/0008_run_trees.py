"""Finds the open runs nested in a run, and keeps what schedules and undoing wait for in their own rows."""

from __future__ import annotations

from django.db import migrations, models
from django.db.models import Q

from aos.store.schema_files import run_files


class Migration(migrations.Migration):
    """Three columns and a partial index, filled in for what stands."""

    dependencies = [("store", "0007_archived_edges")]
    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[run_files("m0008")],
            state_operations=[
                migrations.AddField("Run", "root_run_id", models.UUIDField(null=True)),
                migrations.AddField("Run", "undo_error", models.TextField(null=True)),
                migrations.AddIndex(
                    "Run",
                    models.Index(
                        fields=["organization_id", "root_run_id"],
                        name="run_root",
                        condition=Q(root_run_id__isnull=False, state__in=["running", "paused"]),
                    ),
                ),
                migrations.AddField("Schedule", "asked_at", models.DateTimeField(null=True)),
            ],
        )
    ]
