"""Tasks of ours that agents elsewhere do: noted before they are sent, forgotten when they end, taken back when ours ended.

A task that is cancelled, runs out of time or loses its attempt says nothing to the far side itself: whoever ran it may be
dead. What is noted is compared with our tasks again and again; where ours has ended, the far side is told, with growing pauses, until it
answers or `TRIES_MAX` is reached.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from aos.kernel.a2a import backoff_seconds
from aos.kernel.agents import Agent
from aos.kernel.errors import UpstreamFailed
from aos.operations.drivers import Drivers
from aos.operations.facts import FactsCache
from aos.operations.remote_agents import NotSent, Place, RemoteAgents, RemoteFailed
from aos.store.hot.database import Database, Row

SENDING_SECONDS: Final = 120
"""How long a noted task may have no name on the far side: past it, it was never sent or nobody knows what came of it."""
LEASE_SECONDS: Final = 60
TRIES_MAX: Final = 10
FIRST_PAUSE_SECONDS: Final = 1.0
PAUSE_SECONDS_MAX: Final = 600.0
TAKEN_MAX: Final = 20


class RemoteTasks:
    """Notes what was handed elsewhere."""

    def __init__(self, database: Database, facts: FactsCache, drivers: Drivers) -> None:
        self._database = database
        self._facts = facts
        self._agents = RemoteAgents(drivers)

    async def note(
        self,
        agent: Agent,
        place: Place,
        *,
        organization_id: UUID,
        task_id: UUID,
        message_id: str,
        attempt: int,
        remote_task_id: str | None = None,
    ) -> None:
        """Note that an attempt of a task is sent to a place, or what it is called there."""
        params = {
            "organization_id": organization_id,
            "task_id": task_id,
            "message_id": message_id,
            "agent_id": agent.id,
            "endpoint": _written(place),
            "remote_task_id": remote_task_id,
            "attempt": attempt,
        }
        async with self._database.app(organization_id) as transaction:
            await transaction.run("save_a2a_remote", params)

    async def message_of(self, agent: Agent, *, organization_id: UUID, task_id: UUID, attempt: int) -> str:
        """Return the id of the message by which an attempt is sent: the receiver knows by it what it has begun already.

        It is the same for every try of which nobody knows whether it arrived, in whatever attempt, and a new one where the
        far side has answered the last.
        """
        params = {"organization_id": organization_id, "task_id": task_id, "attempt": attempt, "agent_id": agent.id}
        async with self._database.app(organization_id) as transaction:
            rows = await transaction.run("find_a2a_message", params)
        return str(rows[0]["message_id"]) if rows else f"{task_id}-{attempt}"

    async def ended(self, *, organization_id: UUID, task_id: UUID, message_id: str) -> None:
        """Note that nothing is left to be told to the far side."""
        await self._end(organization_id, task_id, message_id, delay_seconds=None)

    async def take(self) -> list[Row]:
        """Take tasks that are still done elsewhere though ours has ended, so that no other worker does for a while."""
        params = {"limit": TAKEN_MAX, "sending_seconds": SENDING_SECONDS, "lease_seconds": LEASE_SECONDS}
        async with self._database.machine() as transaction:
            return await transaction.run("claim_a2a_cancels", params)

    async def take_back(self, taken: Row) -> None:
        """Tell the far side of one task that nobody waits for it any more."""
        facts = await self._facts.of(taken["organization_id"])
        agent = facts.agents.get(taken["agent_id"])
        pause: float | None = None
        if agent is not None and agent.runtime is not None and taken["remote_task_id"] is not None:
            place = _read(taken["endpoint"])
            try:
                await self._agents.cancel(agent, facts, place, task_id=taken["remote_task_id"])
            except (NotSent, UpstreamFailed):
                if taken["tries"] < TRIES_MAX:
                    pause = backoff_seconds(taken["tries"], first=FIRST_PAUSE_SECONDS, most=PAUSE_SECONDS_MAX)
            except RemoteFailed:
                pass  # it has answered: that it will not, or cannot, is its own affair
        await self._end(taken["organization_id"], taken["task_id"], taken["message_id"], delay_seconds=pause)

    async def _end(self, organization_id: UUID, task_id: UUID, message_id: str, *, delay_seconds: float | None) -> None:
        params: dict[str, Any] = {"organization_id": organization_id, "task_id": task_id, "message_id": message_id}
        async with self._database.app(organization_id) as transaction:
            await transaction.run("end_a2a_remote", {**params, "delay_seconds": delay_seconds})


def _written(place: Place) -> str:
    return f"{place.tenant} {place.endpoint} {place.terms}"


def _read(text: str) -> Place:
    tenant, endpoint, terms = text.rsplit(" ", 2)
    return Place(endpoint, tenant, terms)
