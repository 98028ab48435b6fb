"""Tools and their versions."""

from __future__ import annotations

from django.db import models

from aos.store.models.database import AosNow


class Tool(models.Model):
    """A tool as it stands."""

    pk = models.CompositePrimaryKey("organization_id", "id")
    organization_id = models.UUIDField()
    id = models.UUIDField()
    name = models.TextField()
    version = models.IntegerField()
    retired_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=AosNow())
    updated_at = models.DateTimeField(db_default=AosNow())

    class Meta:
        db_table = "tool"
        constraints = [
            models.UniqueConstraint(fields=["organization_id", "name"], name="tool_organization_id_name_key"),
        ]


class ToolVersion(models.Model):
    """What a tool was declared to be; never changed."""

    pk = models.CompositePrimaryKey("organization_id", "tool_id", "version")
    organization_id = models.UUIDField()
    tool_id = models.UUIDField()
    version = models.IntegerField()
    id = models.UUIDField()
    spec = models.JSONField()
    digest = models.BinaryField()
    created_by = models.UUIDField(null=True)
    created_at = models.DateTimeField(db_default=AosNow())

    class Meta:
        db_table = "tool_version"
        constraints = [
            models.UniqueConstraint(fields=["organization_id", "id"], name="tool_version_organization_id_id_key"),
        ]
