"""What people order of runs and approvals: start, pause, resume, cancel, put first, roll back, fork, try again, answer.

Each is asked for by a signed-in person whose role permits it, and is then the one hot operation that every door calls. The
person is the root of the run's chain.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from aos.kernel.acts import Pending, Refused
from aos.kernel.errors import AosError, BudgetSpent, Denied, Forbidden, InvalidRequest
from aos.kernel.identity import ChainLink, Principal, PrincipalKind
from aos.kernel.json import Json
from aos.kernel.people import Actor, Permission
from aos.operations.approvals import Answer, Approvals
from aos.operations.bridge import Hot
from aos.operations.due_schedules import DueSchedules
from aos.operations.forks import ForkRequest, Forks, TriedAgain
from aos.operations.own_acts import OwnActs
from aos.operations.run_rows import RunRequest
from aos.operations.run_steering import Steered
from aos.operations.runs import Runs, RunStarted, StartedRun
from aos.operations.undo import RolledBack, Undos

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
    value: Json = None
    """What an agent that asked is told; of no other act."""


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
    if isinstance(started, Refused):
        raise _refusal(started)
    return started


async def steer_run(hot: Hot, actor: Actor, run_id: UUID, *, order: Order) -> Steered:
    """Pause a run, let it go on, or cancel it, with all that is nested in it; return what the order reached.

    A pause has taken effect once nothing is named as at work: ask again. Raises Forbidden, NotFound, or Conflict where the
    run's state forbids the order.
    """
    _require(actor, Permission.RUN_CONTROL)
    runs, principal = _runs(hot), _principal(actor)
    match order:
        case Order.CANCEL:
            return await runs.cancel_run(principal, run_id)
        case Order.PAUSE:
            return await runs.pause_run(principal, run_id)
        case Order.RESUME:
            return await runs.resume_run(principal, run_id)


async def prioritize_run(hot: Hot, actor: Actor, run_id: UUID, *, priority: int) -> Steered:
    """Give a run and its open tasks another priority; raise Forbidden, InvalidRequest, NotFound, or Conflict."""
    _require(actor, Permission.RUN_CONTROL)
    return await _runs(hot).prioritize_run(_principal(actor), run_id, priority)


async def roll_back_run(
    hot: Hot, actor: Actor, run_id: UUID, *, idempotency_key: str | None = None, approval_id: UUID | None = None
) -> RolledBack | Pending:
    """Begin to undo a run, which is cancelled first where it is open, or return the approval that this waits for.

    Raises Forbidden, NotFound, Conflict for a run that undoes another, Denied with reasons where the gate refuses.
    """
    _require(actor, Permission.RUN_CONTROL)
    undos = Undos(hot.database, hot.facts, hot.gate, _runs(hot), drivers=hot.drivers)
    principal = _principal(actor)
    begun = await undos.roll_back(principal, run_id, idempotency_key=idempotency_key, approval_id=approval_id)
    if isinstance(begun, Refused):
        raise _refusal(begun)
    return begun


async def fork_run(hot: Hot, actor: Actor, run_id: UUID, *, request: ForkRequest) -> RunStarted | Pending:
    """Start a run that goes on from another at a task, or return the approval that it waits for.

    Raises as `order_run` does, and Conflict for a run that undoes another.
    """
    _require(actor, Permission.RUN_CONTROL)
    _require(actor, Permission.RUN_START)
    begun = await _forks(hot).fork_run(_principal(actor), run_id, request)
    if isinstance(begun, Refused):
        raise _refusal(begun)
    return begun


async def retry_task(
    hot: Hot, actor: Actor, run_id: UUID, *, request: ForkRequest
) -> TriedAgain | RunStarted | Pending:
    """Have one task tried again, in its run or in a fork of it; raise as `fork_run` does."""
    _require(actor, Permission.RUN_CONTROL)
    begun = await _forks(hot).retry_task(_principal(actor), run_id, request)
    if isinstance(begun, Refused):
        raise _refusal(begun)
    return begun


async def answer_approval(hot: Hot, actor: Actor, approval_id: UUID, *, given: AnswerGiven) -> None:
    """Answer an approval, once; raise Forbidden, NotFound, or Conflict where it was answered, is over or is another act."""
    await Approvals(hot.database, hot.facts, hot.drivers).answer_approval(
        actor,
        approval_id,
        answer=given.answer,
        comment=given.comment,
        digest=given.digest,
        suggested_args=given.suggested_args,
        value=given.value,
    )


def _refusal(refused: Refused) -> AosError:
    """Return the error for an act that the gate refused, with every reason."""
    extra = {"action_id": str(refused.action_id)}
    return _REFUSALS.get(refused.error, Denied)(refused.detail, reasons=refused.reasons, extra=extra)


def _forks(hot: Hot) -> Forks:
    return Forks(hot.database, hot.facts, _runs(hot), hot.drivers)


def _runs(hot: Hot) -> Runs:
    acts = OwnActs(hot.database, hot.facts, hot.gate, hot.drivers)
    return Runs(hot.database, hot.facts, acts, hot.drivers, starts=hot.run_starts)


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
