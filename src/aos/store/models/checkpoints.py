"""Where graphs stand."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from aos.store.models.database import AosNow


class Checkpoint(models.Model):
    """One checkpoint of a graph, in one namespace of one agent's thread."""

    pk = models.CompositePrimaryKey("organization_id", "agent_id", "thread", "namespace", "id")
    organization_id = models.UUIDField()
    agent_id = models.UUIDField()
    thread = models.TextField()
    namespace = models.TextField()
    id = models.TextField()
    parent_id = models.TextField(null=True)
    run_id = models.UUIDField(null=True)
    content_id = models.UUIDField()
    created_at = models.DateTimeField(db_default=AosNow())

    class Meta:
        db_table = "checkpoint"
        indexes = [
            models.Index(fields=["organization_id", "run_id"], name="checkpoint_run", condition=Q(run_id__isnull=False))
        ]


class CheckpointWrite(models.Model):
    """What one node wrote after a checkpoint and before the next."""

    pk = models.CompositePrimaryKey(
        "organization_id", "agent_id", "thread", "namespace", "checkpoint_id", "writer", "slot"
    )
    organization_id = models.UUIDField()
    agent_id = models.UUIDField()
    thread = models.TextField()
    namespace = models.TextField()
    checkpoint_id = models.TextField()
    writer = models.TextField()
    slot = models.IntegerField()
    run_id = models.UUIDField(null=True)
    content_id = models.UUIDField()

    class Meta:
        db_table = "checkpoint_write"
        indexes = [
            models.Index(
                fields=["organization_id", "run_id"], name="checkpoint_write_run", condition=Q(run_id__isnull=False)
            )
        ]
