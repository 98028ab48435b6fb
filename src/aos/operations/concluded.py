"""From an outcome to what is written of it: state, content, settlement, usage and the origins that it brings into a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from aos.kernel.acts import ActionState, ActKind, Permit, Recorded
from aos.kernel.agents import Agent
from aos.kernel.budget import Hold, in_currency
from aos.kernel.json import Json
from aos.kernel.ledger.record import Record, RecordKind, Usage, amount, record_time
from aos.kernel.limits import ORIGIN_TOKENS_OUTCOME_MAX
from aos.kernel.money import Money
from aos.kernel.origins import token_digest, tokens_of
from aos.kernel.ports import Line, ToolOutcome
from aos.kernel.tools import ResultTrust
from aos.operations.conclusion import Conclusion
from aos.operations.contents import Sealed, seal_content
from aos.operations.drivers import Drivers
from aos.operations.facts import OrganizationFacts
from aos.operations.records import record_row
from aos.operations.run_facts import RunFacts
from aos.store.rows import ConcludeRow, OriginRow, UsageRow, hex_bytes

_KINDS = {
    ActionState.PERFORMED: RecordKind.ACT_PERFORMED,
    ActionState.FAILED: RecordKind.ACT_FAILED,
    ActionState.UNKNOWN: RecordKind.ACT_UNKNOWN,
}
_STATUS = {ActionState.PERFORMED: 200, ActionState.FAILED: 502, ActionState.UNKNOWN: 409}


@dataclass(frozen=True, slots=True)
class Charge:
    """What a part of an action cost in the organization's currency, and the rate where its price was in another."""

    name: str
    unit: str
    quantity: int
    cost: Money
    rate_nanos: int | None


def conclusion(
    permit: Permit,
    outcome: ToolOutcome,
    facts: OrganizationFacts,
    *,
    run: RunFacts | None,
    now: datetime,
    drivers: Drivers,
) -> tuple[Conclusion, Recorded]:
    """Return what to write of an outcome and what to answer once it is written.

    A call that was never sent costs nothing; one whose outcome is unknown is charged in full and marked estimated.
    """
    state = _state(outcome)
    recorded = _recorded(permit, outcome, state)
    sealed = None
    if outcome.kept:
        sealed = seal_content(
            outcome.value if outcome.ok else {"detail": outcome.error},
            purpose="outcome",
            organization_id=facts.id,
            keys=facts.data_keys,
            crypto=drivers.crypto,
            ids=drivers.ids,
        )
    charges = _charges(permit, outcome, facts)
    cost = Money(sum(charge.cost.nanos for charge in charges), facts.settings.currency)
    record = _record(permit, state, sealed, charges=charges, cost=cost, facts=facts, now=now, drivers=drivers)
    member = Conclusion(_row(permit, state, sealed, cost=cost, error=recorded.error))
    if outcome.frees_key:
        member.row.status = None
    if sealed is not None:
        member.contents.append(sealed.row)
    member.records.append(record_row(record))
    member.settlements = _settlements(permit, outcome, cost, facts)
    estimated = outcome.unknown or outcome.estimated
    member.usage = [
        _usage(permit, charge, facts, record_id=record.id, estimated=estimated, drivers=drivers) for charge in charges
    ]
    if run is not None and permit.tool is not None:
        # The agent reads why a call failed too, and that text is whatever the far side made of it.
        trust = permit.tool.result_trust if outcome.ok else ResultTrust.UNTRUSTED
        _trace(member, outcome.value if outcome.ok else outcome.error, trust, run=run)
    return member, recorded


def _state(outcome: ToolOutcome) -> ActionState:
    if outcome.unknown:
        return ActionState.UNKNOWN
    return ActionState.PERFORMED if outcome.ok else ActionState.FAILED


def _recorded(permit: Permit, outcome: ToolOutcome, state: ActionState) -> Recorded:
    if state is ActionState.PERFORMED:
        return Recorded(permit.action_id, state, outcome.value)
    failed = outcome.code or ("upstream-failed" if permit.act.kind is ActKind.MODEL else "tool-failed")
    error = "outcome-unknown" if state is ActionState.UNKNOWN else failed
    return Recorded(permit.action_id, state, error=error, detail=outcome.error)


