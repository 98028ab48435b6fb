"""The engine of tasks that are offered: messages name tasks, and the worker claims those it was told of and no others.

- An offer holds nothing. It is answered when the claim is made or refused, and the message is acknowledged then: before
  that the message is still its broker's, after that the task is held by a claim in Postgres.
- An offer that finds no room in time is put off: the message goes back, to this worker or another.
- The same task offered many times is claimed once; an offer for what is not ready is answered and forgotten.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import StrEnum
from typing import Final
from uuid import UUID

from aos.operations.tasks import Taken, Tasks
from aos.workers.engine import PostgresEngine

OFFER_SECONDS: Final = 1.0
"""How long an offer waits for room: well within any time after which a broker counts a consumer as dead."""
_Key = tuple[UUID, UUID]


class Offered(StrEnum):
    """What became of an offer."""

    TAKEN = "taken"
    NOT_READY = "not-ready"
    PUT_OFF = "put-off"


class OfferedEngine(PostgresEngine):
    """Claims what it was offered; all else is as in Postgres's own engine."""

    def __init__(self, tasks: Tasks) -> None:
        super().__init__(tasks)
        self._offers: dict[_Key, asyncio.Future[Offered]] = {}
        self._wake: Callable[[], None] = _nobody
        self._closed = False

    def on_offer(self, wake: Callable[[], None]) -> None:
        """Call `wake` when something was offered."""
        self._wake = wake

    async def offer(self, organization_id: UUID, task_id: UUID) -> Offered:
        """Return what became of the task that a message names, within OFFER_SECONDS."""
        key = (organization_id, task_id)
        answer = self._offers.get(key)
        if answer is None:
            answer = asyncio.get_running_loop().create_future()
            self._offers[key] = answer
        if not self._closed:
            self._wake()
        await asyncio.wait([answer], timeout=OFFER_SECONDS)
        if answer.done():
            return answer.result()
        if self._offers.get(key) is answer:
            del self._offers[key]
        return Offered.PUT_OFF

    def close(self) -> None:
        """Claim nothing more: every offer is put off."""
        self._closed = True

    async def claim(self, tasks_max: int, *, of: UUID | None = None) -> list[Taken]:
        """Claim what was offered, the oldest first. What cannot be claimed now because of an error stays offered."""
        if self._closed:
            return []
        offers = dict([each for each in self._offers.items() if of in (None, each[0][0])][:tasks_max])
        if not offers:
            return []
        taken = await self._tasks.claim_named(list(offers))
        won = {(each.task.organization_id, each.task.id) for each in taken}
        for key, answer in offers.items():
            if self._offers.get(key) is answer:
                del self._offers[key]
            if not answer.done():
                answer.set_result(Offered.TAKEN if key in won else Offered.NOT_READY)
        return taken


def _nobody() -> None:
    """Nobody waits for offers."""
