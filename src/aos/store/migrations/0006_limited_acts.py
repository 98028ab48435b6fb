"""Marks the acts of tools with a limit, so that those under way are counted by an index that no other act enters."""

from __future__ import annotations

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    """One column and one partial index; no tool had a limit before."""

    dependencies = [("store", "0005_approval_action")]
    operations = [
        migrations.AddField("Action", "limited", models.BooleanField(db_default=False)),
        migrations.AddIndex(
            "Action",
            models.Index(
                fields=["organization_id", "tool_id"],
                name="action_limited",
                condition=Q(state="intended", limited=True),
            ),
        ),
    ]
