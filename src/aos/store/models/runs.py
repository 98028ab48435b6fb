"""Runs, and what stands beside their tasks."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from aos.store.models.database import AosNow


class Run(models.Model):
    """One execution of a workflow or of an agent."""

    pk = models.CompositePrimaryKey("organization_id", "id")
    organization_id = models.UUIDField()
    id = models.UUIDField()
    workflow_id = models.UUIDField(null=True)
    workflow_version = models.IntegerField(null=True)
    agent_id = models.UUIDField(null=True)
    name = models.TextField()
    department_id = models.UUIDField(null=True)
    state = models.TextField()
    chain = models.JSONField()
    goal_content_id = models.UUIDField(null=True)
    input_content_id = models.UUIDField(null=True)
    output_content_id = models.UUIDField(null=True)
    error_code = models.TextField(null=True)
    labels = models.JSONField(db_default={})
    thread = models.TextField(null=True)
    clock_start = models.DateTimeField(null=True)
    origin_key_content_id = models.UUIDField()
    origin_tokens = models.IntegerField(db_default=0)
    origin_incomplete = models.BooleanField(db_default=False)
    tasks_open = models.IntegerField(db_default=0)
    tasks_total = models.IntegerField(db_default=0)
    created_at = models.DateTimeField(db_default=AosNow())
    finished_at = models.DateTimeField(null=True)
    archived_at = models.DateTimeField(null=True)
    priority = models.SmallIntegerField(db_default=0)
    parent_run_id = models.UUIDField(null=True)
    parent_task_id = models.UUIDField(null=True)
    forked_from_id = models.UUIDField(null=True)
    forked_task = models.TextField(null=True)
    undoes_id = models.UUIDField(null=True)
    schedule_id = models.UUIDField(null=True)
    root_run_id = models.UUIDField(null=True)
    undo_error = models.TextField(null=True)

    class Meta:
        db_table = "run"
        constraints = [
            models.UniqueConstraint(
                fields=["organization_id", "undoes_id"], name="run_undoes", condition=Q(undoes_id__isnull=False)
            ),
        ]
        indexes = [
            models.Index(
                fields=["organization_id", "parent_run_id"],
                name="run_parent",
                condition=Q(parent_run_id__isnull=False),
            ),
            models.Index(
                fields=["organization_id", "root_run_id"],
                name="run_root",
                condition=Q(root_run_id__isnull=False, state__in=["running", "paused"]),
            ),
            models.Index(fields=["organization_id", "state", "id"], name="run_state", condition=Q(state__isnull=False)),
            models.Index(
                fields=["finished_at"],
                name="run_unarchived",
                condition=Q(finished_at__isnull=False, archived_at__isnull=True),
            ),
        ]


class Edge(models.Model):
    """What a task waits for: another's success, or a child's end."""

    pk = models.CompositePrimaryKey("organization_id", "source_id", "target_id")
    organization_id = models.UUIDField()
    source_id = models.UUIDField()
    target_id = models.UUIDField()
    run_id = models.UUIDField()
    kind = models.TextField()

    class Meta:
        db_table = "edge"
        indexes = [
            models.Index(fields=["organization_id", "run_id"], name="edge_run", condition=Q(run_id__isnull=False)),
            models.Index(
                fields=["organization_id", "target_id"], name="edge_target", condition=Q(target_id__isnull=False)
            ),
        ]


class Call(models.Model):
    """One try of a task's call, and what it came to, for replay."""

    pk = models.CompositePrimaryKey("organization_id", "task_id", "key", "attempt", "tries")
    organization_id = models.UUIDField()
    task_id = models.UUIDField()
    key = models.TextField()
    attempt = models.IntegerField()
    tries = models.IntegerField()
    kind = models.TextField()
    name = models.TextField()
    effect = models.TextField(null=True)
    action_id = models.UUIDField(null=True)
    state = models.TextField()
    outcome_content_id = models.UUIDField(null=True)
    seq = models.BigIntegerField(null=True)
    generation = models.IntegerField(db_default=0)
    due_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "call"


class Signal(models.Model):
    """What was told to a run from outside; taken once."""

    pk = models.CompositePrimaryKey("organization_id", "id")
    organization_id = models.UUIDField()
    id = models.UUIDField()
    run_id = models.UUIDField()
    name = models.TextField()
    sender = models.JSONField()
    content_id = models.UUIDField(null=True)
    key = models.TextField(null=True)
    action_id = models.UUIDField()
    taken_by = models.UUIDField(null=True)
    created_at = models.DateTimeField(db_default=AosNow())

    class Meta:
        db_table = "signal"
        constraints = [
            models.UniqueConstraint(
                fields=["organization_id", "run_id", "key"], name="signal_key", condition=Q(key__isnull=False)
            ),
        ]
        indexes = [
            models.Index(
                fields=["organization_id", "run_id", "name", "id"],
                name="signal_open",
                condition=Q(taken_by__isnull=True),
            ),
        ]


class OriginToken(models.Model):
    """Where a value that a run has seen came from, as a keyed digest."""

    pk = models.CompositePrimaryKey("organization_id", "run_id", "token", "origin", "whole")
    organization_id = models.UUIDField()
    run_id = models.UUIDField()
    token = models.BinaryField()
    origin = models.TextField()
    whole = models.BooleanField()

    class Meta:
        db_table = "origin_token"


class Report(models.Model):
    """What an agent told about its work."""

    pk = models.CompositePrimaryKey("organization_id", "id")
    organization_id = models.UUIDField()
    id = models.UUIDField()
    run_id = models.UUIDField()
    task_id = models.UUIDField()
    agent_id = models.UUIDField()
    kind = models.TextField()
    content_id = models.UUIDField()
    created_at = models.DateTimeField(db_default=AosNow())

    class Meta:
        db_table = "report"
        indexes = [
            models.Index(fields=["organization_id", "run_id", "id"], name="report_run"),
        ]
