"""Policies, their versions, and the approvals they ask for."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from aos.store.models.database import AosNow


class Policy(models.Model):
    """A policy by name; which of its versions is active stands on the version."""

    pk = models.CompositePrimaryKey("organization_id", "id")
    organization_id = models.UUIDField()
    id = models.UUIDField()
    name = models.TextField()
    version = models.IntegerField()
    retired_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=AosNow())

    class Meta:
        db_table = "policy"
        constraints = [
            models.UniqueConstraint(fields=["organization_id", "name"], name="policy_organization_id_name_key"),
        ]


class PolicyVersion(models.Model):
    """The text of a policy and whether it is drafted, active or retired."""

    pk = models.CompositePrimaryKey("organization_id", "policy_id", "version")
    organization_id = models.UUIDField()
    policy_id = models.UUIDField()
    version = models.IntegerField()
    id = models.UUIDField()
    state = models.TextField()
    spec = models.JSONField()
    digest = models.BinaryField()
    created_by = models.UUIDField(null=True)
    created_at = models.DateTimeField(db_default=AosNow())
    activated_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "policy_version"
        constraints = [
            models.UniqueConstraint(
                fields=["organization_id", "policy_id"], name="policy_version_active", condition=Q(state="active")
            ),
            models.UniqueConstraint(fields=["organization_id", "id"], name="policy_version_organization_id_id_key"),
        ]


class Approval(models.Model):
    """A question to a person about one act, answered and used once."""

    pk = models.CompositePrimaryKey("organization_id", "id")
    organization_id = models.UUIDField()
    id = models.UUIDField()
    action_id = models.UUIDField()
    act_kind = models.TextField()
    act_name = models.TextField()
    digest = models.BinaryField()
    agent_id = models.UUIDField(null=True)
    chain = models.JSONField()
    run_id = models.UUIDField(null=True)
    task_id = models.UUIDField(null=True)
    call_key = models.TextField(null=True)
    idempotency_key = models.TextField(null=True)
    rules = models.JSONField()
    approver_role = models.TextField()
    quorum = models.IntegerField(db_default=1)
    roles_left = ArrayField(models.TextField(), db_default=[])
    answers = models.JSONField(db_default=[])
    status = models.TextField()
    shown_content_id = models.UUIDField()
    answered_by = models.UUIDField(null=True)
    answer_content_id = models.UUIDField(null=True)
    answered_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField()
    used_by_action_id = models.UUIDField(null=True)
    created_at = models.DateTimeField(db_default=AosNow())

    class Meta:
        db_table = "approval"
        indexes = [
            models.Index(fields=["organization_id", "digest", "agent_id"], name="approval_act"),
            models.Index(fields=["organization_id", "action_id"], name="approval_action"),
            models.Index(
                fields=["expires_at"], name="approval_expiry", condition=Q(status__in=("pending", "approved"))
            ),
            models.Index(fields=["organization_id", "id"], name="approval_pending", condition=Q(status="pending")),
            models.Index(
                fields=["organization_id", "task_id"], name="approval_task", condition=Q(task_id__isnull=False)
            ),
            models.Index(
                fields=["organization_id", "task_id"],
                name="approval_waits",
                condition=Q(status="pending", task_id__isnull=False),
            ),
        ]
