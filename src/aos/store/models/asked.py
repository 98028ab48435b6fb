"""Models that agents may ask, purposes, and the versions of both."""

from __future__ import annotations

from django.db import models

from aos.store.models.database import AosNow


class Model(models.Model):
    """A model as it stands."""

    pk = models.CompositePrimaryKey("organization_id", "id")
    organization_id = models.UUIDField()
    id = models.UUIDField()
    name = models.TextField()
    version = models.IntegerField()
    retired_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=AosNow())
    updated_at = models.DateTimeField(db_default=AosNow())

    class Meta:
        db_table = "model"
        constraints = [
            models.UniqueConstraint(fields=["organization_id", "name"], name="model_organization_id_name_key"),
        ]


class ModelVersion(models.Model):
    """What a model was declared to be; never changed."""

    pk = models.CompositePrimaryKey("organization_id", "model_id", "version")
    organization_id = models.UUIDField()
    model_id = models.UUIDField()
    version = models.IntegerField()
    id = models.UUIDField()
    spec = models.JSONField()
    digest = models.BinaryField()
    created_by = models.UUIDField(null=True)
    created_at = models.DateTimeField(db_default=AosNow())

    class Meta:
        db_table = "model_version"
        constraints = [
            models.UniqueConstraint(fields=["organization_id", "id"], name="model_version_organization_id_id_key"),
        ]


class Purpose(models.Model):
    """A purpose as it stands."""

    pk = models.CompositePrimaryKey("organization_id", "id")
    organization_id = models.UUIDField()
    id = models.UUIDField()
    name = models.TextField()
    version = models.IntegerField()
    retired_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=AosNow())
    updated_at = models.DateTimeField(db_default=AosNow())

    class Meta:
        db_table = "purpose"
        constraints = [
            models.UniqueConstraint(fields=["organization_id", "name"], name="purpose_organization_id_name_key"),
        ]


class PurposeVersion(models.Model):
    """What a purpose was declared to be; never changed."""

    pk = models.CompositePrimaryKey("organization_id", "purpose_id", "version")
    organization_id = models.UUIDField()
    purpose_id = models.UUIDField()
    version = models.IntegerField()
    id = models.UUIDField()
    spec = models.JSONField()
    digest = models.BinaryField()
    created_by = models.UUIDField(null=True)
    created_at = models.DateTimeField(db_default=AosNow())

    class Meta:
        db_table = "purpose_version"
        constraints = [
            models.UniqueConstraint(fields=["organization_id", "id"], name="purpose_version_organization_id_id_key"),
        ]
