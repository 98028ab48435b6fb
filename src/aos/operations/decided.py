"""From a decision to what is written of it: rows of the action, its records, its approval and its content.

Each of the three outcomes has one function. Ids, codes, amounts and salted digests go into the record; arguments,
reasons and the facts that were read go into content.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from aos.kernel.acts import Act, ActionState, Permit
from aos.kernel.agents import Agent
from aos.kernel.budget import NoRoom
from aos.kernel.errors import FieldError
from aos.kernel.identity import ChainLink
from aos.kernel.json import Json
from aos.kernel.ledger.record import Amount, Record, RecordKind, amount, principal_ids, record_time, rule_ids
from aos.kernel.policy.values import Decision, Outcome
from aos.kernel.tools import Tool
from aos.operations.admission import Admission
from aos.operations.contents import Sealed, seal_content
from aos.operations.drivers import Drivers
from aos.operations.facts import OrganizationFacts
from aos.operations.records import record_row
from aos.store.rows import AdmitRow, ApprovalRow, hex_bytes

CAPTURED_REQUEST: Final = "request"
"""Under which name the text of a model's request lies with its arguments."""


@dataclass(frozen=True, slots=True)
class Decided:
    """An act with its decision and everything that it was decided on."""

    act: Act
    decision: Decision
    facts: OrganizationFacts
    action_id: UUID
    agent: Agent | None
    tool_id: UUID | None = None
    tool_version: int | None = None
    effect: str | None = None
    error: str = ""
    """Set where the act is refused for another reason than policy: bad arguments, an unknown tool."""


def chain_json(chain: tuple[ChainLink, ...]) -> Any:
    """Return a chain as it stands in the store: root first."""
    return [{"kind": link.kind.value, "id": str(link.id), "name": link.name, "version": link.version} for link in chain]


def intent(decided: Decided, permit: Permit, *, now: datetime, drivers: Drivers, deadline_seconds: float) -> Admission:
    """Return the admission of an allowed act: its intent, its arguments, its holds; a used approval where it had one."""
    arguments = _seal_arguments(decided, drivers)
    shown = None if _tells_itself(decided) else _seal_shown(decided, drivers)
    row = _row(decided, ActionState.INTENDED, arguments=arguments, shown=shown)
    row.holds = [(hold.account.budget_id, hold.account.period_start, hold.nanos) for hold in permit.holds]
    row.deadline_seconds = deadline_seconds
    if permit.price is not None:
        row.price_nanos, row.price_currency = permit.price.nanos, permit.price.currency
    row.limited = permit.turn is not None
    row.approval_id = permit.approval_id
    hold = (amount("hold", permit.price),) if permit.price is not None else ()
    record = _record(decided, RecordKind.ACT_INTENDED, now=now, drivers=drivers, arguments=arguments, amounts=hold)
    records = [record_row(record)]
    if permit.approval_id is not None:
        used = _record(decided, RecordKind.APPROVAL_USED, now=now, drivers=drivers, arguments=arguments)
        records.append(record_row(msgspec.structs.replace(used, approval_id=permit.approval_id)))

    def refuse(grant: NoRoom) -> Admission:
        decision = replace(decided.decision, outcome=Outcome.DENY, reason=str(grant))
        return refusal(replace(decided, decision=decision, error="budget-spent"), now=now, drivers=drivers)

    contents = [arguments.row] if shown is None else [arguments.row, shown.row]
    return Admission(row, contents, records, holds=permit.holds, refuse=refuse)


