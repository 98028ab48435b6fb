"""Tasks, while they are at work and after."""

from __future__ import annotations

from uuid import UUID

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from aos.store.models.database import AosNow

NO_LANE = UUID(int=0)
"""The lane of tasks whose agent has no department."""


class TaskColumns(models.Model):
    """What a task at work and an archived one have alike."""

    pk = models.CompositePrimaryKey("organization_id", "id")
    organization_id = models.UUIDField()
    id = models.UUIDField()
    run_id = models.UUIDField()
    name = models.TextField()
    label = models.TextField()
    kind = models.TextField()
    agent_id = models.UUIDField(null=True)
    parent_id = models.UUIDField(null=True)
    spawn_key = models.TextField(null=True)
    item_index = models.IntegerField(null=True)
    chain = models.JSONField()
    spec = models.JSONField()
    state = models.TextField()
    paused = models.BooleanField(db_default=False)
    upstream_failed = models.BooleanField(db_default=False)
    waits_for = models.TextField(null=True)
    blockers = models.IntegerField(db_default=0)
    priority = models.SmallIntegerField(db_default=0)
    attempt = models.IntegerField(db_default=0)
    attempts_max = models.IntegerField(db_default=1)
    claims = models.IntegerField(db_default=0)
    claim_token = models.UUIDField(null=True)
    claimed_by = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    ready_at = models.DateTimeField(null=True)
    input_content_id = models.UUIDField(null=True)
    output_content_id = models.UUIDField(null=True)
    error_code = models.TextField(null=True)
    error_content_id = models.UUIDField(null=True)
    runtime_ms = models.BigIntegerField(db_default=0)
    created_at = models.DateTimeField(db_default=AosNow())
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    lane = models.UUIDField(db_default=NO_LANE)
    queue = models.TextField(db_default="default")
    wake_at = models.DateTimeField(null=True)
    deadline_at = models.DateTimeField(null=True)
    needs = models.IntegerField(null=True)
    generation = models.IntegerField(db_default=0)
    fallen_back = models.BooleanField(db_default=False)

    class Meta:
        abstract = True


class Task(TaskColumns):
    """A task that is not archived; the row is its own fence."""

    class Meta:
        db_table = "task"
        constraints = [
            models.UniqueConstraint(
                fields=["organization_id", "parent_id", "spawn_key"],
                name="task_spawn",
                condition=Q(spawn_key__isnull=False),
            ),
        ]
        indexes = [
            models.Index(fields=["lease_until"], name="task_lease", condition=Q(state="running")),
            models.Index(
                fields=["organization_id", "lane", "-priority", "ready_at", "id"],
                name="task_ready",
                condition=Q(state="ready", paused=False),
            ),
            models.Index(fields=["wake_at"], name="task_wake", condition=Q(state="waiting", wake_at__isnull=False)),
            models.Index(
                fields=["organization_id", "run_id", "id"], name="task_run", condition=Q(run_id__isnull=False)
            ),
            models.Index(
                fields=["organization_id", "agent_id", "-priority", "ready_at", "id"],
                name="task_offered",
                condition=Q(state="waiting", waits_for="work", paused=False),
            ),
        ]


class TaskFinished(TaskColumns):
    """A task of an archived run; `after_ids` are the sources of its `after` edges, and the last column of the table."""

    after_ids = ArrayField(models.UUIDField(), null=True)

    class Meta:
        db_table = "task_finished"
        indexes = [
            models.Index(fields=["organization_id", "run_id", "id"], name="task_finished_run"),
        ]
