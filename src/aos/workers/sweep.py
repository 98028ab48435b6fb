"""Finds what was lost: leases that ran out, acts without conclusion, approvals nobody answered, runs that did not end."""

from __future__ import annotations

from datetime import datetime

from aos.operations.orchestration import Orchestration
from aos.workers.task_passes import TaskPasses

TASKS_MAX = 500


class SweepDuty:
    """Sweeps."""

    name = "sweep"

    def __init__(self, orchestration: Orchestration, passes: TaskPasses, *, interval_seconds: float = 1.0) -> None:
        self.interval_seconds = interval_seconds
        self._do = orchestration
        self._passes = passes

    async def work_once(self, now: datetime | None) -> int:
        """Sweep once; return how much was found of what may have more to find."""
        lost, poisonous = await self._do.tasks.sweep(TASKS_MAX)
        for task in poisonous:
            await self._passes.park_as_stuck(task)
        abandoned = await self._do.abandonment.overdue()
        expired = await self._do.approvals.expire()
        ended = await self._do.ends.finish()
        return lost + abandoned + expired + ended
