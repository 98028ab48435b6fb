"""A record's bytes are canonical, its schema is closed, and nothing that people wrote can stand in it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import msgspec
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from aos.kernel.acts import ActKind
from aos.kernel.errors import InvalidRequest
from aos.kernel.identity import ChainLink, Principal, PrincipalKind
from aos.kernel.ledger.record import (
    REQUIRED,
    Amount,
    Listed,
    Record,
    RecordKind,
    Usage,
    amount,
    parse_record,
    principal_ids,
    record_bytes,
    record_time,
    rule_ids,
)
from aos.kernel.money import Money
from aos.kernel.policy.values import Decision, Matched, Outcome, RuleSource

ONE, TWO, THREE = (UUID(int=number) for number in (1, 2, 3))
AT = "2026-11-23T02:42:00.000001Z"
CHAIN = (f"person:{ONE}", f"agent:{TWO}@3")


def intended(**changes: object) -> Record:
    fields: dict[str, object] = {
        "id": ONE,
        "organization_id": TWO,
        "kind": RecordKind.ACT_INTENDED,
        "at": AT,
        "principal": CHAIN,
        "act_kind": ActKind.TOOL,
        "act_name": "payments.create",
        "action_id": THREE,
        "args_digest": "a" * 64,
        "decision": Outcome.ALLOW,
        "rules": ("permission/finance/payments.create@1",),
        "amounts": (amount("hold", Money(2_000_000, "EUR")),),
        "usage": (Usage(unit="calls", quantity=1),),
        "attempt": 1,
    }
    return Record(**(fields | changes))  # type: ignore[arg-type]


FULL = intended(
    agent_version=3, approval_id=ONE, args_id=TWO, call_digest="b" * 64, change="paused",
    clock="2026-10-30T09:00:00.000000Z",
    decisions=(Listed(act_kind=ActKind.TOOL, act_name="erp.list", decision=Outcome.DENY, rules=("a@1",)),), epoch=7, error="tool-failed",
    finding="slow", parent_action_id=ONE, permit_id=TWO, result_digest="c" * 64, result_id=THREE, run_id=ONE,
    status="done", subject="agent:finance", subject_digest="d" * 64, subject_version=2, task_id=TWO,
)  # fmt: skip


def test_a_full_record_is_written_in_canonical_form() -> None:
    data = record_bytes(FULL)
    assert set(json.loads(data)) == {field.name for field in msgspec.structs.fields(Record)}
    assert data == rfc8785.dumps(json.loads(data))


def test_a_record_reads_back_equal() -> None:
    assert parse_record(record_bytes(FULL)) == FULL


def test_a_field_without_a_value_is_left_out_and_the_format_is_always_there() -> None:
    written = json.loads(
        record_bytes(Record(id=ONE, organization_id=TWO, kind=RecordKind.ACT_FAILED, at=AT, action_id=ONE))
    )
    assert written == {
        "action_id": str(ONE), "at": AT, "format": 1, "id": str(ONE), "kind": "act.failed", "organization_id": str(TWO),
    }  # fmt: skip


def test_money_beyond_the_exact_integers_of_json_is_kept_exact() -> None:
    nanos = 9_200_000_000 * 10**9
    record = intended(amounts=(amount("moved", Money(-nanos, "EUR")),))
    assert int(parse_record(record_bytes(record)).amounts[0].nanos) == -nanos


@given(st.integers(-(2**63) + 1, 2**63 - 1))
def test_every_amount_of_64_bits_reads_back(nanos: int) -> None:
    written = record_bytes(intended(amounts=(amount("cost", Money(nanos, "USD")),)))
    assert int(parse_record(written).amounts[0].nanos) == nanos


@pytest.mark.parametrize(
    "changes",
    [
        {"act_name": "pay the invoice"},
        {"act_name": "payments.create\n"},
        {"act_name": ""},
        {"act_name": "x" * 201},
        {"subject": "Zoë"},
        {"principal": ("person:maria@larkspur.example",)},
        {"principal": ("maria",)},
        {"principal": (f"agent:{ONE}@0",)},
        {"principal": CHAIN * 20},
        {"rules": ("payment of 18240 EUR is over the limit",)},
        {"rules": ("r",) * 257},
        {"error": "The supplier said no"},
        {"args_digest": "A" * 64},
        {"args_digest": "a" * 63},
        {"args_digest": "a" * 64 + "\n"},
        {"decision": "maybe"},
        {"act_kind": "prayer"},
        {"kind": "act.imagined"},
        {"action_id": "not a uuid"},
        {"attempt": -1},
        {"attempt": 2**53},
        {"attempt": 1.5},
        {"at": "2026-11-23T02:42:00Z"},
        {"at": "2026-13-23T02:42:00.000000Z"},
        {"at": "2026-11-23T02:42:00.000000+00:00"},
        {"amounts": (Amount(role="cost", nanos="1.5", currency="EUR"),)},
        {"amounts": (Amount(role="cost", nanos="01", currency="EUR"),)},
        {"amounts": (Amount(role="cost", nanos="-0", currency="EUR"),)},
        {"amounts": (Amount(role="cost", nanos="1", currency="euro"),)},
        {"usage": (Usage(unit="words of mine", quantity=1),)},
        {"format": 2},
    ],
)
def test_free_text_and_whatever_is_outside_the_schema_is_refused(changes: dict[str, object]) -> None:
    record_bytes(intended())
    with pytest.raises(InvalidRequest):
        record_bytes(intended(**changes))


@pytest.mark.parametrize("kind", list(RecordKind))
def test_a_record_of_each_kind_needs_its_fields(kind: RecordKind) -> None:
    record_bytes(msgspec.structs.replace(FULL, kind=kind))
    for name in REQUIRED[kind]:
        empty: object = () if name in ("principal", "decisions") else None
        with pytest.raises(InvalidRequest, match=name):
            record_bytes(msgspec.structs.replace(FULL, kind=kind, **{name: empty}))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        record_bytes(FULL) + b" ",
        record_bytes(FULL).replace(b'":', b'": ', 1),
        record_bytes(FULL).replace(b'"run_id"', b'"note":"x","run_id"'),
        record_bytes(FULL).replace(b'"attempt":1', b'"attempt":1,"attempt":1'),
        record_bytes(FULL).replace(b'"at":', b'"z":', 1),
    ],
)
def test_bytes_that_are_not_a_records_canonical_form_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidRequest):
        parse_record(data)


def test_a_chain_is_named_by_ids_and_versions_and_never_by_names() -> None:
    chain = (ChainLink(PrincipalKind.PERSON, ONE, "Maria"), ChainLink(PrincipalKind.AGENT, TWO, "finance", 3))
    assert principal_ids(Principal(THREE, chain)) == CHAIN


def test_rules_are_named_by_id_and_version_without_their_reasons() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    rule = Matched("large-payments", 4, Outcome.ESCALATE, "payment of 18240 EUR", RuleSource.POLICY)
    assert rule_ids(Decision(Outcome.ESCALATE, (rule,), "", now, now)) == ("large-payments@4",)


@pytest.mark.parametrize(
    ("moment", "written"),
    [
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05.000000Z"),
        (datetime(2026, 1, 2, 0, 0, 0, 7, tzinfo=timezone(timedelta(hours=2))), "2026-01-01T22:00:00.000007Z"),
    ],
)
def test_times_are_written_in_utc_with_microseconds(moment: datetime, written: str) -> None:
    assert record_time(moment) == written
    record_bytes(intended(at=written))


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        record_time(datetime(2026, 1, 1))
