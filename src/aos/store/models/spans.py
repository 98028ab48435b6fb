"""Spans that come from outside."""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class Span(models.Model):
    """A span of a trace: evidence, never a leaf."""

    pk = models.CompositePrimaryKey("organization_id", "id")
    organization_id = models.UUIDField()
    id = models.UUIDField()
    trace_id = models.BinaryField()
    span_id = models.BinaryField()
    parent_span_id = models.BinaryField(null=True)
    run_id = models.UUIDField(null=True)
    name = models.TextField()
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField()
    attributes = models.JSONField(db_default={})

    class Meta:
        db_table = "span"
        indexes = [
            models.Index(fields=["organization_id", "trace_id"], name="span_trace"),
            models.Index(fields=["organization_id", "run_id"], name="span_run", condition=Q(run_id__isnull=False)),
        ]
