"""Tells workers of tasks by messages: what is ready is read from Postgres, and a message carries its two ids.

Level-triggered: whatever is ready and was not told of lately is told of, so that a message that was lost costs seconds and
one that came twice costs nothing. What was told is remembered here alone, and only while it is ready.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Final, Protocol
from uuid import UUID

from aos.kernel.errors import Unavailable
from aos.kernel.ports import Ticker
from aos.operations.dispatch import ReadyTask

_log = logging.getLogger(__name__)

READY_MAX: Final = 1_000
"""Tasks that one beat looks at: so many are told of before the first of them was claimed."""
MESSAGES_MAX: Final = 2_000
"""Messages that may stand in the queue: past it nothing is said again, for nobody has room."""
AGAIN_SECONDS: Final = 3.0
"""How long a task may stay ready before it is told of again."""
GATHER_SECONDS: Final = 0.01
"""How long a beat waits for more to become ready: one look for many costs what one for few does."""
GATHER_LONG_SECONDS: Final = 0.05
FEW: Final = 100
"""Where more than so many are told of and not claimed, the next look is worth less than it costs."""
LOOK_SECONDS: Final = 1.0
"""How often a process that does not lead looks whether it may."""


class ReadyList(Protocol):
    """Says what is ready."""

    async def list_ready(self, tasks_max: int) -> list[ReadyTask] | None:
        """Return what is ready, None where another process tells of it. Raises Unavailable."""
        ...

    async def close(self) -> None:
        """Leave it to another process."""
        ...


class Messages(Protocol):
    """The queue that carries the messages. Both raise Unavailable where its broker does not answer."""

    async def send(self, named: Sequence[tuple[UUID, UUID]]) -> None:
        """Send one message for each organization and task."""
        ...

    async def waiting(self) -> int:
        """Return how many messages nobody has received yet."""
        ...


class DispatchDuty:
    """Tells."""

    name = "dispatch"

    def __init__(self, ready: ReadyList, messages: Messages, ticker: Ticker, *, interval_seconds: float = 0.5) -> None:
        self.interval_seconds = interval_seconds
        self._ready = ready
        self._messages = messages
        self._ticker = ticker
        self._told: dict[ReadyTask, float] = {}
        self._look_at = 0.0
        self._away = False

    async def work_once(self, now: datetime | None) -> int:
        """Tell of what is ready and was not told of lately; return 0, since what is told of stays ready until claimed."""
        if self._ticker.seconds() < self._look_at:
            return 0
        await asyncio.sleep(GATHER_SECONDS if len(self._told) < FEW else GATHER_LONG_SECONDS)
        ready = await self._ready.list_ready(READY_MAX)
        moment = self._ticker.seconds()
        if ready is None:
            self._told.clear()
            self._look_at = moment + LOOK_SECONDS
            return 0
        self._told = {
            each: at for each in ready if (at := self._told.get(each)) is not None and moment - at < AGAIN_SECONDS
        }
        due = [each for each in ready if each not in self._told]
        if due:
            await self._tell(due, moment)
        return 0

    async def _tell(self, due: Sequence[ReadyTask], moment: float) -> None:
        """Send what the queue has room for; a broker that is away is said once."""
        try:
            due = due[: max(0, MESSAGES_MAX - await self._messages.waiting())]
            await self._messages.send([(each.organization_id, each.id) for each in due])
        except Unavailable as error:
            if not self._away:
                _log.warning("tasks wait for the broker: %s", error.detail)
            self._away = True
            return
        if self._away:
            _log.info("the broker answers again")
        self._away = False
        self._told.update(dict.fromkeys(due, moment))

    async def close(self) -> None:
        """Leave it to another process."""
        await self._ready.close()
