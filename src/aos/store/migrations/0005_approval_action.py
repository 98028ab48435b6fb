"""Finds the approval of an act by the act: asked by whoever repeats one under its Idempotency-Key."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    """One index."""

    dependencies = [("store", "0004_approval_roles")]
    operations = [
        migrations.AddIndex("Approval", models.Index(fields=["organization_id", "action_id"], name="approval_action"))
    ]
