"""The models as this migration left them: generated, frozen, and compared with nothing but later migrations."""

from __future__ import annotations

import django.contrib.postgres.fields
from django.db import migrations, models

import aos.store.models.database

OPERATIONS = [
    migrations.AddField(
        "OrganizationSettings",
        "hosts",
        django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), db_default=[], size=None),
    ),
    migrations.CreateModel(
        name="Model",
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
            "db_table": "model",
            "constraints": [
                models.UniqueConstraint(fields=("organization_id", "name"), name="model_organization_id_name_key")
            ],
        },
    ),
    migrations.CreateModel(
        name="ModelVersion",
        fields=[
            (
                "pk",
                models.CompositePrimaryKey(
                    "organization_id",
                    "model_id",
                    "version",
                    blank=True,
                    editable=False,
                    primary_key=True,
                    serialize=False,
                ),
            ),
            ("organization_id", models.UUIDField()),
            ("model_id", models.UUIDField()),
            ("version", models.IntegerField()),
            ("id", models.UUIDField()),
            ("spec", models.JSONField()),
            ("digest", models.BinaryField()),
            ("created_by", models.UUIDField(null=True)),
            ("created_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
        ],
        options={
            "db_table": "model_version",
            "constraints": [
                models.UniqueConstraint(fields=("organization_id", "id"), name="model_version_organization_id_id_key")
            ],
        },
    ),
    migrations.CreateModel(
        name="Purpose",
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
            "db_table": "purpose",
            "constraints": [
                models.UniqueConstraint(fields=("organization_id", "name"), name="purpose_organization_id_name_key")
            ],
        },
    ),
    migrations.CreateModel(
        name="PurposeVersion",
        fields=[
            (
                "pk",
                models.CompositePrimaryKey(
                    "organization_id",
                    "purpose_id",
                    "version",
                    blank=True,
                    editable=False,
                    primary_key=True,
                    serialize=False,
                ),
            ),
            ("organization_id", models.UUIDField()),
            ("purpose_id", models.UUIDField()),
            ("version", models.IntegerField()),
            ("id", models.UUIDField()),
            ("spec", models.JSONField()),
            ("digest", models.BinaryField()),
            ("created_by", models.UUIDField(null=True)),
            ("created_at", models.DateTimeField(db_default=aos.store.models.database.AosNow())),
        ],
        options={
            "db_table": "purpose_version",
            "constraints": [
                models.UniqueConstraint(fields=("organization_id", "id"), name="purpose_version_organization_id_id_key")
            ],
        },
    ),
]
