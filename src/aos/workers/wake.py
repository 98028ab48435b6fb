"""Wakes tasks whose time has come: sleeps that are over, waits that were limited, retries after their pause.

A sleeping task costs a row and an entry of an index that holds sleeping tasks alone, in order of their time: one look
finds what is due and when the next is.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from aos.operations.orchestration import Orchestration

TASKS_MAX: Final = 1_000
INTERVAL_SECONDS_MAX: Final = 0.5
INTERVAL_SECONDS_MIN: Final = 0.005


class WakeDuty:
    """Wakes."""

    name = "wake"

    def __init__(self, orchestration: Orchestration, *, interval_seconds: float = INTERVAL_SECONDS_MAX) -> None:
        self.interval_seconds = interval_seconds
        self._longest_seconds = interval_seconds
        self._do = orchestration

    async def work_once(self, now: datetime | None) -> int:
        """Wake what is due and return how many; the next look is when the next one is due, or after half a second."""
        woken, next_seconds = await self._do.tasks.wake(TASKS_MAX)
        due = self._longest_seconds if next_seconds is None else next_seconds
        self.interval_seconds = min(max(due, INTERVAL_SECONDS_MIN), self._longest_seconds)
        return woken
