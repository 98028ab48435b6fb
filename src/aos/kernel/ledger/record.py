"""One ledger record: the closed set of what may stand in it, and its canonical bytes.

A record holds ids, closed codes, amounts, times and salted digests: no free text, no rendered reason, no argument,
no person's name or address. What people wrote lies in content, which can be erased; a leaf cannot.
The fields stand in alphabetical order, so that the encoder's output is already canonical (RFC 8785); a test keeps
it so. Fields without a value are left out. Adding an optional field keeps old bytes readable; a change of meaning
needs a new `FORMAT`. `Record` is a `msgspec.Struct` and not a dataclass: leaving out empty fields, encoding and the
check of every field then run in C, which is what keeps a record at a few microseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Final
from uuid import UUID

import msgspec

from aos.kernel.acts import ActKind
from aos.kernel.errors import FieldError, InvalidRequest
from aos.kernel.identity import Principal
from aos.kernel.ledger.canonical import INTEGER_MAX
from aos.kernel.misfits import misfit_text
from aos.kernel.money import Money
from aos.kernel.policy.values import Decision, Outcome

FORMAT: Final = 1
"""The version of the record's form, in every record."""

CHAIN_MAX: Final = 32
"""How many principals a chain may name."""

RULES_MAX: Final = 256
"""How many matched rules one record may name."""

DECISIONS_MAX: Final = 256
"""How many decisions one record may list."""

AMOUNTS_MAX: Final = 16
"""How many amounts, and how many usage figures, one record may carry."""

_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_ID = "[A-Za-z0-9_.:/@*-]"

Identifier = Annotated[str, msgspec.Meta(pattern=rf"\A{_ID}{{1,200}}\Z")]
"""The id of a rule, tool, model, agent, workflow or other registered thing, with `@version` where it has one."""

PrincipalId = Annotated[
    str, msgspec.Meta(pattern=rf"\A(?:person|agent|schedule|system):{_UUID}(?:@[1-9][0-9]{{0,9}})?\Z")
]
"""One link of a chain, `kind:uuid` with `@version` for an agent; never a name or an address."""

Code = Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9_.-]{0,63}\Z")]
"""A value of a closed set that another part of the kernel defines (error slug, status, unit)."""

Digest = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
Currency = Annotated[str, msgspec.Meta(pattern=r"\A[A-Z]{3}\Z")]
Nanos = Annotated[str, msgspec.Meta(pattern=r"\A(?:0|-?[1-9][0-9]{0,18})\Z")]
Instant = Annotated[
    str,
    msgspec.Meta(
        pattern=r"\A[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
        r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{6}Z\Z"
    ),
]
Count = Annotated[int, msgspec.Meta(ge=0, le=INTEGER_MAX)]


class RecordKind(StrEnum):
    """What a record says happened."""

    ACT_ESCALATED = "act.escalated"
    ACT_FAILED = "act.failed"
    ACT_INTENDED = "act.intended"
    ACT_PERFORMED = "act.performed"
    ACT_REFUSED = "act.refused"
    ACT_UNKNOWN = "act.unknown"
    ACTS_DECIDED = "acts.decided"
    AGENT_CHANGED = "agent.changed"
    APPROVAL_ANSWERED = "approval.answered"
    APPROVAL_EXPIRED = "approval.expired"
    APPROVAL_USED = "approval.used"
    BUDGET_CHANGED = "budget.changed"
    CONTENT_ERASED = "content.erased"
    CONTENT_READ = "content.read"
    FINDING_REPORTED = "finding.reported"
    GATE_PROBED = "gate.probed"
    INVOICE_ISSUED = "invoice.issued"
    KEY_CHANGED = "key.changed"
    POLICY_PUBLISHED = "policy.published"
    REGISTRY_CHANGED = "registry.changed"
    RUN_CHANGED = "run.changed"
    RUN_FINISHED = "run.finished"
    RUN_STARTED = "run.started"
    TASK_FINISHED = "task.finished"
    TASK_STARTED = "task.started"
    TOKEN_CHANGED = "token.changed"


REQUIRED: Final[Mapping[RecordKind, tuple[str, ...]]] = MappingProxyType(
    {
        RecordKind.ACT_ESCALATED: ("action_id", "act_kind", "act_name", "approval_id", "decision", "principal"),
        RecordKind.ACT_FAILED: ("action_id",),
        RecordKind.ACT_INTENDED: ("action_id", "act_kind", "act_name", "decision", "principal"),
        RecordKind.ACT_PERFORMED: ("action_id",),
        RecordKind.ACT_REFUSED: ("action_id", "act_kind", "act_name", "principal"),
        RecordKind.ACT_UNKNOWN: ("action_id",),
        RecordKind.ACTS_DECIDED: ("args_digest", "args_id", "decisions", "principal"),
        RecordKind.AGENT_CHANGED: ("change", "subject"),
        RecordKind.APPROVAL_ANSWERED: ("approval_id", "change", "principal"),
        RecordKind.APPROVAL_EXPIRED: ("approval_id",),
        RecordKind.APPROVAL_USED: ("approval_id", "action_id"),
        RecordKind.BUDGET_CHANGED: ("change", "subject"),
        RecordKind.CONTENT_ERASED: ("subject",),
        RecordKind.CONTENT_READ: ("principal", "subject"),
        RecordKind.FINDING_REPORTED: ("finding", "subject"),
        RecordKind.GATE_PROBED: ("status",),
        RecordKind.INVOICE_ISSUED: ("subject",),
        RecordKind.KEY_CHANGED: ("change", "subject"),
        RecordKind.POLICY_PUBLISHED: ("subject",),
        RecordKind.REGISTRY_CHANGED: ("change", "subject"),
        RecordKind.RUN_CHANGED: ("change", "run_id"),
        RecordKind.RUN_FINISHED: ("run_id", "status"),
        RecordKind.RUN_STARTED: ("principal", "run_id"),
        RecordKind.TASK_FINISHED: ("run_id", "status", "task_id"),
        RecordKind.TASK_STARTED: ("attempt", "run_id", "task_id"),
        RecordKind.TOKEN_CHANGED: ("change", "subject"),
    }
)
"""The fields without which a record of a kind says nothing."""


