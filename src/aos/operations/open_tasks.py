"""Back-pressure: an organization with very many open tasks starts no further run until some have ended.

The number is the sum over its open runs. A process reads it at most once a second, and never spends more than a twentieth of
its time on that; in between it adds what it starts itself. So the bound is passed by no more than what a second starts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from aos.kernel.errors import RateLimited
from aos.kernel.limits import OPEN_TASKS_MAX
from aos.kernel.ports import Ticker
from aos.store.hot.database import Database

RETRY_SECONDS: Final = 5
READ_SECONDS: Final = 1.0
_SHARE: Final = 20
_ORGANIZATIONS_MAX: Final = 10_000


@dataclass(slots=True)
class _Count:
    tasks: int
    until_seconds: float


class OpenTasks:
    """Knows about how many tasks each organization has open."""

    def __init__(self, database: Database, ticker: Ticker, *, tasks_max: int = OPEN_TASKS_MAX) -> None:
        self._database = database
        self._ticker = ticker
        self._tasks_max = tasks_max
        self._counts: dict[UUID, _Count] = {}

    async def check_room(self, organization_id: UUID) -> None:
        """Raise RateLimited where the organization has more open tasks than it may."""
        count = self._counts.get(organization_id)
        if count is None or self._ticker.seconds() >= count.until_seconds:
            count = await self._read(organization_id)
        if count.tasks > self._tasks_max:
            raise RateLimited(
                f"about {count.tasks} tasks are open, and no run starts while there are more than {self._tasks_max}: "
                "wait until some have ended, or cancel runs",
                extra={"retry_after_seconds": RETRY_SECONDS},
            )

    def add(self, organization_id: UUID, tasks: int) -> None:
        """Note that a run was started with so many tasks."""
        count = self._counts.get(organization_id)
        if count is not None:
            count.tasks += tasks

    async def _read(self, organization_id: UUID) -> _Count:
        began = self._ticker.seconds()
        (row,) = await self._database.read("count_open_tasks", {"organization_id": organization_id})
        now = self._ticker.seconds()
        if len(self._counts) >= _ORGANIZATIONS_MAX:
            self._counts.clear()
        count = _Count(row["tasks_open"], now + max(READ_SECONDS, _SHARE * (now - began)))
        self._counts[organization_id] = count
        return count
