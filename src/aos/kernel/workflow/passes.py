"""What becomes of a task when a pass of its agent's function has ended: the one place where that is decided.

A pass is one execution of the function from its top. A task that must wait is parked and its next pass is the same
attempt; only a failure makes a new attempt. A pass that ended without a word (its host died, its lease was lost) is
counted as a claim, and after `CLAIMS_MAX` of those the task is stuck: a killed process leaves no failure to count, and
whoever takes up such a task next may die of it as well, so that it waits for a person. A task whose last attempt failed
goes to its fallback agent where it has one, with as many attempts again.
Divergence (an act with an effect was performed and the pass no longer came to it) is judged only when the function
returned or raised, and fails the task for good: making the attempt again would act again.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias
from uuid import UUID

from aos.kernel.json import Json
from aos.kernel.limits import CLAIMS_MAX
from aos.kernel.tools import Effect, Repeat
from aos.kernel.workflow.retry import backoff_seconds, is_retried
from aos.kernel.workflow.spec import RetrySpec

TRIES_ANY: Final = -1
"""The `tries` of an outcome that a new attempt takes over from an earlier one: it matches by key alone."""

EFFECTS_THAT_DIVERGE: Final = frozenset({Effect.WRITE, Effect.SEND, Effect.PAY, Effect.DELETE, Effect.ADMIN})
"""Effects of calls that a pass may not leave out once they were performed."""


class CallState(StrEnum):
    """Where one call of a task stands; `waiting` and `intended` are not concluded."""

    WAITING = "waiting"
    INTENDED = "intended"
    PERFORMED = "performed"
    FAILED = "failed"
    REFUSED = "refused"
    UNKNOWN = "unknown"


_MAY_HAVE_ACTED: Final = frozenset({CallState.PERFORMED, CallState.UNKNOWN})


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One row of what a task's calls came to, without its content."""

    key: str
    attempt: int
    tries: int
    kind: str
    name: str
    effect: str | None
    state: CallState
    seq: int
    repeat: Repeat = Repeat.NEVER


def history_of(calls: Sequence[CallRecord], attempt: int) -> list[CallRecord]:
    """Return what a pass of `attempt` is handed, in the order in which it was recorded.

    Of this attempt everything concluded; of earlier ones what was performed, and what is unknown and may not be made
    again, each under `TRIES_ANY`. An unknown call that its tool lets repeat is left out: it is made again.
    """
    kept: dict[tuple[str, int], CallRecord] = {}
    for call in sorted(calls, key=lambda call: call.seq):
        if call.state is CallState.UNKNOWN and call.repeat is not Repeat.NEVER:
            continue
        if call.attempt == attempt and call.state not in (CallState.WAITING, CallState.INTENDED):
            kept[call.key, call.tries] = call
        elif call.attempt < attempt and call.state in (CallState.PERFORMED, CallState.UNKNOWN):
            before = kept.get((call.key, TRIES_ANY))
            if before is None or (before.state, call.state) == (CallState.UNKNOWN, CallState.PERFORMED):
                kept[call.key, TRIES_ANY] = call
    return sorted(kept.values(), key=lambda call: call.seq)


def history_tries(call: CallRecord, attempt: int) -> int:
    """Return the `tries` under which a pass of `attempt` finds a call of its history."""
    return call.tries if call.attempt == attempt else TRIES_ANY


def divergent_calls(
    performed: Sequence[CallRecord], reached: Collection[tuple[str, int]], *, first_attempt: int = 1
) -> list[CallRecord]:
    """Return the calls with an effect that a pass, which has returned or raised, did not come to.

    One whose outcome is unknown may have had its effect, and counts as one that had. `first_attempt` is the first of the
    agent that has the task: what another agent did before is not this one's to repeat.
    """
    keys = {key for key, _ in reached}
    effects = {effect.value for effect in EFFECTS_THAT_DIVERGE}
    return [
        call
        for call in performed
        if call.state in _MAY_HAVE_ACTED
        and call.effect in effects
        and call.key not in keys
        and call.attempt >= first_attempt
    ]


@dataclass(frozen=True, slots=True)
class Returned:
    """The function returned a value."""

    value: Json


@dataclass(frozen=True, slots=True)
class Failed:
    """The function raised, timed out, or what it was given could not be made. Final where no other attempt can help.

    `error_class` is the name of the exception's class, where there was one.
    """

    code: str
    detail: str
    final: bool = False
    error_class: str = ""