def escalation(
    decided: Decided, *, approval_id: UUID, now: datetime, drivers: Drivers, supersedes: UUID | None = None
) -> Admission:
    """Return the admission of an act that waits for a person, with the approval to open.

    `supersedes` is the approval that was given before and no longer covers the act: it ends with this admission, and the new
    one asks for every rule that matched, so that it satisfies them all.
    """
    arguments, shown = _contents(decided, drivers)
    approvers = decided.decision.approvers
    assert approvers is not None
    rules = [
        {"id": rule.id, "version": rule.version}
        for rule in decided.decision.matched
        if rule.outcome is Outcome.ESCALATE
    ]
    approval = ApprovalRow(
        n=0,
        organization_id=decided.facts.id,
        id=approval_id,
        rules=rules,
        approver_role=approvers.roles[0],
        roles_left=approvers.roles,
        quorum=approvers.quorum,
        shown_content_id=shown.row.id,
        expires_seconds=approvers.expires_seconds,
    )
    record = _record(decided, RecordKind.ACT_ESCALATED, now=now, drivers=drivers, arguments=arguments)
    record = msgspec.structs.replace(record, approval_id=approval_id)
    row = _row(decided, ActionState.WAITING, arguments=arguments, shown=shown)
    row.approval_id = supersedes
    return Admission(row, [arguments.row, shown.row], [record_row(record)], approval)


def refusal(decided: Decided, *, now: datetime, drivers: Drivers) -> Admission:
    """Return the admission of a refused act: its record, and what its caller is told, now and whenever it asks again."""
    arguments, shown = _contents(decided, drivers)
    told = _seal(
        {"detail": decided.decision.reason, "reasons": list(reasons_of(decided.decision))}, "outcome", decided, drivers
    )
    row = _row(decided, ActionState.REFUSED, arguments=arguments, shown=shown)
    row.outcome_content_id = told.row.id
    row.error_code = decided.error or "denied"
    row.outcome = Outcome.DENY.value
    record = _record(decided, RecordKind.ACT_REFUSED, now=now, drivers=drivers, arguments=arguments)
    record = msgspec.structs.replace(
        record, error=row.error_code, decision=Outcome.DENY, result_digest=told.digest, result_id=told.row.id
    )
    return Admission(row, [arguments.row, shown.row, told.row], [record_row(record)])


def reasons_of(decision: Decision) -> tuple[str, ...]:
    """Return every matched rule with its reason, as people read it."""
    return tuple(f"{rule.id}: {rule.reason}" for rule in decision.matched if rule.outcome is not Outcome.ALLOW)


def with_bad_arguments_refused(decided: Decided, tool: Tool, wrong: Sequence[FieldError]) -> Decided:
    """Return the decision, turned into a refusal for what does not fit the tool's schema.

    A denial stands, for who may not call the tool is not told of its arguments; but not one that was made only because a
    rule could not read them.
    """
    matched = tuple(each for each in decided.decision.matched if not each.failed)
    outcomes = {each.outcome for each in matched}
    if not wrong or Outcome.DENY in outcomes or Outcome.ALLOW not in outcomes:
        return decided
    told = "; ".join(f"{error.pointer or '/'}: {error.detail}" for error in wrong[:5])
    reason = f"arguments of `{tool.name}`: {told}"
    decision = replace(decided.decision, outcome=Outcome.DENY, matched=matched, reason=reason)
    return replace(decided, decision=decision, error="invalid-request")


def told_of(kept: Any) -> tuple[str, tuple[str, ...]]:
    """Return detail and reasons from the kept outcome of an act that was not performed.

    They are the ones that the caller was told when it happened: an agent's next pass must read the same.
    """
    told = kept if isinstance(kept, dict) else {}
    reasons = told.get("reasons")
    return str(told.get("detail", "")), tuple(str(reason) for reason in reasons) if isinstance(reasons, list) else ()


def shown_of(act: Act, decision: Decision) -> Json:
    """Return a decision as people see it: the act, the outcome, every matched rule with its reason, the facts read."""
    return {
        "kind": act.kind.value,
        "name": act.name,
        "arguments": act.arguments,
        "outcome": decision.outcome.value,
        "reason": decision.reason,
        "rules": [msgspec.to_builtins(rule) for rule in decision.matched],
        "facts": dict(decision.read),
        **({"route": act.model.route} if act.model is not None and act.model.route is not None else {}),
        "decided_at": decision.decided_at.isoformat(),
        "clock": decision.clock.isoformat(),
        "chain": [str(link) for link in act.principal.chain],
    }


