"""Lets an approval need a yes from several roles and keep each of them."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import migrations, models

from aos.store.schema_files import run_files


class Migration(migrations.Migration):
    """Two columns; what stands needs the one role that it asked for."""

    dependencies = [("store", "0003_workflows")]
    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[run_files("m0004")],
            state_operations=[
                migrations.AddField("Approval", "roles_left", ArrayField(models.TextField(), db_default=[])),
                migrations.AddField("Approval", "answers", models.JSONField(db_default=[])),
            ],
        )
    ]
