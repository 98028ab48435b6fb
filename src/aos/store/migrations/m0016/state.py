"""A2A as this migration left it: generated, frozen, and compared with nothing but later migrations."""

from __future__ import annotations

from django.db import migrations, models

import aos.store.models.database

OPERATIONS = [
    migrations.CreateModel(
        name="A2aPush",
        fields=[
            (
                "pk",
                models.CompositePrimaryKey(
                    "organization_id", "task_id", "id", blank=True, editable=False, primary_key=True, serialize=False
                ),
            ),
            ("organization_id", models.UUIDField()),
            ("task_id", models.UUIDField()),
            ("id", models.TextField()),
            ("config_content_id", models.UUIDField()),
            ("state", models.TextField(db_default="active")),
            ("sent_phase", models.TextField(null=True)),
            ("tries", models.IntegerField(db_default=0)),
            ("next_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
            ("created_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
        ],
        options={
            "db_table": "a2a_push",
            "indexes": [
                models.Index(condition=models.Q(("state", "active")), fields=["next_at"], name="a2a_push_next")
            ],
        },
    ),
    migrations.CreateModel(
        name="A2aRemote",
        fields=[
            (
                "pk",
                models.CompositePrimaryKey(
                    "organization_id",
                    "task_id",
                    "message_id",
                    blank=True,
                    editable=False,
                    primary_key=True,
                    serialize=False,
                ),
            ),
            ("organization_id", models.UUIDField()),
            ("task_id", models.UUIDField()),
            ("message_id", models.TextField()),
            ("agent_id", models.UUIDField()),
            ("endpoint", models.TextField()),
            ("remote_task_id", models.TextField(null=True)),
            ("ended_at", models.DateTimeField(null=True)),
            ("tries", models.IntegerField(db_default=0)),
            ("next_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
            ("created_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
        ],
        options={
            "db_table": "a2a_remote",
            "indexes": [
                models.Index(condition=models.Q(("ended_at__isnull", True)), fields=["next_at"], name="a2a_remote_next")
            ],
        },
    ),
    migrations.CreateModel(
        name="A2aTask",
        fields=[
            (
                "pk",
                models.CompositePrimaryKey(
                    "organization_id", "id", blank=True, editable=False, primary_key=True, serialize=False
                ),
            ),
            ("organization_id", models.UUIDField()),
            ("id", models.UUIDField()),
            ("agent_id", models.UUIDField()),
            ("principal_id", models.UUIDField()),
            ("context_id", models.TextField()),
            ("message_id", models.TextField()),
            ("message_content_id", models.UUIDField()),
            ("run_id", models.UUIDField(null=True)),
            ("approval_id", models.UUIDField(null=True)),
            ("ended", models.TextField(null=True)),
            ("reason_content_id", models.UUIDField(null=True)),
            ("created_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
            ("updated_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
        ],
        options={
            "db_table": "a2a_task",
            "indexes": [
                models.Index(
                    fields=["organization_id", "principal_id", "agent_id", "context_id", "id"], name="a2a_task_context"
                )
            ],
            "constraints": [
                models.UniqueConstraint(
                    fields=("organization_id", "principal_id", "agent_id", "message_id"), name="a2a_task_message"
                )
            ],
        },
    ),
]
