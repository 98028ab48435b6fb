"""What this deployment runs, and which of its tables have partitions."""

from __future__ import annotations

from django.db import models

from aos.store.models.database import AosNow


class Process(models.Model):
    """One running process of AOS and when it was last heard of."""

    id = models.UUIDField(primary_key=True)
    kind = models.TextField()
    host = models.TextField()
    pid = models.IntegerField()
    version = models.TextField()
    governed = models.BooleanField()
    detail = models.JSONField(db_default={})
    started_at = models.DateTimeField(db_default=AosNow())
    seen_at = models.DateTimeField(db_default=AosNow())

    class Meta:
        db_table = "process"


class Partitioned(models.Model):
    """The name of a table that is partitioned by day."""

    name = models.TextField(primary_key=True)

    class Meta:
        db_table = "partitioned"
