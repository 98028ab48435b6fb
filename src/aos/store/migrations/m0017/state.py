"""The models as this migration left them: generated, frozen, and compared with nothing but later migrations."""

from __future__ import annotations

from django.db import migrations, models
from django.db.models import Q

import aos.store.models.database

_CHECKPOINT_KEY = ("organization_id", "agent_id", "thread", "namespace", "id")
_WRITE_KEY = ("organization_id", "agent_id", "thread", "namespace", "checkpoint_id", "writer", "slot")

OPERATIONS = [
    migrations.CreateModel(
        name="Checkpoint",
        fields=[
            (
                "pk",
                models.CompositePrimaryKey(
                    *_CHECKPOINT_KEY, blank=True, editable=False, primary_key=True, serialize=False
                ),
            ),
            ("organization_id", models.UUIDField()),
            ("agent_id", models.UUIDField()),
            ("thread", models.TextField()),
            ("namespace", models.TextField()),
            ("id", models.TextField()),
            ("parent_id", models.TextField(null=True)),
            ("run_id", models.UUIDField(null=True)),
            ("content_id", models.UUIDField()),
            ("created_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
        ],
        options={
            "db_table": "checkpoint",
            "indexes": [
                models.Index(
                    fields=["organization_id", "run_id"], name="checkpoint_run", condition=Q(run_id__isnull=False)
                )
            ],
        },
    ),
    migrations.CreateModel(
        name="CheckpointWrite",
        fields=[
            (
                "pk",
                models.CompositePrimaryKey(*_WRITE_KEY, blank=True, editable=False, primary_key=True, serialize=False),
            ),
            ("organization_id", models.UUIDField()),
            ("agent_id", models.UUIDField()),
            ("thread", models.TextField()),
            ("namespace", models.TextField()),
            ("checkpoint_id", models.TextField()),
            ("writer", models.TextField()),
            ("slot", models.IntegerField()),
            ("run_id", models.UUIDField(null=True)),
            ("content_id", models.UUIDField()),
        ],
        options={
            "db_table": "checkpoint_write",
            "indexes": [
                models.Index(
                    fields=["organization_id", "run_id"],
                    name="checkpoint_write_run",
                    condition=Q(run_id__isnull=False),
                )
            ],
        },
    ),
    migrations.AddIndex(
        "Span",
        models.Index(fields=["organization_id", "run_id"], name="span_run", condition=Q(run_id__isnull=False)),
    ),
]
