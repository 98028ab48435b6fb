"""Counts the open runs nested in a run by an index, in place of a counter that all of them would write."""

from __future__ import annotations

from django.db import migrations, models
from django.db.models import Q

from aos.store.schema_files import run_files


class Migration(migrations.Migration):
    """One column less, and one partial index."""

    dependencies = [("store", "0008_run_trees")]
    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[run_files("m0009")],
            state_operations=[
                migrations.RemoveField("Run", "nested_open"),
                migrations.AddIndex(
                    "Run",
                    models.Index(
                        fields=["organization_id", "root_run_id"],
                        name="run_root",
                        condition=Q(root_run_id__isnull=False, state__in=["running", "paused"]),
                    ),
                ),
            ],
        )
    ]