@dataclass(frozen=True, slots=True)
class Suspended:
    """The function waits for something outside."""


@dataclass(frozen=True, slots=True)
class Continued:
    """The function goes on with a fresh history and this input."""

    value: Json


@dataclass(frozen=True, slots=True)
class Vanished:
    """The pass ended without a word; `counted` unless it was ended for a reason that was not its own."""

    counted: bool


PassEnd: TypeAlias = Returned | Failed | Suspended | Continued | Vanished


@dataclass(frozen=True, slots=True)
class Succeed:
    """The task is done."""

    value: Json


@dataclass(frozen=True, slots=True)
class Fail:
    """The task is over."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Retry:
    """The task is attempted again after `delay_seconds`."""

    code: str
    detail: str
    delay_seconds: float


@dataclass(frozen=True, slots=True)
class FallBack:
    """The task is attempted again at once, by its fallback agent."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Stuck:
    """The task waits for a person, who lets it try again or cancels it."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Park:
    """The task waits; its next pass is the same attempt."""


@dataclass(frozen=True, slots=True)
class GoOn:
    """The task is ready again in its next generation: this input, the same attempt, no history."""

    value: Json


@dataclass(frozen=True, slots=True)
class Release:
    """The task is ready for another worker at once; its next pass is the same attempt."""

    counted: bool


Verdict: TypeAlias = Succeed | Fail | Retry | FallBack | Stuck | Park | GoOn | Release

DIVERGED: Final = "diverged"
POISON: Final = "poison"
TIMED_OUT: Final = "timed-out"
AGENT_CODES: Final = frozenset(
    {
        "budget-spent",
        "invalid-output",
        "loop-detected",
        "no-answer",
        "tokens-spent",
        "too-many-tools",
        "turns-spent",
    }
)
"""The errors by which an agent may end its own task: the log holds closed codes, so that any other counts as `raised`."""


@dataclass(frozen=True, slots=True)
class Chances:
    """How often a task is attempted and by whom.

    `last_attempt` is the last under the agent that has it now; `seconds_left` those until its deadline, None where it
    has none; `has_fallback` says that another agent has not had it yet.
    """

    retry: RetrySpec
    task_id: UUID
    attempt: int
    last_attempt: int
    seconds_left: float | None = None
    has_fallback: bool = False

    @property
    def first_attempt(self) -> int:
        """Return the first attempt of the agent that has the task now."""
        return self.last_attempt - self.retry.attempts + 1


def judge_pass(end: PassEnd, chances: Chances, *, claims: int, divergent: Sequence[CallRecord] = ()) -> Verdict:
    """Return what becomes of the task; `claims` are those counted before this pass."""
    if divergent and isinstance(end, Returned | Failed | Continued):
        named = ", ".join(f"`{call.name}`" for call in divergent[:5])
        return Fail(DIVERGED, f"calls that were performed before were left out this time: {named}")
    match end:
        case Returned(value):
            return Succeed(value)
        case Suspended():
            return Park()
        case Continued(value):
            return GoOn(value)
        case Vanished(counted):
            if counted and claims + 1 >= CLAIMS_MAX:
                return poisonous(claims + 1)
            return Release(counted)
        case Failed():
            return judge_failure(end, chances)


def judge_failure(failed: Failed, chances: Chances) -> Fail | Retry | FallBack:
    """Return what becomes of a task whose attempt failed.

    Past its deadline it fails whatever chances it has left; an attempt that could only begin after it is not waited for.
    """
    code, detail = failed.code, failed.detail
    left = chances.seconds_left
    if left is not None and left <= 0:
        return Fail(code, detail) if code == TIMED_OUT else Fail(TIMED_OUT, f"its time was over; last: {detail}")
    if failed.final:
        return Fail(code, detail)
    if chances.attempt < chances.last_attempt and is_retried(chances.retry, code, failed.error_class):
        nth = max(1, chances.attempt - chances.first_attempt + 1)
        delay = backoff_seconds(chances.retry, nth, task_id=chances.task_id)
        if left is None or delay < left:
            return Retry(code, detail, delay)
        return Fail(code, detail)
    return FallBack(code, detail) if chances.has_fallback else Fail(code, detail)


def poisonous(claims: int) -> Stuck:
    """Return the verdict on a task that has ended its worker or host so often."""
    return Stuck(POISON, f"the task ended its worker or host {claims} times: try it again, or cancel it")
