"""Keeps what an organization wants kept of its model calls, and what is made unreadable in it."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    """One column; nothing is kept until somebody says so."""

    dependencies = [("store", "0011_model_limits")]
    operations = [migrations.AddField("OrganizationSettings", "capture", models.JSONField(db_default={}))]
