"""Which tasks somebody may be told of: what is ready, read by the one process of the deployment that tells.

A list says nothing of who will work on a task: the claim decides that, and a task that was listed twice is claimed once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from aos.store.hot.database import Database
from aos.store.hot.lead import Lead

LEAD_NAME: Final = "aos.dispatch"


@dataclass(frozen=True, slots=True)
class ReadyTask:
    """A task that is ready, and since when: one that is ready again is another value."""

    organization_id: UUID
    id: UUID
    ready_at: datetime


class Dispatch:
    """One process's part in telling of tasks."""

    def __init__(self, database: Database) -> None:
        self._lead = Lead(database, LEAD_NAME)

    async def list_ready(self, tasks_max: int) -> list[ReadyTask] | None:
        """Return up to `tasks_max` tasks that could be claimed now, in the order in which they should be.

        None where another process tells of them. Raises Unavailable.
        """
        rows = await self._lead.read("list_ready_tasks", {"tasks_max": tasks_max})
        return None if rows is None else [ReadyTask(**row) for row in rows]

    async def close(self) -> None:
        """Leave it to another process."""
        await self._lead.close()