class Amount(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Money in one currency: `nanos` is a string of digits, since nano-units outgrow JSON's exact integers."""

    currency: Currency
    nanos: Nanos
    role: Code


class Usage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A quantity used, by unit (`input_tokens`, `calls`, `milliseconds`)."""

    quantity: Count
    unit: Code


class Listed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One decision of a record that lists many: what was asked for, and what was decided under which rules."""

    act_kind: ActKind
    act_name: Identifier
    decision: Outcome
    rules: Annotated[tuple[Identifier, ...], msgspec.Meta(max_length=RULES_MAX)] = ()


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One fact of the ledger; see the module's rules before adding a field."""

    act_kind: ActKind | None = None
    act_name: Identifier | None = None
    action_id: UUID | None = None
    agent_version: Count | None = None
    amounts: Annotated[tuple[Amount, ...], msgspec.Meta(max_length=AMOUNTS_MAX)] = ()
    approval_id: UUID | None = None
    args_digest: Digest | None = None
    args_id: UUID | None = None
    at: Instant
    attempt: Count | None = None
    call_digest: Digest | None = None
    change: Code | None = None
    clock: Instant | None = None
    decision: Outcome | None = None
    decisions: Annotated[tuple[Listed, ...], msgspec.Meta(max_length=DECISIONS_MAX)] = ()
    epoch: Count | None = None
    error: Code | None = None
    finding: Code | None = None
    # A factory, because a plain default would be left out of the bytes.
    format: Annotated[int, msgspec.Meta(ge=FORMAT, le=FORMAT)] = msgspec.field(default_factory=lambda: FORMAT)
    id: UUID
    kind: RecordKind
    organization_id: UUID
    parent_action_id: UUID | None = None
    permit_id: UUID | None = None
    principal: Annotated[tuple[PrincipalId, ...], msgspec.Meta(max_length=CHAIN_MAX)] = ()
    result_digest: Digest | None = None
    result_id: UUID | None = None
    rules: Annotated[tuple[Identifier, ...], msgspec.Meta(max_length=RULES_MAX)] = ()
    run_id: UUID | None = None
    status: Code | None = None
    subject: Identifier | None = None
    subject_digest: Digest | None = None
    subject_version: Count | None = None
    task_id: UUID | None = None
    usage: Annotated[tuple[Usage, ...], msgspec.Meta(max_length=AMOUNTS_MAX)] = ()


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Record).decode


def record_bytes(record: Record) -> bytes:
    """Return the record's canonical bytes, which are stored and hashed.

    Every field is checked against the closed schema and `REQUIRED`. Raises `InvalidRequest` naming the field.
    """
    try:
        data = _encode(record)
        _decode(data)
    except (msgspec.ValidationError, TypeError, UnicodeEncodeError) as error:
        raise InvalidRequest(
            f"the ledger record `{record.id}` does not fit its schema: {misfit_text(error)}"
        ) from error
    _check_required(record)
    return data


def parse_record(data: bytes) -> Record:
    """Read a record back from its bytes.

    Raises `InvalidRequest` when a field is outside the closed schema or the bytes are not in canonical form.
    """
    try:
        record = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"these bytes are not a ledger record: {misfit_text(error)}") from error
    if _encode(record) != data:
        raise InvalidRequest(f"the bytes of ledger record `{record.id}` are not in canonical form")
    _check_required(record)
    return record


def amount(role: str, money: Money) -> Amount:
    """Return money in the form that records hold; `role` says what it is (`hold`, `cost`, `moved`)."""
    return Amount(role=role, nanos=str(money.nanos), currency=money.currency)


def principal_ids(principal: Principal) -> tuple[str, ...]:
    """Return the chain as records name it, root first: ids and versions, no names."""
    return tuple(
        f"{link.kind}:{link.id}@{link.version}" if link.version else f"{link.kind}:{link.id}"
        for link in principal.chain
    )


def rule_ids(decision: Decision) -> tuple[str, ...]:
    """Return the rules that matched as records name them, `id@version`; their reasons stay in content."""
    return tuple(f"{matched.id}@{matched.version}" for matched in decision.matched)


def record_time(moment: datetime) -> str:
    """Write a moment as records do: RFC 3339, UTC, always six digits of microseconds.

    Raises `InvalidRequest` for a moment without a zone.
    """
    if moment.tzinfo is None:
        raise InvalidRequest(f"the time `{moment.isoformat()}` has no zone; give one with a zone")
    in_utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return in_utc.isoformat(timespec="microseconds")[:-6] + "Z"


def _check_required(record: Record) -> None:
    for name in REQUIRED[record.kind]:
        value = getattr(record, name)
        if value is None or value == ():
            detail = f"a record of kind `{record.kind.value}` needs `{name}`"
            raise InvalidRequest(detail, errors=[FieldError(f"/{name}", detail)])
