"""One pass of a task, from the worker's side: who acts in it, under which claim, and what it is waiting for so far."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import count
from uuid import UUID, uuid5

from aos.kernel.agents import Agent
from aos.kernel.errors import RefusedAgain, TooLarge
from aos.kernel.identity import Principal
from aos.kernel.json import Json, canonical_json
from aos.kernel.limits import HISTORY_CALLS_MAX, REFUSALS_ALIKE_MAX
from aos.operations.claimed import ClaimedTask

SEQ_START = 1 << 62
"""Outcomes recorded during a pass come after all that it was handed, in the order in which they were answered."""


class WaitKind(StrEnum):
    """What a call may wait for, besides a time."""

    APPROVAL = "approval"
    CHILD = "child"
    SIGNAL = "signal"


@dataclass(frozen=True, slots=True)
class Wait:
    """What one call waits for: the end of `needs` of its sources, of all where that is None."""

    kind: WaitKind
    sources: tuple[UUID, ...]
    needs: int | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Waits:
    """What a pass waits for as a whole: it goes on when `needs` of the sources have ended, or at `wake_at`.

    Each wait's sources are those whose ends must be told; `needs` None stands for all of them.
    """

    waits: tuple[Wait, ...] = ()
    needs: int | None = None
    wake_at: datetime | None = None

    @property
    def waits_for(self) -> str:
        """Return what people are told that the task waits for."""
        kinds = {wait.kind for wait in self.waits}
        for kind, told in ((WaitKind.APPROVAL, "approval"), (WaitKind.SIGNAL, "signal"), (WaitKind.CHILD, "children")):
            if kind in kinds:
                return told
        return "timer" if self.wake_at is not None else "children"


@dataclass(slots=True)
class PassState:
    """What the calls of one pass share."""

    task: ClaimedTask
    agent: Agent
    principal: Principal
    calls: int = 0
    """Calls of the history and of this pass."""
    waits: list[Wait] = field(default_factory=list)
    wake_at: datetime | None = None
    is_held: bool = False
    """Whether a call was put off since the run is paused: the next pass begins as soon as it goes on."""
    _refusals: dict[bytes, int] = field(default_factory=dict)
    _seq: count[int] = field(default_factory=lambda: count(SEQ_START))

    def next_seq(self) -> int:
        """Return the place of the next outcome in this pass."""
        return next(self._seq)

    def count_refusal(self, kind: str, name: str, arguments: Json) -> None:
        """Count a refused act; raise RefusedAgain where the pass was refused the very same too often."""
        digest = act_digest(kind, name, arguments)
        self._refusals[digest] = times = self._refusals.get(digest, 0) + 1
        if times >= REFUSALS_ALIKE_MAX:
            raise RefusedAgain(f"{kind} `{name}` was refused {times} times alike, and asked for again and again")

    def count_call(self) -> None:
        """Count a call; raise TooLarge where the history has as many as it may."""
        if self.calls >= HISTORY_CALLS_MAX:
            raise TooLarge(
                f"this task has made {HISTORY_CALLS_MAX} calls, the most that one history holds: go on with a fresh one "
                "by `continue_as_new(input)`"
            )
        self.calls += 1

    def wake_by(self, when: datetime) -> None:
        """Note that a call is over at a time: the earliest of all wakes the task."""
        self.wake_at = when if self.wake_at is None else min(self.wake_at, when)

    def waits_together(self) -> Waits:
        """Return what the whole pass waits for: it goes on as soon as one of its calls can.

        Of a call that needs k of m ends, one of any m - k + 1 of its sources must end before it can: where several calls
        wait, those are enough to be told of, and the first of them all wakes the task.
        """
        if len(self.waits) <= 1:
            return Waits(tuple(self.waits), self.waits[0].needs if self.waits else None, self.wake_at)
        told = [Wait(wait.kind, _enough(wait), name=wait.name) for wait in self.waits]
        return Waits(tuple(told), 1, self.wake_at)


def _enough(wait: Wait) -> tuple[UUID, ...]:
    missing = len(wait.sources) if wait.needs is None else wait.needs
    return wait.sources[missing - 1 :]


def act_digest(kind: str, name: str, arguments: Json) -> bytes:
    """Return what is the same for two calls that ask for the very same."""
    return hashlib.sha256(canonical_json([kind, name, arguments])).digest()


def begin_pass(task: ClaimedTask, agent: Agent, *, calls: int = 0) -> PassState:
    """Return the state of a pass that begins, with so many calls in its history."""
    return PassState(task, agent, task.principal(agent), calls)


def signal_source(run_id: UUID, name: str) -> UUID:
    """Return the id that stands for a signal's name in a run: what those who wait for it have an edge from."""
    return uuid5(run_id, name)
