"""Reads every organization's epoch, so that this process decides on facts that still hold."""

from __future__ import annotations

from datetime import datetime

from aos.kernel.limits import EPOCH_AGE_SECONDS_MAX
from aos.operations.facts import FactsCache


class EpochDuty:
    """Reads."""

    name = "epochs"
    interval_seconds = EPOCH_AGE_SECONDS_MAX / 3

    def __init__(self, facts: FactsCache) -> None:
        self._facts = facts

    async def work_once(self, now: datetime | None) -> int:
        """Read once; return 0, since the next reading is due after the interval."""
        await self._facts.refresh()
        return 0
