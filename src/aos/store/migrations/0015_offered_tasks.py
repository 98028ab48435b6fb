"""Finds the tasks that wait for the agent that fetches them, by the agent."""

from __future__ import annotations

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    """One index; a table without such tasks pays nothing for it."""

    dependencies = [("store", "0014_mcp_servers")]
    operations = [
        migrations.AddIndex(
            "Task",
            models.Index(
                fields=["organization_id", "agent_id", "-priority", "ready_at", "id"],
                name="task_offered",
                condition=Q(state="waiting", waits_for="work", paused=False),
            ),
        ),
    ]
