"""From a verdict on a task to what is written of it: its row, its content, its record and what its runtime cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeAlias
from uuid import UUID

from aos.kernel.agents import Agent
from aos.kernel.json import Json
from aos.kernel.ledger.record import Record, RecordKind, Usage, amount, record_time
from aos.kernel.money import Money
from aos.kernel.workflow.lanes import lane_of, queue_of
from aos.kernel.workflow.passes import Fail, FallBack, Retry, Stuck, Succeed
from aos.kernel.workflow.spec import OnFailure
from aos.operations.claimed import ClaimedTask
from aos.operations.contents import Sealed, seal_content
from aos.operations.drivers import Drivers
from aos.operations.facts import OrganizationFacts
from aos.operations.records import record_row
from aos.store.rows import ContentRow, RecordRow, UsageRow
from aos.store.task_rows import CompleteRow

DETAIL_LENGTH_MAX: Final = 10_000


SKIPPED: Final = "skipped"
CONDITION: Final = "condition"


@dataclass(frozen=True, slots=True)
class Skip:
    """The task is left out: what it needed did not succeed, or its condition does not hold.

    Of the latter kind nothing is missing to those who wait for it.
    """

    code: str = SKIPPED


End: TypeAlias = Succeed | Fail | Retry | FallBack | Stuck | Skip
"""What is written of an attempt that is over."""


@dataclass(slots=True)
class Completion:
    """One end of an attempt on its way into the store."""

    row: CompleteRow
    run_id: UUID
    contents: list[ContentRow] = field(default_factory=list)
    records: list[RecordRow] = field(default_factory=list)
    usage: list[UsageRow] = field(default_factory=list)
    digests: dict[UUID, str] = field(default_factory=dict)
    """The salted digests of the contents, by their ids."""


def completion(
    task: ClaimedTask,
    verdict: End,
    facts: OrganizationFacts,
    *,
    agent: Agent | None,
    pass_ms: int,
    ran: bool,
    now: datetime,
    drivers: Drivers,
) -> Completion:
    """Return what to write of an attempt that ended. `ran` says that the agent's function ran, which is what is charged."""
    sealed, error, state, status = _outcome(task, verdict, facts, drivers)
    row = CompleteRow(
        n=0,
        organization_id=task.organization_id,
        task_id=task.id,
        claim_token=task.token,
        state=state,
        runtime_ms=pass_ms,
        retry_seconds=verdict.delay_seconds if isinstance(verdict, Retry) else 0.0,
        error_code=error,
        tolerated=_is_tolerated(task, verdict),
    )
    if isinstance(verdict, FallBack):
        fallback = facts.agents_by_name[task.work.fallback or ""]
        row.fallback_agent_id = fallback.id
        row.fallback_lane = lane_of(fallback, queue_of(agent, task.work.queue), facts.limits)
        row.attempts_more = task.attempt + task.work.retry.attempts - task.attempts_max
    if sealed is not None:
        if error is None:
            row.output_content_id = sealed.row.id
        else:
            row.error_content_id = sealed.row.id
    member = Completion(row, task.run_id)
    if sealed is not None:
        member.contents.append(sealed.row)
        member.digests[sealed.row.id] = sealed.digest
    runtime_ms = task.runtime_ms + pass_ms
    cost = Money(agent.price_per_second_nanos * runtime_ms // 1_000 if agent else 0, facts.settings.currency)
    record = Record(
        id=drivers.ids.new(),
        kind=RecordKind.TASK_FINISHED,
        organization_id=task.organization_id,
        at=record_time(now),
        agent_version=agent.version if agent else None,
        amounts=(amount("cost", cost),) if ran and cost.nanos else (),
        attempt=task.attempt,
        error=error,
        result_digest=sealed.digest if sealed is not None else None,
        result_id=sealed.row.id if sealed is not None else None,
        run_id=task.run_id,
        status=status,
        task_id=task.id,
        usage=(Usage(quantity=runtime_ms, unit="milliseconds"),) if ran else (),
    )
    member.records.append(record_row(record))
    if ran and agent is not None:
        member.usage.append(
            runtime_usage(task, agent, cost, runtime_ms=runtime_ms, record_id=record.id, drivers=drivers)
        )
    return member


def _is_tolerated(task: ClaimedTask, verdict: End) -> bool:
    """Say whether those who wait for the task lose nothing, though it did not succeed."""
    if isinstance(verdict, Skip):
        return verdict.code == CONDITION
    return isinstance(verdict, Fail) and task.work.on_failure is OnFailure.CONTINUE


def _outcome(
    task: ClaimedTask, verdict: End, facts: OrganizationFacts, drivers: Drivers
) -> tuple[Sealed | None, str | None, str, str]:
    """Return the content, the error code, the state of the row and the status of the record."""
    match verdict:
        case Succeed(value):
            sealed = None if value is None else seal(value, "output", facts, drivers)
            return sealed, None, "succeeded", "succeeded"
        case Fail(code, detail):
            return _sealed_error(code, detail, facts, drivers), code, "failed", "failed"
        case Retry(code, detail):
            return _sealed_error(code, detail, facts, drivers), code, "ready", "retried"
        case FallBack(code, detail):
            return _sealed_error(code, detail, facts, drivers), code, "ready", "fell-back"
        case Stuck(code, detail):
            return _sealed_error(code, detail, facts, drivers), code, "stuck", "stuck"
        case Skip(code):
            return None, code, "skipped", "skipped"


def _sealed_error(code: str, detail: str, facts: OrganizationFacts, drivers: Drivers) -> Sealed:
    return seal({"code": code, "detail": detail[:DETAIL_LENGTH_MAX]}, "error", facts, drivers)


def seal(value: Json, purpose: str, facts: OrganizationFacts, drivers: Drivers) -> Sealed:
    """Return a value sealed under the organization's current data key."""
    return seal_content(
        value,
        purpose=purpose,
        organization_id=facts.id,
        keys=facts.data_keys,
        crypto=drivers.crypto,
        ids=drivers.ids,
    )


def seal_bytes(value: bytes, purpose: str, facts: OrganizationFacts, drivers: Drivers) -> Sealed:
    """Return bytes sealed under the organization's current data key."""
    return seal_content(
        value,
        purpose=purpose,
        organization_id=facts.id,
        keys=facts.data_keys,
        crypto=drivers.crypto,
        ids=drivers.ids,
    )


def runtime_usage(
    task: ClaimedTask, agent: Agent, cost: Money, *, runtime_ms: int, record_id: UUID, drivers: Drivers
) -> UsageRow:
    """Return the usage event of one attempt's runtime."""
    return UsageRow(
        n=0,
        organization_id=task.organization_id,
        id=drivers.ids.new(),
        kind="task_runtime",
        name=agent.name,
        quantity=runtime_ms,
        unit="milliseconds",
        cost_nanos=cost.nanos,
        currency=cost.currency,
        record_id=record_id,
        run_id=task.run_id,
        task_id=task.id,
        agent_id=agent.id,
        agent_version=agent.version,
        department_id=agent.department_id,
    )
