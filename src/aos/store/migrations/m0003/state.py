"""The models as this migration left them: generated, frozen, and compared with nothing but later migrations."""

from __future__ import annotations

import uuid

from django.db import migrations, models

import aos.store.models.database

OPERATIONS = [
    migrations.CreateModel(
        name="ConcurrencyLimit",
        fields=[
            (
                "pk",
                models.CompositePrimaryKey(
                    "organization_id", "id", blank=True, editable=False, primary_key=True, serialize=False
                ),
            ),
            ("organization_id", models.UUIDField()),
            ("id", models.UUIDField()),
            ("kind", models.TextField()),
            ("name", models.TextField()),
            ("at_most", models.IntegerField()),
            ("created_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
            ("updated_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
        ],
        options={
            "db_table": "concurrency_limit",
        },
    ),
    migrations.CreateModel(
        name="Hook",
        fields=[
            (
                "pk",
                models.CompositePrimaryKey(
                    "organization_id", "id", blank=True, editable=False, primary_key=True, serialize=False
                ),
            ),
            ("organization_id", models.UUIDField()),
            ("id", models.UUIDField()),
            ("name", models.TextField()),
            ("does", models.TextField()),
            ("target_kind", models.TextField(null=True)),
            ("target", models.TextField()),
            ("mapping", models.JSONField(db_default={})),
            ("accepts", models.JSONField(db_default={})),
            ("secret_id", models.UUIDField()),
            ("owner_id", models.UUIDField()),
            ("enabled", models.BooleanField(db_default=True)),
            ("last_at", models.DateTimeField(null=True)),
            ("created_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
            ("updated_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
            ("retired_at", models.DateTimeField(null=True)),
        ],
        options={
            "db_table": "hook",
        },
    ),
    migrations.CreateModel(
        name="Schedule",
        fields=[
            (
                "pk",
                models.CompositePrimaryKey(
                    "organization_id", "id", blank=True, editable=False, primary_key=True, serialize=False
                ),
            ),
            ("organization_id", models.UUIDField()),
            ("id", models.UUIDField()),
            ("name", models.TextField()),
            ("target_kind", models.TextField()),
            ("target", models.TextField()),
            ("cron", models.TextField()),
            ("timezone", models.TextField()),
            ("input_content_id", models.UUIDField(null=True)),
            ("goal", models.TextField(db_default="")),
            ("labels", models.JSONField(db_default={})),
            ("priority", models.SmallIntegerField(db_default=0)),
            ("catch_up", models.TextField()),
            ("overlap", models.TextField()),
            ("owner_id", models.UUIDField()),
            ("enabled", models.BooleanField(db_default=True)),
            ("next_at", models.DateTimeField(null=True)),
            ("last_at", models.DateTimeField(null=True)),
            ("last_run_id", models.UUIDField(null=True)),
            ("last_error", models.TextField(null=True)),
            ("created_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
            ("updated_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
            ("retired_at", models.DateTimeField(null=True)),
        ],
        options={
            "db_table": "schedule",
        },
    ),
    migrations.CreateModel(
        name="Signal",
        fields=[
            (
                "pk",
                models.CompositePrimaryKey(
                    "organization_id", "id", blank=True, editable=False, primary_key=True, serialize=False
                ),
            ),
            ("organization_id", models.UUIDField()),
            ("id", models.UUIDField()),
            ("run_id", models.UUIDField()),
            ("name", models.TextField()),
            ("sender", models.JSONField()),
            ("content_id", models.UUIDField(null=True)),
            ("key", models.TextField(null=True)),
            ("action_id", models.UUIDField()),
            ("taken_by", models.UUIDField(null=True)),
            ("created_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
        ],
        options={
            "db_table": "signal",
        },
    ),
    migrations.RemoveIndex(
        model_name="task",
        name="task_ready",
    ),
    migrations.AddField(
        model_name="call",
        name="due_at",
        field=models.DateTimeField(null=True),
    ),
    migrations.AddField(
        model_name="call",
        name="generation",
        field=models.IntegerField(db_default=0),
    ),
    migrations.AddField(
        model_name="run",
        name="forked_from_id",
        field=models.UUIDField(null=True),
    ),
    migrations.AddField(
        model_name="run",
        name="forked_task",
        field=models.TextField(null=True),
    ),
    migrations.AddField(
        model_name="run",
        name="parent_run_id",
        field=models.UUIDField(null=True),
    ),
    migrations.AddField(
        model_name="run",
        name="parent_task_id",
        field=models.UUIDField(null=True),
    ),
    migrations.AddField(
        model_name="run",
        name="priority",
        field=models.SmallIntegerField(db_default=0),
    ),
    migrations.AddField(
        model_name="run",
        name="schedule_id",
        field=models.UUIDField(null=True),
    ),
    migrations.AddField(
        model_name="run",
        name="undoes_id",
        field=models.UUIDField(null=True),
    ),
    migrations.AddField(
        model_name="task",
        name="deadline_at",
        field=models.DateTimeField(null=True),
    ),
    migrations.AddField(
        model_name="task",
        name="fallen_back",
        field=models.BooleanField(db_default=False),
    ),
    migrations.AddField(
        model_name="task",
        name="generation",
        field=models.IntegerField(db_default=0),
    ),
    migrations.AddField(
        model_name="task",
        name="lane",
        field=models.UUIDField(db_default=uuid.UUID("00000000-0000-0000-0000-000000000000")),
    ),
    migrations.AddField(
        model_name="task",
        name="needs",
        field=models.IntegerField(null=True),
    ),
    migrations.AddField(
        model_name="task",
        name="queue",
        field=models.TextField(db_default="default"),
    ),
    migrations.AddField(
        model_name="task",
        name="wake_at",
        field=models.DateTimeField(null=True),
    ),
    migrations.AddField(
        model_name="taskfinished",
        name="deadline_at",
        field=models.DateTimeField(null=True),
    ),
    migrations.AddField(
        model_name="taskfinished",
        name="fallen_back",
        field=models.BooleanField(db_default=False),
    ),
    migrations.AddField(
        model_name="taskfinished",
        name="generation",
        field=models.IntegerField(db_default=0),
    ),
    migrations.AddField(
        model_name="taskfinished",
        name="lane",
        field=models.UUIDField(db_default=uuid.UUID("00000000-0000-0000-0000-000000000000")),
    ),
    migrations.AddField(
        model_name="taskfinished",
        name="needs",
        field=models.IntegerField(null=True),
    ),
    migrations.AddField(
        model_name="taskfinished",
        name="queue",
        field=models.TextField(db_default="default"),
    ),
    migrations.AddField(
        model_name="taskfinished",
        name="wake_at",
        field=models.DateTimeField(null=True),
    ),
    migrations.AddIndex(
        model_name="run",
        index=models.Index(
            condition=models.Q(("parent_run_id__isnull", False)),
            fields=["organization_id", "parent_run_id"],
            name="run_parent",
        ),
    ),
    migrations.AddIndex(
        model_name="task",
        index=models.Index(
            condition=models.Q(("paused", False), ("state", "ready")),
            fields=["organization_id", "lane", "-priority", "ready_at", "id"],
            name="task_ready",
        ),
    ),
    migrations.AddIndex(
        model_name="task",
        index=models.Index(
            condition=models.Q(("state", "waiting"), ("wake_at__isnull", False)), fields=["wake_at"], name="task_wake"
        ),
    ),
    migrations.AddConstraint(
        model_name="run",
        constraint=models.UniqueConstraint(
            condition=models.Q(("undoes_id__isnull", False)), fields=("organization_id", "undoes_id"), name="run_undoes"
        ),
    ),
    migrations.AddConstraint(
        model_name="concurrencylimit",
        constraint=models.UniqueConstraint(
            fields=("organization_id", "kind", "name"), name="concurrency_limit_organization_id_kind_name_key"
        ),
    ),
    migrations.AddConstraint(
        model_name="hook",
        constraint=models.UniqueConstraint(
            condition=models.Q(("retired_at__isnull", True)), fields=("organization_id", "name"), name="hook_name"
        ),
    ),
    migrations.AddIndex(
        model_name="schedule",
        index=models.Index(
            condition=models.Q(("enabled", True), ("retired_at__isnull", True)), fields=["next_at"], name="schedule_due"
        ),
    ),
    migrations.AddConstraint(
        model_name="schedule",
        constraint=models.UniqueConstraint(
            condition=models.Q(("retired_at__isnull", True)), fields=("organization_id", "name"), name="schedule_name"
        ),
    ),
    migrations.AddIndex(
        model_name="signal",
        index=models.Index(
            condition=models.Q(("taken_by__isnull", True)),
            fields=["organization_id", "run_id", "name", "id"],
            name="signal_open",
        ),
    ),
    migrations.AddConstraint(
        model_name="signal",
        constraint=models.UniqueConstraint(
            condition=models.Q(("key__isnull", False)), fields=("organization_id", "run_id", "key"), name="signal_key"
        ),
    ),
]
