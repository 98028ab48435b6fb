"""The engine: how tasks come into a worker's hands and leave them. Another engine takes its place by these five verbs.

- A claim is in Postgres, fenced by its token, whatever told the worker of the task; so is the end of it.
- A worker holds a task by its claim alone, never by a message, and renews the lease apart from the work.
- No verb raises for a claim that is gone: it says so, and nothing was written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from aos.operations.claimed import ClaimedTask
from aos.operations.ends import Completion
from aos.operations.tasks import Taken, Tasks


class Engine(Protocol):
    """Hands out tasks and takes back what became of them."""

    async def claim(self, tasks_max: int, *, of: UUID | None = None) -> list[Taken]:
        """Claim up to `tasks_max` tasks that are ready, with what they need to run; `of` one organization where it has called.

        Raises Unavailable.
        """
        ...

    async def renew(self, held: Sequence[ClaimedTask]) -> dict[UUID, bool]:
        """Renew the leases of the claims held; return the tokens that still stand, each with whether its run is paused.

        Raises Unavailable.
        """
        ...

    async def complete(self, member: Completion) -> bool:
        """Write the end of an attempt, good or bad; False where the claim is gone."""
        ...

    async def fail(self, task: ClaimedTask, *, delay_seconds: float = 0.0, pass_ms: int = 0) -> bool:
        """Give back a task whose pass broke down, counted towards poison; False where the claim is gone."""
        ...

    async def cancel(self, task: ClaimedTask, *, delay_seconds: float = 0.0, pass_ms: int = 0) -> bool:
        """Give back a task whose pass was ended from outside, uncounted; False where the claim is gone."""
        ...


class PostgresEngine:
    """The default: whoever has room claims what is ready, woken by the bell, with a look now and then beneath."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks

    async def claim(self, tasks_max: int, *, of: UUID | None = None) -> list[Taken]:
        """Claim the next in turn."""
        return await self._tasks.claim(tasks_max, of=of)

    async def renew(self, held: Sequence[ClaimedTask]) -> dict[UUID, bool]:
        """Renew the leases."""
        return await self._tasks.renew(held)

    async def complete(self, member: Completion) -> bool:
        """Write the end of an attempt."""
        return await self._tasks.complete(member)

    async def fail(self, task: ClaimedTask, *, delay_seconds: float = 0.0, pass_ms: int = 0) -> bool:
        """Give a claim back, counted."""
        return await self._tasks.release(task, counted=True, delay_seconds=delay_seconds, pass_ms=pass_ms)

    async def cancel(self, task: ClaimedTask, *, delay_seconds: float = 0.0, pass_ms: int = 0) -> bool:
        """Give a claim back, uncounted."""
        return await self._tasks.release(task, counted=False, delay_seconds=delay_seconds, pass_ms=pass_ms)
