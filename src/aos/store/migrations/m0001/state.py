"""The models as the first migration left them: generated, frozen, and compared with nothing but later migrations."""

from __future__ import annotations

import django.contrib.postgres.fields
from django.db import migrations, models

import aos.store.models.database

OPERATIONS = [
    migrations.CreateModel(
        name="Agent",
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
            ("type", models.TextField()),
            ("status", models.TextField()),
            ("version", models.IntegerField()),
            ("department_id", models.UUIDField(null=True)),
            ("owner_id", models.UUIDField()),
            ("created_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
            ("updated_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
            ("retired_at", models.DateTimeField(null=True)),
        ],
        options={
            "db_table": "agent",
            "constraints": [
                models.UniqueConstraint(fields=("organization_id", "name"), name="agent_organization_id_name_key")
            ],
        },
    ),
    migrations.CreateModel(
        name="AgentKey",
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
            ("public_key", models.BinaryField()),
            ("thumbprint", models.TextField()),
            ("proved_at", models.DateTimeField()),
            ("created_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
            ("revoked_at", models.DateTimeField(null=True)),
        ],
        options={
            "db_table": "agent_key",
            "constraints": [
                models.UniqueConstraint(
                    fields=("organization_id", "thumbprint"), name="agent_key_organization_id_thumbprint_key"
                )
            ],
        },
    ),
    migrations.CreateModel(
        name="AgentVersion",
        fields=[
            (
                "pk",
                models.CompositePrimaryKey(
                    "organization_id",
                    "agent_id",
                    "version",
                    blank=True,
                    editable=False,
                    primary_key=True,
                    serialize=False,
                ),
            ),
            ("organization_id", models.UUIDField()),
            ("agent_id", models.UUIDField()),
            ("version", models.IntegerField()),
            ("id", models.UUIDField()),
            ("spec", models.JSONField()),
            ("digest", models.BinaryField()),
            ("created_by", models.UUIDField(null=True)),
            ("created_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
        ],
        options={
            "db_table": "agent_version",
            "constraints": [
                models.UniqueConstraint(fields=("organization_id", "id"), name="agent_version_organization_id_id_key")
            ],
        },
    ),
    migrations.CreateModel(
        name="ApiKey",
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
            ("label", models.TextField(db_default="")),
            ("prefix", models.TextField()),
            ("key_hash", models.BinaryField(unique=True)),
            ("created_by", models.UUIDField(null=True)),
            ("created_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
            ("expires_at", models.DateTimeField(null=True)),
            ("revoked_at", models.DateTimeField(null=True)),
        ],
        options={
            "db_table": "api_key",
        },
    ),
    migrations.CreateModel(
        name="Budget",
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
            ("scope", models.TextField()),
            ("scope_id", models.UUIDField()),
            ("currency", models.TextField()),
            ("limit_nanos", models.BigIntegerField()),
            ("period", models.TextField()),
            (
                "warn_at",
                django.contrib.postgres.fields.ArrayField(base_field=models.IntegerField(), db_default=[], size=None),
            ),
            ("on_limit", models.TextField(db_default="deny")),
            ("revision", models.BigIntegerField(db_default=1)),
            ("retired_at", models.DateTimeField(null=True)),
            ("created_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
        ],
        options={
            "db_table": "budget",
            "indexes": [
                models.Index(
                    condition=models.Q(("retired_at__isnull", True)),
                    fields=["organization_id", "scope_id"],
                    name="budget_scope",
                )
            ],
            "constraints": [
                models.UniqueConstraint(fields=("organization_id", "name"), name="budget_organization_id_name_key")
            ],
        },
    ),
    migrations.CreateModel(
        name="BudgetAccount",
        fields=[
            (
                "pk",
                models.CompositePrimaryKey(
                    "organization_id",
                    "budget_id",
                    "period_start",
                    blank=True,
                    editable=False,
                    primary_key=True,
                    serialize=False,
                ),
            ),
            ("organization_id", models.UUIDField()),
            ("budget_id", models.UUIDField()),
            ("period_start", models.DateField()),
            ("held_nanos", models.BigIntegerField(db_default=0)),
            ("settled_nanos", models.BigIntegerField(db_default=0)),
        ],
        options={
            "db_table": "budget_account",
        },
    ),
    migrations.CreateModel(
        name="UsageEvent",
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
            ("action_id", models.UUIDField(null=True)),
            ("run_id", models.UUIDField(null=True)),
            ("task_id", models.UUIDField(null=True)),
            ("agent_id", models.UUIDField(null=True)),
            ("agent_version", models.IntegerField(null=True)),
            ("department_id", models.UUIDField(null=True)),
            ("name", models.TextField()),
            ("quantity", models.BigIntegerField()),
            ("unit", models.TextField()),
            ("cost_nanos", models.BigIntegerField()),
            ("currency", models.TextField()),
            ("rate_nanos", models.BigIntegerField(null=True)),
            ("estimated", models.BooleanField(db_default=False)),
            ("record_id", models.UUIDField()),
            ("at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
        ],
        options={
            "db_table": "usage_event",
            "indexes": [
                models.Index(
                    condition=models.Q(("run_id__isnull", False)),
                    fields=["organization_id", "run_id", "id"],
                    name="usage_event_run",
                )
            ],
        },
    ),
    migrations.CreateModel(
        name="Action",
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
            ("effect", models.TextField(null=True)),
            ("state", models.TextField()),
            ("outcome", models.TextField()),
            ("rules", models.JSONField()),
            ("agent_id", models.UUIDField(null=True)),
            ("agent_version", models.IntegerField(null=True)),
            ("department_id", models.UUIDField(null=True)),
            ("chain", models.JSONField()),
            ("run_id", models.UUIDField(null=True)),
            ("task_id", models.UUIDField(null=True)),
            ("attempt", models.IntegerField(null=True)),
            ("call_key", models.TextField(null=True)),
            ("approval_id", models.UUIDField(null=True)),
            ("tool_id", models.UUIDField(null=True)),
            ("tool_version", models.IntegerField(null=True)),
            ("digest", models.BinaryField()),
            ("arguments_content_id", models.UUIDField(null=True)),
            ("decision_content_id", models.UUIDField(null=True)),
            ("outcome_content_id", models.UUIDField(null=True)),
            ("error_code", models.TextField(null=True)),
            ("holds", models.JSONField(db_default=[])),
            ("cost_nanos", models.BigIntegerField(null=True)),
            ("currency", models.TextField(null=True)),
            ("clock", models.DateTimeField(null=True)),
            ("deadline", models.DateTimeField(null=True)),
            ("intended_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
            ("concluded_at", models.DateTimeField(null=True)),
        ],
        options={
            "db_table": "action",
            "indexes": [
                models.Index(fields=["organization_id", "agent_id", "id"], name="action_agent"),
                models.Index(condition=models.Q(("state", "intended")), fields=["deadline"], name="action_open"),
                models.Index(
                    condition=models.Q(("run_id__isnull", False)),
                    fields=["organization_id", "run_id", "id"],
                    name="action_run",
                ),
            ],
        },
    ),
    migrations.CreateModel(
        name="LedgerCheckpoint",
        fields=[
            (
                "pk",
                models.CompositePrimaryKey(
                    "organization_id", "size", blank=True, editable=False, primary_key=True, serialize=False
                ),
            ),
            ("organization_id", models.UUIDField()),
            ("size", models.BigIntegerField()),
            ("note", models.TextField()),
            ("key_id", models.UUIDField()),
            ("signed_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
        ],
        options={
            "db_table": "ledger_checkpoint",
        },
    ),
    migrations.CreateModel(
        name="LedgerHead",
        fields=[
            ("organization_id", models.UUIDField(primary_key=True, serialize=False)),
            ("size", models.BigIntegerField(db_default=0)),
            ("peaks", models.BinaryField(db_default=b"")),
            ("checkpoint", models.TextField(null=True)),
            ("signed_at", models.DateTimeField(null=True)),
        ],
        options={
            "db_table": "ledger_head",
        },
    ),
    migrations.CreateModel(
        name="LedgerLeaf",
        fields=[
            (
                "pk",
                models.CompositePrimaryKey(
                    "organization_id", "index", blank=True, editable=False, primary_key=True, serialize=False
                ),
            ),
            ("organization_id", models.UUIDField()),
            ("index", models.BigIntegerField()),
            ("record_id", models.UUIDField()),
            ("hash", models.BinaryField()),
        ],
        options={
            "db_table": "ledger_leaf",
            "constraints": [
                models.UniqueConstraint(
                    fields=("organization_id", "record_id"), name="ledger_leaf_organization_id_record_id_key"
                )
            ],
        },
    ),
    migrations.CreateModel(
        name="LedgerNode",
        fields=[
            (
                "pk",
                models.CompositePrimaryKey(
                    "organization_id", "level", "index", blank=True, editable=False, primary_key=True, serialize=False
                ),
            ),
            ("organization_id", models.UUIDField()),
            ("level", models.SmallIntegerField()),
            ("index", models.BigIntegerField()),
            ("hash", models.BinaryField()),
        ],
        options={
            "db_table": "ledger_node",
        },
    ),
    migrations.CreateModel(
        name="LedgerPending",
        fields=[
            (
                "pk",
                models.CompositePrimaryKey(
                    "organization_id", "record_id", blank=True, editable=False, primary_key=True, serialize=False
                ),
            ),
            ("organization_id", models.UUIDField()),
            ("record_id", models.UUIDField()),
            ("leaf", models.BinaryField()),
            (
                "xid",
                aos.store.models.database.TransactionIdField(db_default=aos.store.models.database.CurrentTransaction()),
            ),
            ("position", models.IntegerField()),
        ],
        options={
            "db_table": "ledger_pending",
            "indexes": [models.Index(fields=["organization_id", "xid", "position"], name="ledger_pending_order")],
        },
    ),
    migrations.CreateModel(
        name="Record",
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
            ("run_id", models.UUIDField(null=True)),
            ("action_id", models.UUIDField(null=True)),
            ("bytes", models.BinaryField(null=True)),
        ],
        options={
            "db_table": "record",
            "indexes": [
                models.Index(
                    condition=models.Q(("action_id__isnull", False)),
                    fields=["organization_id", "action_id"],
                    name="record_action",
                ),
                models.Index(
                    condition=models.Q(("run_id__isnull", False)),
                    fields=["organization_id", "run_id", "id"],
                    name="record_run",
                ),
            ],
        },
    ),
    migrations.CreateModel(
        name="Department",
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
            ("cost_center", models.TextField(db_default="")),
            ("revision", models.BigIntegerField(db_default=1)),
            ("created_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
        ],
        options={
            "db_table": "department",
            "constraints": [
                models.UniqueConstraint(fields=("organization_id", "name"), name="department_organization_id_name_key")
            ],
        },
    ),
    migrations.CreateModel(
        name="Idempotency",
        fields=[
            (
                "pk",
                models.CompositePrimaryKey(
                    "organization_id",
                    "principal_id",
                    "key",
                    blank=True,
                    editable=False,
                    primary_key=True,
                    serialize=False,
                ),
            ),
            ("organization_id", models.UUIDField()),
            ("principal_id", models.UUIDField()),
            ("key", models.TextField()),
            ("request_digest", models.BinaryField()),
            ("action_id", models.UUIDField(null=True)),
            ("status", models.IntegerField(null=True)),
            ("answer_content_id", models.UUIDField(null=True)),
            ("created_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
        ],
        options={
            "db_table": "idempotency",
            "indexes": [models.Index(fields=["created_at"], name="idempotency_created")],
        },
    ),
    migrations.CreateModel(
        name="Member",
        fields=[
            (
                "pk",
                models.CompositePrimaryKey(
                    "organization_id", "id", blank=True, editable=False, primary_key=True, serialize=False
                ),
            ),
            ("organization_id", models.UUIDField()),
            ("id", models.UUIDField()),
            ("person_id", models.UUIDField()),
            (
                "roles",
                django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), db_default=[], size=None),
            ),
            ("created_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
        ],
        options={
            "db_table": "member",
            "indexes": [models.Index(fields=["person_id"], name="member_person")],
            "constraints": [
                models.UniqueConstraint(
                    fields=("organization_id", "person_id"), name="member_organization_id_person_id_key"
                )
            ],
        },
    ),
    migrations.CreateModel(
        name="Organization",
        fields=[
            ("id", models.UUIDField(primary_key=True, serialize=False)),
            ("name", models.TextField(unique=True)),
            ("epoch", models.BigIntegerField(db_default=1)),
            ("created_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
        ],
        options={
            "db_table": "organization",
        },
    ),
    migrations.CreateModel(
        name="OrganizationSettings",
        fields=[
            ("organization_id", models.UUIDField(primary_key=True, serialize=False)),
            ("currency", models.TextField()),
            ("timezone", models.TextField(db_default="UTC")),
            ("environment", models.TextField(db_default="production")),
            ("rates", models.JSONField(db_default={})),
            ("run_clock_allowed", models.BooleanField(db_default=False)),
        ],
        options={
            "db_table": "organization_settings",
        },
    ),
    migrations.CreateModel(
        name="Person",
        fields=[
            ("id", models.UUIDField(primary_key=True, serialize=False)),
            ("email", models.TextField(unique=True)),
            ("name", models.TextField()),
            ("password", models.TextField(db_default="!")),
            ("last_login", models.DateTimeField(null=True)),
            ("created_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
        ],
        options={
            "db_table": "person",
        },
    ),
    migrations.CreateModel(
        name="PersonToken",
        fields=[
            ("id", models.UUIDField(primary_key=True, serialize=False)),
            ("person_id", models.UUIDField()),
            ("kind", models.TextField()),
            ("label", models.TextField(db_default="")),
            ("token_hash", models.BinaryField(unique=True)),
            ("created_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
            ("expires_at", models.DateTimeField()),
            ("used_at", models.DateTimeField(null=True)),
            ("revoked_at", models.DateTimeField(null=True)),
        ],
        options={
            "db_table": "person_token",
            "indexes": [models.Index(fields=["person_id"], name="person_token_person")],
        },
    ),
    migrations.CreateModel(
        name="Session",
        fields=[
            ("id", models.UUIDField(primary_key=True, serialize=False)),
            ("person_id", models.UUIDField()),
            ("token_hash", models.BinaryField(unique=True)),
            ("organization_id", models.UUIDField(null=True)),
            ("created_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
            ("expires_at", models.DateTimeField()),
            ("ended_at", models.DateTimeField(null=True)),
        ],
        options={
            "db_table": "session",
        },
    ),
    migrations.CreateModel(
        name="Approval",
        fields=[
            (
                "pk",
                models.CompositePrimaryKey(
                    "organization_id", "id", blank=True, editable=False, primary_key=True, serialize=False
                ),
            ),
            ("organization_id", models.UUIDField()),
            ("id", models.UUIDField()),
            ("action_id", models.UUIDField()),
            ("act_kind", models.TextField()),
            ("act_name", models.TextField()),
            ("digest", models.BinaryField()),
            ("agent_id", models.UUIDField(null=True)),
            ("chain", models.JSONField()),
            ("run_id", models.UUIDField(null=True)),
            ("task_id", models.UUIDField(null=True)),
            ("call_key", models.TextField(null=True)),
            ("idempotency_key", models.TextField(null=True)),
            ("rules", models.JSONField()),
            ("approver_role", models.TextField()),
            ("quorum", models.IntegerField(db_default=1)),
            ("status", models.TextField()),
            ("shown_content_id", models.UUIDField()),
            ("answered_by", models.UUIDField(null=True)),
            ("answer_content_id", models.UUIDField(null=True)),
            ("answered_at", models.DateTimeField(null=True)),
            ("expires_at", models.DateTimeField()),
            ("used_by_action_id", models.UUIDField(null=True)),
            ("created_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
        ],
        options={
            "db_table": "approval",
            "indexes": [
                models.Index(fields=["organization_id", "agent_id", "digest"], name="approval_act"),
                models.Index(
                    condition=models.Q(("status__in", ("pending", "approved"))),
                    fields=["expires_at"],
                    name="approval_expiry",
                ),
                models.Index(
                    condition=models.Q(("status", "pending")), fields=["organization_id", "id"], name="approval_pending"
                ),
                models.Index(
                    condition=models.Q(("task_id__isnull", False)),
                    fields=["organization_id", "task_id"],
                    name="approval_task",
                ),
            ],
        },
    ),
    migrations.CreateModel(
        name="Policy",
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
            ("version", models.IntegerField()),
            ("retired_at", models.DateTimeField(null=True)),
            ("created_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
        ],
        options={
            "db_table": "policy",
            "constraints": [
                models.UniqueConstraint(fields=("organization_id", "name"), name="policy_organization_id_name_key")
            ],
        },
    ),
    migrations.CreateModel(
        name="PolicyVersion",
        fields=[
            (
                "pk",
                models.CompositePrimaryKey(
                    "organization_id",
                    "policy_id",
                    "version",
                    blank=True,
                    editable=False,
                    primary_key=True,
                    serialize=False,
                ),
            ),
            ("organization_id", models.UUIDField()),
            ("policy_id", models.UUIDField()),
            ("version", models.IntegerField()),
            ("id", models.UUIDField()),
            ("state", models.TextField()),
            ("spec", models.JSONField()),
            ("digest", models.BinaryField()),
            ("created_by", models.UUIDField(null=True)),
            ("created_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
            ("activated_at", models.DateTimeField(null=True)),
        ],
        options={
            "db_table": "policy_version",
            "constraints": [
                models.UniqueConstraint(
                    condition=models.Q(("state", "active")),
                    fields=("organization_id", "policy_id"),
                    name="policy_version_active",
                ),
                models.UniqueConstraint(fields=("organization_id", "id"), name="policy_version_organization_id_id_key"),
            ],
        },
    ),
    migrations.CreateModel(
        name="Partitioned",
        fields=[
            ("name", models.TextField(primary_key=True, serialize=False)),
        ],
        options={
            "db_table": "partitioned",
        },
    ),
    migrations.CreateModel(
        name="Process",
        fields=[
            ("id", models.UUIDField(primary_key=True, serialize=False)),
            ("kind", models.TextField()),
            ("host", models.TextField()),
            ("pid", models.IntegerField()),
            ("version", models.TextField()),
            ("governed", models.BooleanField()),
            ("detail", models.JSONField(db_default={})),
            ("started_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
            ("seen_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
        ],
        options={
            "db_table": "process",
        },
    ),
    migrations.CreateModel(
        name="Call",
        fields=[
            (
                "pk",
                models.CompositePrimaryKey(
                    "organization_id",
                    "task_id",
                    "key",
                    "attempt",
                    "tries",
                    blank=True,
                    editable=False,
                    primary_key=True,
                    serialize=False,
                ),
            ),
            ("organization_id", models.UUIDField()),
            ("task_id", models.UUIDField()),
            ("key", models.TextField()),
            ("attempt", models.IntegerField()),
            ("tries", models.IntegerField()),
            ("kind", models.TextField()),
            ("name", models.TextField()),
            ("effect", models.TextField(null=True)),
            ("action_id", models.UUIDField(null=True)),
            ("state", models.TextField()),
            ("outcome_content_id", models.UUIDField(null=True)),
            ("seq", models.BigIntegerField(null=True)),
        ],
        options={
            "db_table": "call",
        },
    ),
    migrations.CreateModel(
        name="Edge",
        fields=[
            (
                "pk",
                models.CompositePrimaryKey(
                    "organization_id",
                    "source_id",
                    "target_id",
                    blank=True,
                    editable=False,
                    primary_key=True,
                    serialize=False,
                ),
            ),
            ("organization_id", models.UUIDField()),
            ("source_id", models.UUIDField()),
            ("target_id", models.UUIDField()),
            ("run_id", models.UUIDField()),
            ("kind", models.TextField()),
        ],
        options={
            "db_table": "edge",
            "indexes": [
                models.Index(fields=["organization_id", "run_id"], name="edge_run"),
                models.Index(fields=["organization_id", "target_id"], name="edge_target"),
            ],
        },
    ),
    migrations.CreateModel(
        name="OriginToken",
        fields=[
            (
                "pk",
                models.CompositePrimaryKey(
                    "organization_id",
                    "run_id",
                    "token",
                    "origin",
                    "whole",
                    blank=True,
                    editable=False,
                    primary_key=True,
                    serialize=False,
                ),
            ),
            ("organization_id", models.UUIDField()),
            ("run_id", models.UUIDField()),
            ("token", models.BinaryField()),
            ("origin", models.TextField()),
            ("whole", models.BooleanField()),
        ],
        options={
            "db_table": "origin_token",
        },
    ),
    migrations.CreateModel(
        name="Report",
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
            ("task_id", models.UUIDField()),
            ("agent_id", models.UUIDField()),
            ("kind", models.TextField()),
            ("content_id", models.UUIDField()),
            ("created_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
        ],
        options={
            "db_table": "report",
            "indexes": [models.Index(fields=["organization_id", "run_id", "id"], name="report_run")],
        },
    ),
    migrations.CreateModel(
        name="Run",
        fields=[
            (
                "pk",
                models.CompositePrimaryKey(
                    "organization_id", "id", blank=True, editable=False, primary_key=True, serialize=False
                ),
            ),
            ("organization_id", models.UUIDField()),
            ("id", models.UUIDField()),
            ("workflow_id", models.UUIDField(null=True)),
            ("workflow_version", models.IntegerField(null=True)),
            ("agent_id", models.UUIDField(null=True)),
            ("name", models.TextField()),
            ("department_id", models.UUIDField(null=True)),
            ("state", models.TextField()),
            ("chain", models.JSONField()),
            ("goal_content_id", models.UUIDField(null=True)),
            ("input_content_id", models.UUIDField(null=True)),
            ("output_content_id", models.UUIDField(null=True)),
            ("error_code", models.TextField(null=True)),
            ("labels", models.JSONField(db_default={})),
            ("thread", models.TextField(null=True)),
            ("clock_start", models.DateTimeField(null=True)),
            ("origin_key_content_id", models.UUIDField()),
            ("origin_tokens", models.IntegerField(db_default=0)),
            ("origin_incomplete", models.BooleanField(db_default=False)),
            ("tasks_open", models.IntegerField(db_default=0)),
            ("tasks_total", models.IntegerField(db_default=0)),
            ("created_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
            ("finished_at", models.DateTimeField(null=True)),
            ("archived_at", models.DateTimeField(null=True)),
        ],
        options={
            "db_table": "run",
            "indexes": [
                models.Index(fields=["organization_id", "state", "id"], name="run_state"),
                models.Index(
                    condition=models.Q(("archived_at__isnull", True), ("finished_at__isnull", False)),
                    fields=["finished_at"],
                    name="run_unarchived",
                ),
            ],
        },
    ),
    migrations.CreateModel(
        name="Content",
        fields=[
            (
                "pk",
                models.CompositePrimaryKey(
                    "organization_id", "id", blank=True, editable=False, primary_key=True, serialize=False
                ),
            ),
            ("organization_id", models.UUIDField()),
            ("id", models.UUIDField()),
            ("purpose", models.TextField()),
            ("data_key_id", models.UUIDField(null=True)),
            ("salt", models.BinaryField(null=True)),
            ("sealed", models.BinaryField(null=True)),
            ("erase_after", models.DateTimeField(null=True)),
        ],
        options={
            "db_table": "content",
            "indexes": [
                models.Index(
                    condition=models.Q(("erase_after__isnull", False), ("sealed__isnull", False)),
                    fields=["erase_after"],
                    name="content_erase",
                )
            ],
        },
    ),
    migrations.CreateModel(
        name="DataKey",
        fields=[
            (
                "pk",
                models.CompositePrimaryKey(
                    "organization_id", "id", blank=True, editable=False, primary_key=True, serialize=False
                ),
            ),
            ("organization_id", models.UUIDField()),
            ("id", models.UUIDField()),
            ("key_encryption_key", models.TextField()),
            ("wrapped", models.BinaryField()),
            ("state", models.TextField()),
            ("created_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
        ],
        options={
            "db_table": "data_key",
            "constraints": [
                models.UniqueConstraint(
                    condition=models.Q(("state", "current")), fields=("organization_id",), name="data_key_current"
                )
            ],
        },
    ),
    migrations.CreateModel(
        name="Secret",
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
            ("data_key_id", models.UUIDField()),
            ("sealed", models.BinaryField()),
            ("version", models.IntegerField(db_default=1)),
            ("created_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
            ("updated_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
        ],
        options={
            "db_table": "secret",
            "constraints": [
                models.UniqueConstraint(fields=("organization_id", "name"), name="secret_organization_id_name_key")
            ],
        },
    ),
    migrations.CreateModel(
        name="SigningKey",
        fields=[
            (
                "pk",
                models.CompositePrimaryKey(
                    "organization_id", "id", blank=True, editable=False, primary_key=True, serialize=False
                ),
            ),
            ("organization_id", models.UUIDField()),
            ("id", models.UUIDField()),
            ("purpose", models.TextField()),
            ("state", models.TextField()),
            ("public_key", models.BinaryField(null=True)),
            ("secret_id", models.UUIDField()),
            ("created_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
            ("retired_at", models.DateTimeField(null=True)),
        ],
        options={
            "db_table": "signing_key",
            "constraints": [
                models.UniqueConstraint(
                    condition=models.Q(("state", "retired"), _negated=True),
                    fields=("organization_id", "purpose", "state"),
                    name="signing_key_one",
                )
            ],
        },
    ),
    migrations.CreateModel(
        name="Span",
        fields=[
            (
                "pk",
                models.CompositePrimaryKey(
                    "organization_id", "id", blank=True, editable=False, primary_key=True, serialize=False
                ),
            ),
            ("organization_id", models.UUIDField()),
            ("id", models.UUIDField()),
            ("trace_id", models.BinaryField()),
            ("span_id", models.BinaryField()),
            ("parent_span_id", models.BinaryField(null=True)),
            ("run_id", models.UUIDField(null=True)),
            ("name", models.TextField()),
            ("started_at", models.DateTimeField()),
            ("ended_at", models.DateTimeField()),
            ("attributes", models.JSONField(db_default={})),
        ],
        options={
            "db_table": "span",
            "indexes": [models.Index(fields=["organization_id", "trace_id"], name="span_trace")],
        },
    ),
    migrations.CreateModel(
        name="Task",
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
            ("label", models.TextField()),
            ("kind", models.TextField()),
            ("agent_id", models.UUIDField(null=True)),
            ("parent_id", models.UUIDField(null=True)),
            ("spawn_key", models.TextField(null=True)),
            ("item_index", models.IntegerField(null=True)),
            ("chain", models.JSONField()),
            ("spec", models.JSONField()),
            ("state", models.TextField()),
            ("paused", models.BooleanField(db_default=False)),
            ("upstream_failed", models.BooleanField(db_default=False)),
            ("waits_for", models.TextField(null=True)),
            ("blockers", models.IntegerField(db_default=0)),
            ("priority", models.SmallIntegerField(db_default=0)),
            ("attempt", models.IntegerField(db_default=0)),
            ("attempts_max", models.IntegerField(db_default=1)),
            ("claims", models.IntegerField(db_default=0)),
            ("claim_token", models.UUIDField(null=True)),
            ("claimed_by", models.UUIDField(null=True)),
            ("lease_until", models.DateTimeField(null=True)),
            ("ready_at", models.DateTimeField(null=True)),
            ("input_content_id", models.UUIDField(null=True)),
            ("output_content_id", models.UUIDField(null=True)),
            ("error_code", models.TextField(null=True)),
            ("error_content_id", models.UUIDField(null=True)),
            ("runtime_ms", models.BigIntegerField(db_default=0)),
            ("created_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
            ("started_at", models.DateTimeField(null=True)),
            ("finished_at", models.DateTimeField(null=True)),
        ],
        options={
            "db_table": "task",
            "indexes": [
                models.Index(condition=models.Q(("state", "running")), fields=["lease_until"], name="task_lease"),
                models.Index(
                    condition=models.Q(("paused", False), ("state", "ready")),
                    fields=["-priority", "ready_at", "id"],
                    name="task_ready",
                ),
                models.Index(fields=["organization_id", "run_id", "id"], name="task_run"),
            ],
            "constraints": [
                models.UniqueConstraint(
                    condition=models.Q(("spawn_key__isnull", False)),
                    fields=("organization_id", "parent_id", "spawn_key"),
                    name="task_spawn",
                )
            ],
        },
    ),
    migrations.CreateModel(
        name="TaskFinished",
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
            ("label", models.TextField()),
            ("kind", models.TextField()),
            ("agent_id", models.UUIDField(null=True)),
            ("parent_id", models.UUIDField(null=True)),
            ("spawn_key", models.TextField(null=True)),
            ("item_index", models.IntegerField(null=True)),
            ("chain", models.JSONField()),
            ("spec", models.JSONField()),
            ("state", models.TextField()),
            ("paused", models.BooleanField(db_default=False)),
            ("upstream_failed", models.BooleanField(db_default=False)),
            ("waits_for", models.TextField(null=True)),
            ("blockers", models.IntegerField(db_default=0)),
            ("priority", models.SmallIntegerField(db_default=0)),
            ("attempt", models.IntegerField(db_default=0)),
            ("attempts_max", models.IntegerField(db_default=1)),
            ("claims", models.IntegerField(db_default=0)),
            ("claim_token", models.UUIDField(null=True)),
            ("claimed_by", models.UUIDField(null=True)),
            ("lease_until", models.DateTimeField(null=True)),
            ("ready_at", models.DateTimeField(null=True)),
            ("input_content_id", models.UUIDField(null=True)),
            ("output_content_id", models.UUIDField(null=True)),
            ("error_code", models.TextField(null=True)),
            ("error_content_id", models.UUIDField(null=True)),
            ("runtime_ms", models.BigIntegerField(db_default=0)),
            ("created_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
            ("started_at", models.DateTimeField(null=True)),
            ("finished_at", models.DateTimeField(null=True)),
        ],
        options={
            "db_table": "task_finished",
            "indexes": [models.Index(fields=["organization_id", "run_id", "id"], name="task_finished_run")],
        },
    ),
    migrations.CreateModel(
        name="Tool",
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
            ("version", models.IntegerField()),
            ("retired_at", models.DateTimeField(null=True)),
            ("created_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
            ("updated_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
        ],
        options={
            "db_table": "tool",
            "constraints": [
                models.UniqueConstraint(fields=("organization_id", "name"), name="tool_organization_id_name_key")
            ],
        },
    ),
    migrations.CreateModel(
        name="ToolVersion",
        fields=[
            (
                "pk",
                models.CompositePrimaryKey(
                    "organization_id",
                    "tool_id",
                    "version",
                    blank=True,
                    editable=False,
                    primary_key=True,
                    serialize=False,
                ),
            ),
            ("organization_id", models.UUIDField()),
            ("tool_id", models.UUIDField()),
            ("version", models.IntegerField()),
            ("id", models.UUIDField()),
            ("spec", models.JSONField()),
            ("digest", models.BinaryField()),
            ("created_by", models.UUIDField(null=True)),
            ("created_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
        ],
        options={
            "db_table": "tool_version",
            "constraints": [
                models.UniqueConstraint(fields=("organization_id", "id"), name="tool_version_organization_id_id_key")
            ],
        },
    ),
    migrations.CreateModel(
        name="Workflow",
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
            ("version", models.IntegerField()),
            ("retired_at", models.DateTimeField(null=True)),
            ("created_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
        ],
        options={
            "db_table": "workflow",
            "constraints": [
                models.UniqueConstraint(fields=("organization_id", "name"), name="workflow_organization_id_name_key")
            ],
        },
    ),
    migrations.CreateModel(
        name="WorkflowVersion",
        fields=[
            (
                "pk",
                models.CompositePrimaryKey(
                    "organization_id",
                    "workflow_id",
                    "version",
                    blank=True,
                    editable=False,
                    primary_key=True,
                    serialize=False,
                ),
            ),
            ("organization_id", models.UUIDField()),
            ("workflow_id", models.UUIDField()),
            ("version", models.IntegerField()),
            ("id", models.UUIDField()),
            ("spec", models.JSONField()),
            ("digest", models.BinaryField()),
            ("created_by", models.UUIDField(null=True)),
            ("created_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
        ],
        options={
            "db_table": "workflow_version",
            "constraints": [
                models.UniqueConstraint(
                    fields=("organization_id", "id"), name="workflow_version_organization_id_id_key"
                )
            ],
        },
    ),
]
