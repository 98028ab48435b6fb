"""The journal: actions, records, and the log they are proved by."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from aos.store.models.database import AosNow, CurrentTransaction, TransactionIdField


class Action(models.Model):
    """One governed act: its decision, intent and outcome."""

    pk = models.CompositePrimaryKey("organization_id", "id")
    organization_id = models.UUIDField()
    id = models.UUIDField()
    kind = models.TextField()
    name = models.TextField()
    effect = models.TextField(null=True)
    state = models.TextField()
    outcome = models.TextField()
    rules = models.JSONField()
    agent_id = models.UUIDField(null=True)
    agent_version = models.IntegerField(null=True)
    department_id = models.UUIDField(null=True)
    chain = models.JSONField()
    run_id = models.UUIDField(null=True)
    task_id = models.UUIDField(null=True)
    attempt = models.IntegerField(null=True)
    call_key = models.TextField(null=True)
    approval_id = models.UUIDField(null=True)
    tool_id = models.UUIDField(null=True)
    tool_version = models.IntegerField(null=True)
    digest = models.BinaryField()
    arguments_content_id = models.UUIDField(null=True)
    decision_content_id = models.UUIDField(null=True)
    outcome_content_id = models.UUIDField(null=True)
    error_code = models.TextField(null=True)
    holds = models.JSONField(db_default=[])
    cost_nanos = models.BigIntegerField(null=True)
    currency = models.TextField(null=True)
    clock = models.DateTimeField(null=True)
    deadline = models.DateTimeField(null=True)
    intended_at = models.DateTimeField(db_default=AosNow())
    concluded_at = models.DateTimeField(null=True)
    limited = models.BooleanField(db_default=False)
    price_nanos = models.BigIntegerField(null=True)
    price_currency = models.TextField(null=True)

    class Meta:
        db_table = "action"
        indexes = [
            models.Index(
                fields=["organization_id", "agent_id", "id"], name="action_agent", condition=Q(agent_id__isnull=False)
            ),
            models.Index(
                fields=["organization_id", "kind", "name"],
                name="action_turns",
                condition=Q(state="intended", limited=True),
            ),
            models.Index(
                fields=["deadline"], name="action_open", condition=Q(state="intended", deadline__isnull=False)
            ),
            models.Index(
                fields=["organization_id", "run_id", "id"], name="action_run", condition=Q(run_id__isnull=False)
            ),
            models.Index(
                fields=["organization_id", "task_id"],
                name="action_refused",
                condition=Q(state="refused", task_id__isnull=False),
            ),
        ]


class Record(models.Model):
    """A ledger record in its canonical bytes, exactly as hashed."""

    pk = models.CompositePrimaryKey("organization_id", "id")
    organization_id = models.UUIDField()
    id = models.UUIDField()
    kind = models.TextField()
    run_id = models.UUIDField(null=True)
    action_id = models.UUIDField(null=True)
    bytes = models.BinaryField(null=True)

    class Meta:
        db_table = "record"
        indexes = [
            models.Index(
                fields=["organization_id", "action_id"], name="record_action", condition=Q(action_id__isnull=False)
            ),
            models.Index(
                fields=["organization_id", "run_id", "id"], name="record_run", condition=Q(run_id__isnull=False)
            ),
        ]


class LedgerPending(models.Model):
    """A leaf that the integrator has not yet given its place."""

    pk = models.CompositePrimaryKey("organization_id", "record_id")
    organization_id = models.UUIDField()
    record_id = models.UUIDField()
    leaf = models.BinaryField()
    xid = TransactionIdField(db_default=CurrentTransaction())
    position = models.IntegerField()

    class Meta:
        db_table = "ledger_pending"
        indexes = [
            models.Index(fields=["organization_id", "xid", "position"], name="ledger_pending_order"),
        ]


class LedgerHead(models.Model):
    """The size of an organization's log, its peaks and its newest checkpoint."""

    organization_id = models.UUIDField(primary_key=True)
    size = models.BigIntegerField(db_default=0)
    peaks = models.BinaryField(db_default=b"")
    checkpoint = models.TextField(null=True)
    signed_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "ledger_head"


class LedgerLeaf(models.Model):
    """A record's place in the log."""

    pk = models.CompositePrimaryKey("organization_id", "index")
    organization_id = models.UUIDField()
    index = models.BigIntegerField()
    record_id = models.UUIDField()
    hash = models.BinaryField()

    class Meta:
        db_table = "ledger_leaf"
        constraints = [
            models.UniqueConstraint(
                fields=["organization_id", "record_id"], name="ledger_leaf_organization_id_record_id_key"
            ),
        ]


class LedgerNode(models.Model):
    """The root of a complete subtree, so that proofs read little."""

    pk = models.CompositePrimaryKey("organization_id", "level", "index")
    organization_id = models.UUIDField()
    level = models.SmallIntegerField()
    index = models.BigIntegerField()
    hash = models.BinaryField()

    class Meta:
        db_table = "ledger_node"


class LedgerCheckpoint(models.Model):
    """A signed tree head."""

    pk = models.CompositePrimaryKey("organization_id", "size")
    organization_id = models.UUIDField()
    size = models.BigIntegerField()
    note = models.TextField()
    key_id = models.UUIDField()
    signed_at = models.DateTimeField(db_default=AosNow())

    class Meta:
        db_table = "ledger_checkpoint"
