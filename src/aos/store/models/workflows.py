"""Workflows and their versions."""

from __future__ import annotations

from django.db import models

from aos.store.models.database import AosNow


class Workflow(models.Model):
    """A workflow as it stands."""

    pk = models.CompositePrimaryKey("organization_id", "id")
    organization_id = models.UUIDField()
    id = models.UUIDField()
    name = models.TextField()
    version = models.IntegerField()
    retired_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=AosNow())

    class Meta:
        db_table = "workflow"
        constraints = [
            models.UniqueConstraint(fields=["organization_id", "name"], name="workflow_organization_id_name_key"),
        ]


class WorkflowVersion(models.Model):
    """What a workflow was declared to be; never changed."""

    pk = models.CompositePrimaryKey("organization_id", "workflow_id", "version")
    organization_id = models.UUIDField()
    workflow_id = models.UUIDField()
    version = models.IntegerField()
    id = models.UUIDField()
    spec = models.JSONField()
    digest = models.BinaryField()
    created_by = models.UUIDField(null=True)
    created_at = models.DateTimeField(db_default=AosNow())

    class Meta:
        db_table = "workflow_version"
        constraints = [
            models.UniqueConstraint(fields=["organization_id", "id"], name="workflow_version_organization_id_id_key"),
        ]
