"""The states of a task and of a run, and every legal move between them, as two tables.

SQL may make no other move; the store's tests watch every row against these tables, and the pictures in
`docs/reference/states.md` are drawn from them. A task that is `blocked` counts open sources of its edges, one that is `waiting` counts what its pass
waits for; both counts are `blockers`. A `stuck` task ended its worker or host too often: it keeps its history and waits
for a person, who lets it try again or cancels it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from aos.kernel.errors import Conflict


class TaskState(StrEnum):
    """Where a task stands."""

    BLOCKED = "blocked"
    READY = "ready"
    RUNNING = "running"
    WAITING = "waiting"
    STUCK = "stuck"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


class TaskEvent(StrEnum):
    """What happens to a task."""

    UNBLOCK = "unblock"
    CLAIM = "claim"
    HAND_ON = "hand on"
    PARK = "park"
    OFFER = "offer"
    TAKE = "take"
    WAKE = "wake"
    RELEASE = "release"
    RETRY = "retry"
    BACK_OFF = "back off"
    GIVE_UP_ON = "give up on"
    TRY_AGAIN = "try again"
    SUCCEED = "succeed"
    FAIL = "fail"
    SKIP = "skip"
    CANCEL = "cancel"


class RunState(StrEnum):
    """Where a run stands."""

    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class RunEvent(StrEnum):
    """What happens to a run."""

    PAUSE = "pause"
    RESUME = "resume"
    SUCCEED = "succeed"
    FAIL = "fail"
    CANCEL = "cancel"


class EdgeKind(StrEnum):
    """`after`: the target needs the source's success. `child`: it waits for the source's end, whatever that is."""

    AFTER = "after"
    CHILD = "child"


FINAL: Final = frozenset({TaskState.SUCCEEDED, TaskState.FAILED, TaskState.SKIPPED, TaskState.CANCELLED})
"""States that a task never leaves."""

RUN_FINAL: Final = frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED})
"""States that a run never leaves."""

TRANSITIONS: Final[Mapping[tuple[TaskState, TaskEvent], TaskState]] = MappingProxyType(
    {
        (TaskState.BLOCKED, TaskEvent.UNBLOCK): TaskState.READY,
        (TaskState.BLOCKED, TaskEvent.HAND_ON): TaskState.RUNNING,
        (TaskState.BLOCKED, TaskEvent.CANCEL): TaskState.CANCELLED,
        (TaskState.READY, TaskEvent.CLAIM): TaskState.RUNNING,
        (TaskState.READY, TaskEvent.CANCEL): TaskState.CANCELLED,
        (TaskState.RUNNING, TaskEvent.PARK): TaskState.WAITING,
        (TaskState.RUNNING, TaskEvent.OFFER): TaskState.WAITING,
        (TaskState.RUNNING, TaskEvent.RELEASE): TaskState.READY,
        (TaskState.RUNNING, TaskEvent.RETRY): TaskState.READY,
        (TaskState.RUNNING, TaskEvent.BACK_OFF): TaskState.WAITING,
        (TaskState.RUNNING, TaskEvent.GIVE_UP_ON): TaskState.STUCK,
        (TaskState.RUNNING, TaskEvent.SUCCEED): TaskState.SUCCEEDED,
        (TaskState.RUNNING, TaskEvent.FAIL): TaskState.FAILED,
        (TaskState.RUNNING, TaskEvent.SKIP): TaskState.SKIPPED,
        (TaskState.RUNNING, TaskEvent.CANCEL): TaskState.CANCELLED,
        (TaskState.WAITING, TaskEvent.WAKE): TaskState.READY,
        (TaskState.WAITING, TaskEvent.HAND_ON): TaskState.RUNNING,
        (TaskState.WAITING, TaskEvent.TAKE): TaskState.RUNNING,
        (TaskState.WAITING, TaskEvent.TRY_AGAIN): TaskState.READY,
        (TaskState.WAITING, TaskEvent.CANCEL): TaskState.CANCELLED,
        (TaskState.STUCK, TaskEvent.TRY_AGAIN): TaskState.READY,
        (TaskState.STUCK, TaskEvent.CANCEL): TaskState.CANCELLED,
    }
)

RUN_TRANSITIONS: Final[Mapping[tuple[RunState, RunEvent], RunState]] = MappingProxyType(
    {
        (RunState.RUNNING, RunEvent.PAUSE): RunState.PAUSED,
        (RunState.RUNNING, RunEvent.SUCCEED): RunState.SUCCEEDED,
        (RunState.RUNNING, RunEvent.FAIL): RunState.FAILED,
        (RunState.RUNNING, RunEvent.CANCEL): RunState.CANCELLED,
        (RunState.PAUSED, RunEvent.RESUME): RunState.RUNNING,
        (RunState.PAUSED, RunEvent.SUCCEED): RunState.SUCCEEDED,
        (RunState.PAUSED, RunEvent.FAIL): RunState.FAILED,
        (RunState.PAUSED, RunEvent.CANCEL): RunState.CANCELLED,
    }
)

TASK_MEANINGS: Final[Mapping[TaskState, str]] = MappingProxyType(
    {
        TaskState.BLOCKED: "It waits for tasks that come before it.",
        TaskState.READY: "A worker may claim it.",
        TaskState.RUNNING: "A worker holds it, or the agent that took it, by a claim with a lease.",
        TaskState.WAITING: "It waits for a person, a time, a child, a run, a signal or its agent, and holds no worker.",
        TaskState.STUCK: "It ended its worker or host too often and waits for a person.",
        TaskState.SUCCEEDED: "It is done, and what it returned is kept.",
        TaskState.FAILED: "Its last attempt failed, or its time was over.",
        TaskState.SKIPPED: "It was left out: what it needed did not succeed, or its condition does not hold.",
        TaskState.CANCELLED: "Its run was cancelled before it ended.",
    }
)

RUN_MEANINGS: Final[Mapping[RunState, str]] = MappingProxyType(
    {
        RunState.RUNNING: "It has tasks that have not ended.",
        RunState.PAUSED: "No task of it is claimed until it goes on.",
        RunState.SUCCEEDED: "All its tasks succeeded, or it goes on without those that did not.",
        RunState.FAILED: "A task that it needs failed or was left out for such a one.",
        RunState.CANCELLED: "Somebody cancelled it, with all its open tasks.",
    }
)


def step(state: TaskState, event: TaskEvent) -> TaskState:
    """Return the state after `event`; raise Conflict where the table has no such move."""
    after = TRANSITIONS.get((state, event))
    if after is None:
        raise Conflict(f"a task that is {state} cannot {event}")
    return after


def step_run(state: RunState, event: RunEvent) -> RunState:
    """Return the run's state after `event`; raise Conflict where the table has no such move."""
    after = RUN_TRANSITIONS.get((state, event))
    if after is None:
        raise Conflict(f"a run that is {state} cannot {event}")
    return after


def may_move(before: TaskState, after: TaskState) -> bool:
    """Say whether one event leads from one state to the other."""
    return any(start is before and end is after for (start, _), end in TRANSITIONS.items())
