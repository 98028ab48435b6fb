"""The duties of A2A: notifications are delivered, and what is still done elsewhere for nobody is taken back."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Final

from aos.operations.a2a_pushes import A2aPushes
from aos.operations.remote_tasks import RemoteTasks

INTERVAL_SECONDS: Final = 1.0


class PushDuty:
    """Tells receivers how their tasks stand."""

    name = "a2a-pushes"

    def __init__(self, pushes: A2aPushes) -> None:
        self.interval_seconds = INTERVAL_SECONDS
        self._pushes = pushes

    async def work_once(self, now: datetime | None) -> int:
        """Deliver what is due; return how many receivers took it. One that is slow holds up no other."""
        taken = await self._pushes.take()
        delivered = await asyncio.gather(*(self._pushes.deliver(each) for each in taken), return_exceptions=True)
        return sum(each is True for each in delivered)


class TakeBackDuty:
    """Tells agents elsewhere that nobody waits for what they do."""

    name = "a2a-cancels"

    def __init__(self, tasks: RemoteTasks) -> None:
        self.interval_seconds = INTERVAL_SECONDS
        self._tasks = tasks

    async def work_once(self, now: datetime | None) -> int:
        """Take back what nobody waits for; return how many were told."""
        taken = await self._tasks.take()
        await asyncio.gather(*(self._tasks.take_back(each) for each in taken), return_exceptions=True)
        return len(taken)
