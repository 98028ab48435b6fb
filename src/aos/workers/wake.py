"""Wakes tasks whose time has come: whatever else they wait for, they are ready then."""

from __future__ import annotations

from datetime import datetime

from aos.operations.orchestration import Orchestration

TASKS_MAX = 500


class WakeDuty:
    """Wakes."""

    name = "wake"

    def __init__(self, orchestration: Orchestration, *, interval_seconds: float = 0.5) -> None:
        self.interval_seconds = interval_seconds
        self._do = orchestration

    async def work_once(self, now: datetime | None) -> int:
        """Wake what is due; return how many, and look again when the next is due, within half a second."""
        woken, next_seconds = await self._do.tasks.wake(TASKS_MAX)
        self.interval_seconds = min(0.5, max(next_seconds, 0.005))
        return woken