def _contents(decided: Decided, drivers: Drivers) -> tuple[Sealed, Sealed]:
    return _seal_arguments(decided, drivers), _seal_shown(decided, drivers)


def _seal_arguments(decided: Decided, drivers: Drivers) -> Sealed:
    """Seal the arguments, and beside them what is kept of a request to a model, which the decision does not show."""
    act, arguments = decided.act, decided.act.arguments
    if act.model is not None and act.model.captured and isinstance(arguments, dict):
        arguments = {**arguments, CAPTURED_REQUEST: act.model.captured}
    return _seal(arguments, "arguments", decided, drivers)


def _seal_shown(decided: Decided, drivers: Drivers) -> Sealed:
    return _seal(shown_of(decided.act, decided.decision), "decision", decided, drivers)


def _tells_itself(decided: Decided) -> bool:
    """Say whether a decision is told by its rules and the arguments alone, which are kept anyway: a model call that was allowed
    on nothing else. There are thousands of them a second."""
    act = decided.act
    if act.model is None or act.model.route is not None or act.model.captured:
        return False
    return all(name.startswith("args.") for name in decided.decision.read)


def _seal(value: Json, purpose: str, decided: Decided, drivers: Drivers) -> Sealed:
    return seal_content(
        value,
        purpose=purpose,
        organization_id=decided.facts.id,
        keys=decided.facts.data_keys,
        crypto=drivers.crypto,
        ids=drivers.ids,
    )


def _row(decided: Decided, state: ActionState, *, arguments: Sealed, shown: Sealed | None) -> AdmitRow:
    act, agent, decision = decided.act, decided.agent, decided.decision
    claim = act.principal.claim
    return AdmitRow(
        n=0,
        organization_id=decided.facts.id,
        epoch=decided.facts.epoch,
        action_id=decided.action_id,
        kind=act.kind.value,
        name=act.name,
        effect=decided.effect,
        state=state.value,
        outcome=decision.outcome.value,
        rules=[{"id": each.id, "version": each.version, "outcome": each.outcome.value} for each in decision.matched],
        agent_id=agent.id if agent else None,
        agent_version=agent.version if agent else None,
        department_id=agent.department_id if agent else None,
        chain=act.principal.chain,
        run_id=claim.run_id if claim else None,
        task_id=claim.task_id if claim else None,
        claim_token=claim.token if claim else None,
        attempt=claim.attempt if claim else None,
        call_key=act.call.key if act.call else None,
        tries=act.call.tries if act.call else None,
        tool_id=decided.tool_id,
        tool_version=decided.tool_version,
        digest=hex_bytes(act.digest),
        arguments_content_id=arguments.row.id,
        decision_content_id=shown.row.id if shown is not None else None,
        clock=decision.clock if act.clock is not None else None,
        idempotency_principal=act.principal.actor.id if act.idempotency_key else None,
        idempotency_key=act.idempotency_key,
    )


def _record(
    decided: Decided,
    kind: RecordKind,
    *,
    now: datetime,
    drivers: Drivers,
    arguments: Sealed,
    amounts: tuple[Amount, ...] = (),
) -> Record:
    act = decided.act
    claim = act.principal.claim
    return Record(
        id=drivers.ids.new(),
        kind=kind,
        organization_id=decided.facts.id,
        at=record_time(now),
        clock=record_time(act.clock) if act.clock is not None else None,
        act_kind=act.kind,
        act_name=act.name,
        action_id=decided.action_id,
        agent_version=decided.agent.version if decided.agent else None,
        amounts=amounts,
        args_digest=arguments.digest,
        args_id=arguments.row.id,
        attempt=claim.attempt if claim else None,
        decision=decided.decision.outcome,
        epoch=decided.facts.epoch,
        principal=principal_ids(act.principal),
        rules=rule_ids(decided.decision),
        run_id=claim.run_id if claim else None,
        task_id=claim.task_id if claim else None,
    )
