"""The models as this migration left them: generated, frozen, and compared with nothing but later migrations."""

from __future__ import annotations

from django.db import migrations, models

import aos.store.models.database


def _key(*names: str) -> models.CompositePrimaryKey:
    return models.CompositePrimaryKey(*names, blank=True, editable=False, primary_key=True, serialize=False)


OPERATIONS = [
    migrations.CreateModel(
        name="AgentPresence",
        fields=[
            ("pk", _key("organization_id", "agent_id")),
            ("organization_id", models.UUIDField()),
            ("agent_id", models.UUIDField()),
            ("first_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
            ("last_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
        ],
        options={"db_table": "agent_presence"},
    ),
    migrations.CreateModel(
        name="HeldTool",
        fields=[
            ("pk", _key("organization_id", "tool_id")),
            ("organization_id", models.UUIDField()),
            ("tool_id", models.UUIDField()),
            ("version", models.IntegerField()),
            ("why", models.TextField()),
            ("first_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
        ],
        options={"db_table": "held_tool"},
    ),
    migrations.AddField("McpServer", "restarts", models.IntegerField(db_default=0)),
]
