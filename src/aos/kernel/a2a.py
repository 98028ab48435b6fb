"""What an A2A task is in the words of AOS: the one table from where a run stands to the protocol's states.

The store says in which phase a task is (the view `a2a_task_now`), this table what that is to a client. A phase stands in
exactly one row; the statements that look for tasks by state ask for the phases of that row.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

MESSAGE_SIGNAL: Final = "message"
"""The signal by which a further message of a client reaches a run: `ctx.wait_for_signal("message")`."""


class Phase(StrEnum):
    """Where what a client sent stands."""

    START_WAITS = "start-waits"
    START_APPROVED = "start-approved"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    SUBMITTED = "submitted"
    WORKING = "working"
    WAITS_FOR_PERSON = "waits-for-person"
    WAITS_FOR_MESSAGE = "waits-for-message"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class TaskState(StrEnum):
    """The states of a task in A2A 1.0 (section 4.1.3) that AOS answers with, or reads of others."""

    SUBMITTED = "TASK_STATE_SUBMITTED"
    WORKING = "TASK_STATE_WORKING"
    COMPLETED = "TASK_STATE_COMPLETED"
    FAILED = "TASK_STATE_FAILED"
    CANCELED = "TASK_STATE_CANCELED"
    INPUT_REQUIRED = "TASK_STATE_INPUT_REQUIRED"
    REJECTED = "TASK_STATE_REJECTED"
    AUTH_REQUIRED = "TASK_STATE_AUTH_REQUIRED"


STATES: Final[Mapping[Phase, TaskState]] = MappingProxyType(
    {
        Phase.START_WAITS: TaskState.INPUT_REQUIRED,
        Phase.START_APPROVED: TaskState.INPUT_REQUIRED,
        Phase.REFUSED: TaskState.REJECTED,
        Phase.WITHDRAWN: TaskState.CANCELED,
        Phase.SUBMITTED: TaskState.SUBMITTED,
        Phase.WORKING: TaskState.WORKING,
        Phase.WAITS_FOR_PERSON: TaskState.INPUT_REQUIRED,
        Phase.WAITS_FOR_MESSAGE: TaskState.INPUT_REQUIRED,
        Phase.PAUSED: TaskState.WORKING,
        Phase.SUCCEEDED: TaskState.COMPLETED,
        Phase.FAILED: TaskState.FAILED,
        Phase.CANCELLED: TaskState.CANCELED,
    }
)
"""The protocol's state of each phase."""

TERMINAL: Final = frozenset({TaskState.COMPLETED, TaskState.FAILED, TaskState.CANCELED, TaskState.REJECTED})
"""States that a task never leaves."""

INTERRUPTED: Final = frozenset({TaskState.INPUT_REQUIRED, TaskState.AUTH_REQUIRED})
"""States in which somebody must do something first."""

FOR_SENDER: Final = frozenset({Phase.START_WAITS, Phase.START_APPROVED, Phase.WAITS_FOR_MESSAGE})
"""Phases in which nothing happens until the sender says more; a stream ends there too."""

SAID: Final[Mapping[Phase, str]] = MappingProxyType(
    {
        Phase.START_WAITS: "a person must allow this first (approval `{approval}`): once they have, send any message to this task",
        Phase.START_APPROVED: "a person allowed this (approval `{approval}`): send any message to this task, and it begins",
        Phase.WITHDRAWN: "it was cancelled before it began",
        Phase.WAITS_FOR_PERSON: "a person must allow what it is about to do (approval `{approval}`); it goes on by itself",
        Phase.WAITS_FOR_MESSAGE: "it waits for your next message to this task",
        Phase.PAUSED: "its run is paused",
        Phase.CANCELLED: "its run was cancelled",
    }
)
"""What a client is told of a phase that its state alone does not explain."""


def state_of(phase: Phase) -> TaskState:
    """Return the protocol's state of a phase."""
    return STATES[phase]


def phases_of(state: TaskState) -> tuple[Phase, ...]:
    """Return the phases that are shown as one state; none for a state that AOS never answers with."""
    return tuple(phase for phase, shown in STATES.items() if shown is state)


def is_answered(phase: Phase) -> bool:
    """Say whether an answer that waits for a task is due: it has ended, or somebody must do something first."""
    return STATES[phase] in TERMINAL or STATES[phase] in INTERRUPTED


def ends_stream(phase: Phase) -> bool:
    """Say whether a stream of a task ends: nothing more comes of it without its sender."""
    return STATES[phase] in TERMINAL or phase in FOR_SENDER


def backoff_seconds(tries: int, *, first: float, most: float) -> float:
    """Return how long to wait after so many tries, from 1: twice as long each time, up to `most`."""
    return min(first * 2.0 ** min(max(tries, 1) - 1, 30), most)
