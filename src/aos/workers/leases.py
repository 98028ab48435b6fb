"""Renews the leases of what is being worked on, apart from the work; cuts off what was lost, holds what is paused."""

from __future__ import annotations

from datetime import datetime

from aos.kernel.limits import LEASE_SECONDS
from aos.workers.engine import Engine
from aos.workers.tasks import TaskDuty


class LeaseDuty:
    """Renews."""

    name = "leases"
    interval_seconds = LEASE_SECONDS / 5

    def __init__(self, engine: Engine, tasks: TaskDuty) -> None:
        self._engine = engine
        self._tasks = tasks

    async def work_once(self, now: datetime | None) -> int:
        """Renew every lease once; return 0, since the next renewal is due after the interval and not at once."""
        held = self._tasks.held
        if held:
            standing = await self._engine.renew(held)
            self._tasks.cut_off([task.token for task in held if task.token not in standing])
            self._tasks.hold([token for token, paused in standing.items() if paused])
        return 0
