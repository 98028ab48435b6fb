"""What starts runs by itself, and how much of one thing may be under way at once."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from aos.store.models.database import AosNow


class Schedule(models.Model):
    """Times at which a run is started."""

    pk = models.CompositePrimaryKey("organization_id", "id")
    organization_id = models.UUIDField()
    id = models.UUIDField()
    name = models.TextField()
    target_kind = models.TextField()
    target = models.TextField()
    cron = models.TextField()
    timezone = models.TextField()
    input_content_id = models.UUIDField(null=True)
    goal = models.TextField(db_default="")
    labels = models.JSONField(db_default={})
    priority = models.SmallIntegerField(db_default=0)
    catch_up = models.TextField()
    overlap = models.TextField()
    owner_id = models.UUIDField()
    enabled = models.BooleanField(db_default=True)
    next_at = models.DateTimeField(null=True)
    asked_at = models.DateTimeField(null=True)
    last_at = models.DateTimeField(null=True)
    last_run_id = models.UUIDField(null=True)
    last_error = models.TextField(null=True)
    created_at = models.DateTimeField(db_default=AosNow())
    updated_at = models.DateTimeField(db_default=AosNow())
    retired_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "schedule"
        constraints = [
            models.UniqueConstraint(
                fields=["organization_id", "name"], name="schedule_name", condition=Q(retired_at__isnull=True)
            ),
        ]
        indexes = [
            models.Index(fields=["next_at"], name="schedule_due", condition=Q(enabled=True, retired_at__isnull=True)),
        ]


class Hook(models.Model):
    """A signed door through which a system outside starts runs or signals them."""

    pk = models.CompositePrimaryKey("organization_id", "id")
    organization_id = models.UUIDField()
    id = models.UUIDField()
    name = models.TextField()
    does = models.TextField()
    target_kind = models.TextField(null=True)
    target = models.TextField()
    mapping = models.JSONField(db_default={})
    accepts = models.JSONField(db_default={})
    secret_id = models.UUIDField()
    owner_id = models.UUIDField()
    enabled = models.BooleanField(db_default=True)
    last_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=AosNow())
    updated_at = models.DateTimeField(db_default=AosNow())
    retired_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "hook"
        constraints = [
            models.UniqueConstraint(
                fields=["organization_id", "name"], name="hook_name", condition=Q(retired_at__isnull=True)
            ),
        ]


class ConcurrencyLimit(models.Model):
    """How many tasks of an agent, calls of a tool or tasks of a queue may be under way at once."""

    pk = models.CompositePrimaryKey("organization_id", "id")
    organization_id = models.UUIDField()
    id = models.UUIDField()
    kind = models.TextField()
    name = models.TextField()
    at_most = models.IntegerField()
    created_at = models.DateTimeField(db_default=AosNow())
    updated_at = models.DateTimeField(db_default=AosNow())

    class Meta:
        db_table = "concurrency_limit"
        constraints = [
            models.UniqueConstraint(
                fields=["organization_id", "kind", "name"], name="concurrency_limit_organization_id_kind_name_key"
            ),
        ]
