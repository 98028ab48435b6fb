"""Gives written records their places in their organization's log."""

from __future__ import annotations

from datetime import datetime

from aos.operations.orchestration import Orchestration


class IntegrateDuty:
    """Integrates."""

    name = "integrate"

    def __init__(self, orchestration: Orchestration, *, interval_seconds: float = 0.2) -> None:
        self.interval_seconds = interval_seconds
        self._do = orchestration

    async def work_once(self, now: datetime | None) -> int:
        """Integrate what waits in one organization's log; return how many records."""
        return await self._do.integrate()
