"""What becomes of a task when a pass of its agent's function has ended: the one place where that is decided.

A pass is one execution of the function from its top. A task that must wait is parked and its next pass is the same
attempt; only a failure makes a new attempt. A pass that ended without a word (its host died, its lease was lost) is
counted as a claim, and `CLAIMS_MAX` of those end the task as poison: a killed process leaves no failure to count.
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
from aos.kernel.workflow.retry import backoff_seconds
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
            kept.setdefault((call.key, TRIES_ANY), call)
    return sorted(kept.values(), key=lambda call: call.seq)


def history_tries(call: CallRecord, attempt: int) -> int:
    """Return the `tries` under which a pass of `attempt` finds a call of its history."""
    return call.tries if call.attempt == attempt else TRIES_ANY


def divergent_calls(performed: Sequence[CallRecord], reached: Collection[tuple[str, int]]) -> list[CallRecord]:
    """Return the performed calls with an effect that a pass, which has returned or raised, did not come to."""
    keys = {key for key, _ in reached}
    effects = {effect.value for effect in EFFECTS_THAT_DIVERGE}
    return [
        call
        for call in performed
        if call.state is CallState.PERFORMED and call.effect in effects and call.key not in keys
    ]


@dataclass(frozen=True, slots=True)
class Returned:
    """The function returned a value."""

    value: Json


@dataclass(frozen=True, slots=True)
class Failed:
    """The function raised, timed out, or what it was given could not be made. Final where a retry cannot help."""

    code: str
    detail: str
    final: bool = False


@dataclass(frozen=True, slots=True)
class Suspended:
    """The function waits for something outside."""


@dataclass(frozen=True, slots=True)
class Vanished:
    """The pass ended without a word; `counted` unless it was ended for a reason that was not its own."""

    counted: bool


PassEnd: TypeAlias = Returned | Failed | Suspended | Vanished


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
class Park:
    """The task waits; its next pass is the same attempt."""


@dataclass(frozen=True, slots=True)
class Release:
    """The task is ready for another worker at once; its next pass is the same attempt."""

    counted: bool


Verdict: TypeAlias = Succeed | Fail | Retry | Park | Release


def judge_pass(
    end: PassEnd, retry: RetrySpec, *, task_id: UUID, attempt: int, claims: int, divergent: Sequence[CallRecord] = ()
) -> Verdict:
    """Return what becomes of the task; `claims` are those counted before this pass."""
    if divergent and isinstance(end, Returned | Failed):
        named = ", ".join(f"`{call.name}`" for call in divergent[:5])
        return Fail("diverged", f"calls that were performed before were left out this time: {named}")
    match end:
        case Returned(value):
            return Succeed(value)
        case Suspended():
            return Park()
        case Vanished(counted):
            if counted and claims + 1 >= CLAIMS_MAX:
                return Fail("poison", f"the task ended its worker or host {CLAIMS_MAX} times")
            return Release(counted)
        case Failed(code, detail, final):
            if final or attempt >= retry.attempts:
                return Fail(code, detail)
            return Retry(code, detail, backoff_seconds(retry, attempt, task_id=task_id))
