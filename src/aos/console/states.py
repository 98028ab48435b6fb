"""Every state that a page shows, with its meaning: one of five, each a shape, a colour and a word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Meaning(StrEnum):
    """The five meanings."""

    GOOD = "good"
    BUSY = "busy"
    WAITS = "waits"
    BAD = "bad"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class State:
    """A meaning with its word."""

    meaning: Meaning
    word: str


_GOOD, _BUSY, _WAITS, _BAD, _UNKNOWN = Meaning
_STATES: Final[Mapping[str, Mapping[str, tuple[Meaning, str]]]] = {
    "run": {
        "running": (_BUSY, "running"),
        "paused": (_WAITS, "paused"),
        "succeeded": (_GOOD, "succeeded"),
        "failed": (_BAD, "failed"),
        "cancelled": (_UNKNOWN, "cancelled"),
    },
    "task": {
        "blocked": (_UNKNOWN, "not yet begun"),
        "ready": (_BUSY, "ready"),
        "running": (_BUSY, "running"),
        "waiting": (_WAITS, "waiting"),
        "stuck": (_BAD, "given up on, waits for a person"),
        "succeeded": (_GOOD, "succeeded"),
        "failed": (_BAD, "failed"),
        "skipped": (_UNKNOWN, "skipped"),
        "cancelled": (_UNKNOWN, "cancelled"),
    },
    "action": {
        "waiting": (_WAITS, "waits for a person"),
        "intended": (_BUSY, "under way"),
        "performed": (_GOOD, "performed"),
        "failed": (_BAD, "failed"),
        "refused": (_BAD, "refused"),
        "unknown": (_UNKNOWN, "outcome unknown"),
    },
    "decision": {
        "allow": (_GOOD, "allowed"),
        "escalate": (_WAITS, "asked a person"),
        "deny": (_BAD, "denied"),
    },
    "approval": {
        "pending": (_WAITS, "waits for a person"),
        "approved": (_GOOD, "approved"),
        "used": (_GOOD, "approved and done"),
        "denied": (_BAD, "denied"),
        "expired": (_UNKNOWN, "expired"),
    },
    "agent": {
        "running": (_GOOD, "running"),
        "paused": (_WAITS, "paused"),
        "errored": (_BAD, "errored"),
        "quarantined": (_BAD, "quarantined"),
        "retired": (_UNKNOWN, "retired"),
    },
    "presence": {
        "here": (_GOOD, "connected"),
        "away": (_UNKNOWN, "not connected"),
        "never": (_WAITS, "never connected"),
    },
    "schedule": {
        "on": (_GOOD, "on"),
        "paused": (_WAITS, "paused"),
        "stopped": (_BAD, "stopped"),
        "waits": (_WAITS, "waits for a person"),
        "failing": (_BAD, "not started"),
    },
    "policy": {
        "active": (_GOOD, "in force"),
        "draft": (_WAITS, "draft"),
        "retired": (_UNKNOWN, "retired"),
    },
}


def state_of(kind: str, value: str) -> State:
    """Return how a state of one kind of thing is shown; one that nobody foresaw is unknown, by its own word."""
    found = _STATES[kind].get(value)
    return State(*found) if found else State(Meaning.UNKNOWN, value)