def _charges(permit: Permit, outcome: ToolOutcome, facts: OrganizationFacts) -> list[Charge]:
    settings = facts.settings
    if permit.act.kind is ActKind.ASK:
        return []  # a person's answer is no call of anything
    lines: tuple[Line, ...] = outcome.lines
    if not lines:
        price = permit.price if permit.price is not None and outcome.sent else Money(0, settings.currency)
        lines = (Line(permit.act.name, "calls", 1, price),)
    return [
        Charge(
            line.name,
            line.unit,
            line.quantity,
            in_currency(line.cost, settings.currency, rates=settings.rates),
            None if line.cost.currency == settings.currency else settings.rates.get(line.cost.currency),
        )
        for line in lines
    ]


def _settlements(permit: Permit, outcome: ToolOutcome, cost: Money, facts: OrganizationFacts) -> list[tuple[Hold, int]]:
    """Return each hold with what of it is charged: all where the act cost its price, else as much as it cost of that."""
    if not outcome.sent:
        return [(hold, 0) for hold in permit.holds]
    if not outcome.lines or permit.price is None:
        return [(hold, hold.nanos) for hold in permit.holds]
    whole = in_currency(permit.price, cost.currency, rates=facts.settings.rates).nanos
    return [(hold, (hold.nanos * cost.nanos + whole // 2) // whole if whole else 0) for hold in permit.holds]


def _row(permit: Permit, state: ActionState, sealed: Sealed | None, *, cost: Money, error: str) -> ConcludeRow:
    act = permit.act
    claim = act.principal.claim
    return ConcludeRow(
        n=0,
        organization_id=act.principal.organization_id,
        action_id=permit.action_id,
        state=state.value,
        outcome_content_id=sealed.row.id if sealed is not None else None,
        error_code=error or None,
        cost_nanos=cost.nanos,
        currency=cost.currency,
        task_id=claim.task_id if claim else None,
        claim_token=claim.token if claim else None,
        attempt=claim.attempt if claim else None,
        run_id=claim.run_id if claim else None,
        call_key=act.call.key if act.call else None,
        tries=act.call.tries if act.call else None,
        idempotency_principal=act.principal.actor.id if act.idempotency_key else None,
        idempotency_key=act.idempotency_key,
        status=_STATUS[state],
    )


def _record(
    permit: Permit,
    state: ActionState,
    sealed: Sealed | None,
    *,
    charges: Sequence[Charge],
    cost: Money,
    facts: OrganizationFacts,
    now: datetime,
    drivers: Drivers,
) -> Record:
    claim = permit.act.principal.claim
    return Record(
        id=drivers.ids.new(),
        kind=_KINDS[state],
        organization_id=facts.id,
        at=record_time(now),
        action_id=permit.action_id,
        amounts=(amount("cost", cost),) if cost.nanos else (),
        attempt=claim.attempt if claim else None,
        result_digest=sealed.digest if sealed is not None else None,
        result_id=sealed.row.id if sealed is not None else None,
        run_id=claim.run_id if claim else None,
        task_id=claim.task_id if claim else None,
        usage=tuple(Usage(quantity=charge.quantity, unit=charge.unit) for charge in charges),
    )


def _usage(
    permit: Permit,
    charge: Charge,
    facts: OrganizationFacts,
    *,
    record_id: UUID,
    estimated: bool,
    drivers: Drivers,
) -> UsageRow:
    act = permit.act
    claim = act.principal.claim
    agent: Agent | None = facts.agent_of(act.principal)
    return UsageRow(
        n=0,
        organization_id=facts.id,
        id=drivers.ids.new(),
        kind="model_call" if act.kind is ActKind.MODEL else "tool_call",
        name=charge.name,
        quantity=charge.quantity,
        unit=charge.unit,
        cost_nanos=charge.cost.nanos,
        currency=charge.cost.currency,
        rate_nanos=charge.rate_nanos,
        record_id=record_id,
        action_id=permit.action_id,
        run_id=claim.run_id if claim else None,
        task_id=claim.task_id if claim else None,
        agent_id=agent.id if agent else None,
        agent_version=agent.version if agent else None,
        department_id=agent.department_id if agent else None,
        estimated=estimated,
    )


def _trace(member: Conclusion, value: Json, trust: ResultTrust, *, run: RunFacts) -> None:
    """Add the keyed digests of what the outcome brought into the run."""
    seen = tokens_of(value, trust, at_most=ORIGIN_TOKENS_OUTCOME_MAX)
    member.row.incomplete = seen.incomplete
    member.origins = [
        OriginRow(
            n=0,
            token=hex_bytes(token_digest(run.origin_key, token.text)),
            origin=token.origin.value,
            whole=token.whole,
        )
        for token in seen.tokens
    ]
