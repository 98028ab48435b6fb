"""The models as this migration left them: generated, frozen, and compared with nothing but later migrations."""

from __future__ import annotations

from django.db import migrations, models

import aos.store.models.database

OPERATIONS = [
    migrations.CreateModel(
        name="McpServer",
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
            "db_table": "mcp_server",
            "constraints": [
                models.UniqueConstraint(fields=("organization_id", "name"), name="mcp_server_organization_id_name_key")
            ],
        },
    ),
    migrations.CreateModel(
        name="McpServerVersion",
        fields=[
            (
                "pk",
                models.CompositePrimaryKey(
                    "organization_id",
                    "mcp_server_id",
                    "version",
                    blank=True,
                    editable=False,
                    primary_key=True,
                    serialize=False,
                ),
            ),
            ("organization_id", models.UUIDField()),
            ("mcp_server_id", models.UUIDField()),
            ("version", models.IntegerField()),
            ("id", models.UUIDField()),
            ("spec", models.JSONField()),
            ("digest", models.BinaryField()),
            ("created_by", models.UUIDField(null=True)),
            ("created_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
        ],
        options={
            "db_table": "mcp_server_version",
            "constraints": [
                models.UniqueConstraint(
                    fields=("organization_id", "id"), name="mcp_server_version_organization_id_id_key"
                )
            ],
        },
    ),
]
