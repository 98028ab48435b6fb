"""Rows as they enter the hot statements: one struct a table, encoded to JSON once for a whole batch.

A batch is one JSON document for each kind of row; the statement reads it with `json_to_recordset`. That costs a third
of binding an array for each column, and a row's name is its column's name. Bytes travel as PostgreSQL's hex text.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

import msgspec

_encode = msgspec.json.Encoder().encode


def rows_json(rows: Sequence[msgspec.Struct]) -> str:
    """Return the JSON document of a batch."""
    return _encode(rows).decode("utf-8")


def hex_bytes(data: bytes) -> str:
    """Return bytes in the text form that a `bytea` column reads."""
    return "\\x" + data.hex()


class ContentRow(msgspec.Struct, kw_only=True):
    """One piece of encrypted content; `n` names the member of the batch that it belongs to."""

    n: int
    organization_id: UUID
    id: UUID
    purpose: str
    data_key_id: UUID
    salt: str
    sealed: str
    erase_after: datetime | None = None


def contents_bytes(rows: Sequence[ContentRow]) -> int:
    """Return how many bytes the sealed contents of a member bring into a batch."""
    return sum(len(row.sealed) for row in rows)


class RecordRow(msgspec.Struct, kw_only=True):
    """One ledger record with its leaf; `position` orders the records of one transaction."""

    n: int
    organization_id: UUID
    id: UUID
    kind: str
    bytes: str
    leaf: str
    position: int
    run_id: UUID | None = None
    action_id: UUID | None = None


class DecidedRow(msgspec.Struct, kw_only=True):
    """One record that lists decisions, and the epoch on which they were made."""

    n: int
    organization_id: UUID
    epoch: int


class AdmitRow(msgspec.Struct, kw_only=True):
    """One decided act: what `admit.sql` writes and what it checks first.

    What is an object here is encoded as it stands: a chain's links, a rule's fields, a hold's budget, month and nanos.
    """

    n: int
    organization_id: UUID
    epoch: int
    action_id: UUID
    kind: str
    name: str
    state: str
    outcome: str
    rules: object
    chain: object
    digest: str
    effect: str | None = None
    agent_id: UUID | None = None
    agent_version: int | None = None
    department_id: UUID | None = None
    run_id: UUID | None = None
    task_id: UUID | None = None
    claim_token: UUID | None = None
    attempt: int | None = None
    call_key: str | None = None
    tries: int | None = None
    approval_id: UUID | None = None
    tool_id: UUID | None = None
    tool_version: int | None = None
    arguments_content_id: UUID | None = None
    decision_content_id: UUID | None = None
    outcome_content_id: UUID | None = None
    error_code: str | None = None
    holds: object = None
    clock: datetime | None = None
    deadline_seconds: float | None = None
    idempotency_principal: UUID | None = None
    idempotency_key: str | None = None
    limited: bool = False
    """Whether the tool or model has a limit, so that the act counts while it is under way."""
    price_nanos: int | None = None
    price_currency: str | None = None
    """What it may cost, for whoever finds it without conclusion."""


class TurnRow(msgspec.Struct, kw_only=True):
    """One tool or model of which only so many calls may be under way."""

    organization_id: UUID
    kind: str
    name: str


class ApprovalRow(msgspec.Struct, kw_only=True):
    """One approval to open."""

    n: int
    organization_id: UUID
    id: UUID
    rules: object
    approver_role: str
    roles_left: tuple[str, ...]
    quorum: int
    shown_content_id: UUID
    expires_seconds: float


class HoldRow(msgspec.Struct, kw_only=True):
    """One hold on one account, in the account's currency."""

    n: int
    organization_id: UUID
    budget_id: UUID
    period_start: date
    nanos: int


class ConcludeRow(msgspec.Struct, kw_only=True):
    """One outcome: what `conclude.sql` writes."""

    n: int
    organization_id: UUID
    action_id: UUID
    state: str
    outcome_content_id: UUID | None = None
    error_code: str | None = None
    cost_nanos: int = 0
    currency: str | None = None
    task_id: UUID | None = None
    claim_token: UUID | None = None
    attempt: int | None = None
    call_key: str | None = None
    tries: int | None = None
    run_id: UUID | None = None
    incomplete: bool = False
    idempotency_principal: UUID | None = None
    idempotency_key: str | None = None
    status: int | None = None


class SettlementRow(msgspec.Struct, kw_only=True):
    """What one account gives back of its hold and is charged instead."""

    n: int
    organization_id: UUID
    budget_id: UUID
    period_start: date
    held_nanos: int
    settled_nanos: int


class OriginRow(msgspec.Struct, kw_only=True):
    """One keyed digest of a value that an outcome brought into a run."""

    n: int
    token: str
    origin: str
    whole: bool


class UsageRow(msgspec.Struct, kw_only=True):
    """One usage event, with the record that states it."""

    n: int
    organization_id: UUID
    id: UUID
    kind: str
    name: str
    quantity: int
    unit: str
    cost_nanos: int
    currency: str
    record_id: UUID
    action_id: UUID | None = None
    run_id: UUID | None = None
    task_id: UUID | None = None
    agent_id: UUID | None = None
    agent_version: int | None = None
    department_id: UUID | None = None
    rate_nanos: int | None = None
    estimated: bool = False
