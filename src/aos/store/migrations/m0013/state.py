"""The models as this migration left them: generated, frozen, and compared with nothing but later migrations."""

from __future__ import annotations

from django.db import migrations, models

OPERATIONS = [
    migrations.AddIndex("Agent", models.Index(fields=["id"], name="agent_by_id")),
    migrations.AddIndex("Agent", models.Index(fields=["name"], name="agent_by_name")),
    migrations.CreateModel(
        name="UsedAssertion",
        fields=[
            (
                "pk",
                models.CompositePrimaryKey(
                    "organization_id",
                    "agent_id",
                    "jti_hash",
                    blank=True,
                    editable=False,
                    primary_key=True,
                    serialize=False,
                ),
            ),
            ("organization_id", models.UUIDField()),
            ("agent_id", models.UUIDField()),
            ("jti_hash", models.BinaryField()),
            ("expires_at", models.DateTimeField()),
        ],
        options={
            "db_table": "used_assertion",
            "indexes": [models.Index(fields=["expires_at"], name="used_assertion_expires")],
        },
    ),
]
