"""The states of a task and every legal move between them, as one table.

              unblock       claim         succeed/fail/skip
    blocked ---------> ready -----> running ---------------> succeeded | failed | skipped
                        ^  ^          |  |
                        |  +-- retry, release
                        |             | park
                        +--- wake - waiting          cancel leads from every open state to cancelled

SQL may make no other move; the store's tests watch every row against this table. A task that is `blocked` counts open
sources of its edges, one that is `waiting` counts what its pass waits for; both counts are `blockers`.
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
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


class TaskEvent(StrEnum):
    """What happens to a task."""

    UNBLOCK = "unblock"
    CLAIM = "claim"
    PARK = "park"
    WAKE = "wake"
    RELEASE = "release"
    RETRY = "retry"
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
        (TaskState.BLOCKED, TaskEvent.CANCEL): TaskState.CANCELLED,
        (TaskState.READY, TaskEvent.CLAIM): TaskState.RUNNING,
        (TaskState.READY, TaskEvent.CANCEL): TaskState.CANCELLED,
        (TaskState.RUNNING, TaskEvent.PARK): TaskState.WAITING,
        (TaskState.RUNNING, TaskEvent.RELEASE): TaskState.READY,
        (TaskState.RUNNING, TaskEvent.RETRY): TaskState.READY,
        (TaskState.RUNNING, TaskEvent.SUCCEED): TaskState.SUCCEEDED,
        (TaskState.RUNNING, TaskEvent.FAIL): TaskState.FAILED,
        (TaskState.RUNNING, TaskEvent.SKIP): TaskState.SKIPPED,
        (TaskState.RUNNING, TaskEvent.CANCEL): TaskState.CANCELLED,
        (TaskState.WAITING, TaskEvent.WAKE): TaskState.READY,
        (TaskState.WAITING, TaskEvent.CANCEL): TaskState.CANCELLED,
    }
)


def step(state: TaskState, event: TaskEvent) -> TaskState:
    """Return the state after `event`; raise Conflict where the table has no such move."""
    after = TRANSITIONS.get((state, event))
    if after is None:
        raise Conflict(f"a task that is {state} cannot {event}")
    return after


def may_move(before: TaskState, after: TaskState) -> bool:
    """Say whether one event leads from one state to the other."""
    return any(start is before and end is after for (start, _), end in TRANSITIONS.items())
