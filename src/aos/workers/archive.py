"""Moves ended runs out of the hot tables, and forgets answers kept for repeated requests, and used assertions."""

from __future__ import annotations

from datetime import datetime

from aos.operations.archive import AFTER_SECONDS, Housekeeping


class ArchiveDuty:
    """Archives."""

    name = "archive"

    def __init__(
        self, housekeeping: Housekeeping, *, interval_seconds: float = 30.0, after_seconds: float = AFTER_SECONDS
    ) -> None:
        self.interval_seconds = interval_seconds
        self._housekeeping = housekeeping
        self._after_seconds = after_seconds

    async def work_once(self, now: datetime | None) -> int:
        """Archive some runs that ended long enough ago; return how much was moved or forgotten."""
        moved = await self._housekeeping.archive_runs(after_seconds=self._after_seconds)
        moved += await self._housekeeping.forget_assertions()
        return moved + await self._housekeeping.forget_idempotency()
