"""Keeps with an archived task what it came after, so that the graph of its run is drawn as before."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import migrations, models


class Migration(migrations.Migration):
    """One column of archived tasks alone; what was archived before has lost its edges, and has none here."""

    dependencies = [("store", "0006_limited_acts")]
    operations = [
        migrations.AddField("TaskFinished", "after_ids", ArrayField(models.UUIDField(), null=True)),
    ]
