"""Budgets and what was held and settled on them, and the usage events they are charged by."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from aos.store.models.database import AosNow


class Budget(models.Model):
    """A limit on what AOS costs, for everything in its scope."""

    pk = models.CompositePrimaryKey("organization_id", "id")
    organization_id = models.UUIDField()
    id = models.UUIDField()
    name = models.TextField()
    scope = models.TextField()
    scope_id = models.UUIDField()
    currency = models.TextField()
    limit_nanos = models.BigIntegerField()
    period = models.TextField()
    warn_at = ArrayField(models.IntegerField(), db_default=[])
    on_limit = models.TextField(db_default="deny")
    revision = models.BigIntegerField(db_default=1)
    retired_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=AosNow())

    class Meta:
        db_table = "budget"
        constraints = [
            models.UniqueConstraint(fields=["organization_id", "name"], name="budget_organization_id_name_key"),
        ]
        indexes = [
            models.Index(
                fields=["organization_id", "scope_id"], name="budget_scope", condition=Q(retired_at__isnull=True)
            ),
        ]


class BudgetAccount(models.Model):
    """What is held and settled on a budget in one period."""

    pk = models.CompositePrimaryKey("organization_id", "budget_id", "period_start")
    organization_id = models.UUIDField()
    budget_id = models.UUIDField()
    period_start = models.DateField()
    held_nanos = models.BigIntegerField(db_default=0)
    settled_nanos = models.BigIntegerField(db_default=0)

    class Meta:
        db_table = "budget_account"


class UsageEvent(models.Model):
    """Something that was used and what it cost; never changed."""

    pk = models.CompositePrimaryKey("organization_id", "id")
    organization_id = models.UUIDField()
    id = models.UUIDField()
    kind = models.TextField()
    action_id = models.UUIDField(null=True)
    run_id = models.UUIDField(null=True)
    task_id = models.UUIDField(null=True)
    agent_id = models.UUIDField(null=True)
    agent_version = models.IntegerField(null=True)
    department_id = models.UUIDField(null=True)
    name = models.TextField()
    quantity = models.BigIntegerField()
    unit = models.TextField()
    cost_nanos = models.BigIntegerField()
    currency = models.TextField()
    rate_nanos = models.BigIntegerField(null=True)
    estimated = models.BooleanField(db_default=False)
    record_id = models.UUIDField()
    at = models.DateTimeField(db_default=AosNow())

    class Meta:
        db_table = "usage_event"
        indexes = [
            models.Index(
                fields=["organization_id", "run_id", "id"], name="usage_event_run", condition=Q(run_id__isnull=False)
            ),
        ]
