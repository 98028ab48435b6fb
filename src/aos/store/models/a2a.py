"""What A2A clients sent, where notifications of it go, and what was handed to agents elsewhere."""

from __future__ import annotations

from django.db import models

from aos.store.models.database import AosNow


class A2aTask(models.Model):
    """One message of a client, and the run that came of it."""

    pk = models.CompositePrimaryKey("organization_id", "id")
    organization_id = models.UUIDField()
    id = models.UUIDField()
    agent_id = models.UUIDField()
    principal_id = models.UUIDField()
    context_id = models.TextField()
    message_id = models.TextField()
    message_content_id = models.UUIDField()
    run_id = models.UUIDField(null=True)
    approval_id = models.UUIDField(null=True)
    ended = models.TextField(null=True)
    reason_content_id = models.UUIDField(null=True)
    created_at = models.DateTimeField(db_default=AosNow())
    updated_at = models.DateTimeField(db_default=AosNow())

    class Meta:
        db_table = "a2a_task"
        constraints = [
            models.UniqueConstraint(
                fields=["organization_id", "principal_id", "agent_id", "message_id"], name="a2a_task_message"
            ),
        ]
        indexes = [
            models.Index(
                fields=["organization_id", "principal_id", "agent_id", "context_id", "id"], name="a2a_task_context"
            ),
            models.Index(fields=["organization_id", "principal_id", "agent_id", "id"], name="a2a_task_sender"),
        ]


class A2aPush(models.Model):
    """One address that is told of a task."""

    pk = models.CompositePrimaryKey("organization_id", "task_id", "id")
    organization_id = models.UUIDField()
    task_id = models.UUIDField()
    id = models.TextField()
    config_content_id = models.UUIDField()
    state = models.TextField(db_default="active")
    sent_phase = models.TextField(null=True)
    tries = models.IntegerField(db_default=0)
    next_at = models.DateTimeField(db_default=AosNow())
    created_at = models.DateTimeField(db_default=AosNow())
    quiet = models.IntegerField(db_default=0)

    class Meta:
        db_table = "a2a_push"
        indexes = [
            models.Index(fields=["next_at"], name="a2a_push_next", condition=models.Q(state="active")),
        ]


class A2aRemote(models.Model):
    """One task of ours that an agent elsewhere does."""

    pk = models.CompositePrimaryKey("organization_id", "task_id", "message_id")
    organization_id = models.UUIDField()
    task_id = models.UUIDField()
    message_id = models.TextField()
    agent_id = models.UUIDField()
    endpoint = models.TextField()
    remote_task_id = models.TextField(null=True)
    ended_at = models.DateTimeField(null=True)
    tries = models.IntegerField(db_default=0)
    next_at = models.DateTimeField(db_default=AosNow())
    created_at = models.DateTimeField(db_default=AosNow())
    attempt = models.IntegerField(null=True)

    class Meta:
        db_table = "a2a_remote"
        indexes = [
            models.Index(fields=["next_at"], name="a2a_remote_next", condition=models.Q(ended_at__isnull=True)),
        ]
