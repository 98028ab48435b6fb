"""What people order of runs and approvals: start, pause, resume, cancel, answer.

Each is asked for by a signed-in person whose role permits it, and is then the one hot operation that every door calls. The
person is the root of the run's chain.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from aos.kernel.acts import Pending
from aos.kernel.errors import AosError, BudgetSpent, Denied, Forbidden, InvalidRequest
from aos.kernel.identity import ChainLink, Principal, PrincipalKind
from aos.kernel.json import Json
from aos.kernel.people import Actor, Permission
from aos.operations.approvals import Answer, Approvals
from aos.operations.bridge import Hot
from aos.operations.due_schedules import DueSchedules
from aos.operations.own_acts import OwnActs
from aos.operations.run_rows import RunRequest
from aos.operations.runs import Runs, RunStarted, StartedRun

_REFUSALS: dict[str, type[AosError]] = {error.slug: error for error in (BudgetSpent, Denied, InvalidRequest)}


class Order(StrEnum):
    """What a run may be told."""

    CANCEL = "cancel"
    PAUSE = "pause"
    RESUME = "resume"


@dataclass(frozen=True, slots=True)
class AnswerGiven:
    """What a person answers to an approval; a yes names the digest of what was seen."""

    answer: Answer
    comment: str = ""
    digest: str | None = None
    suggested_args: Json = None


async def order_run(hot: Hot, actor: Actor, request: RunRequest) -> RunStarted | Pending:
    """Start a run, once under an Idempotency-Key, or return the approval that it waits for.

    Raises Forbidden without the permission, Denied or BudgetSpent with reasons where the gate refuses, RateLimited where too many tasks are open, and what the request
    itself is refused for.
    """
    _require(actor, Permission.RUN_START)
    return _started(await _runs(hot).start_run(_principal(actor), request))


async def order_schedule(
    hot: Hot, actor: Actor, key: str, *, idempotency_key: str | None = None
) -> RunStarted | Pending:
    """Start a schedule's run for this moment, as the one who asks, or return the approval that it waits for.

    Raises Forbidden without the permission, NotFound, Conflict where its runs may not overlap, and as `order_run` does.
    """
    _require(actor, Permission.RUN_START)
    schedules = DueSchedules(hot.database, hot.facts, _runs(hot), hot.drivers)
    return _started(await schedules.run_now(_principal(actor), key, idempotency_key=idempotency_key))


def _started(started: StartedRun) -> RunStarted | Pending:
    """Return what was started or waits; raise what a refusal is."""
    if isinstance(started, RunStarted | Pending):
        return started
    extra = {"action_id": str(started.action_id)}
    raise _REFUSALS.get(started.error, Denied)(started.detail, reasons=started.reasons, extra=extra)


async def steer_run(hot: Hot, actor: Actor, run_id: UUID, *, order: Order) -> None:
    """Pause a run, let it go on, or cancel it; raise Forbidden, NotFound, or Conflict where its state forbids that."""
    _require(actor, Permission.RUN_CONTROL)
    runs, principal = _runs(hot), _principal(actor)
    match order:
        case Order.CANCEL:
            await runs.cancel_run(principal, run_id)
        case Order.PAUSE:
            await runs.pause_run(principal, run_id)
        case Order.RESUME:
            await runs.resume_run(principal, run_id)


async def answer_approval(hot: Hot, actor: Actor, approval_id: UUID, *, given: AnswerGiven) -> None:
    """Answer an approval, once; raise Forbidden, NotFound, or Conflict where it was answered, is over or is another act."""
    await Approvals(hot.database, hot.facts, hot.drivers).answer_approval(
        actor,
        approval_id,
        answer=given.answer,
        comment=given.comment,
        digest=given.digest,
        suggested_args=given.suggested_args,
    )


def _runs(hot: Hot) -> Runs:
    acts = OwnActs(hot.database, hot.facts, hot.gate, hot.drivers)
    return Runs(hot.database, hot.facts, acts, hot.drivers, open_tasks=hot.open_tasks)


def _principal(actor: Actor) -> Principal:
    return Principal(
        actor.organization_id,
        (ChainLink(PrincipalKind.PERSON, actor.person_id, actor.email),),
        roles=tuple(sorted(role.value for role in actor.roles)),
    )


def _require(actor: Actor, permission: Permission) -> None:
    if not actor.may(permission):
        roles = ", ".join(sorted(actor.roles)) or "none"
        raise Forbidden(f"this needs the permission `{permission}`, which your roles ({roles}) do not give")
