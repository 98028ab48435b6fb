"""Makes the daily partitions of the days ahead."""

from __future__ import annotations

from datetime import datetime

from aos.operations.archive import Housekeeping


class PartitionDuty:
    """Makes partitions."""

    name = "partitions"

    def __init__(self, housekeeping: Housekeeping, *, interval_seconds: float = 3_600.0) -> None:
        self.interval_seconds = interval_seconds
        self._housekeeping = housekeeping

    async def work_once(self, now: datetime | None) -> int:
        """Make what is missing; return how many."""
        return await self._housekeeping.make_partitions()
