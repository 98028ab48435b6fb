"""Tasks on offer: prepared by a worker, waiting for the agent outside that fetches them.

A worker decides the delegation, renders the input and sees to conditions and deadlines as for any task; then the task
waits, and holds nothing. Its agent takes it under a claim with a lease, and whatever ends the claim is what ends a
worker's: nothing here decides. Takes that come together are one statement. A bell names the agent; a look now and then
finds what a lost bell left.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from aos.kernel.errors import AosError
from aos.kernel.limits import LEASE_SECONDS
from aos.operations.bell import Bell
from aos.operations.claimed import ClaimedTask, claimed_task
from aos.operations.group_commit import GroupCommit
from aos.operations.tasks import Taken, Tasks
from aos.operations.tokens import TaskToken
from aos.store.hot.database import Database, Row
from aos.store.rows import rows_json
from aos.store.task_rows import OfferRow, TaskKey, WantRow

LOOK_AGAIN_SECONDS: Final = 300.0
"""After how long a worker looks at a task on offer again: its agent may be gone, or its runtime another."""
SWEEP_SECONDS: Final = 2.0
"""How often the agents that wait are looked up, whatever bells rang."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Want:
    organization_id: UUID
    agent_id: UUID
    tasks_max: int


class OfferedTasks:
    """Offers tasks, and takes them for their agents."""

    def __init__(self, database: Database, tasks: Tasks, *, worker_id: UUID, bell: Bell | None = None) -> None:
        self._database = database
        self._tasks = tasks
        self._worker_id = worker_id
        self._offers = GroupCommit(self._write_offers, name="offer")
        self._takes = GroupCommit(self._write_takes, name="take")
        self._waiting: dict[tuple[UUID, UUID], set[asyncio.Event]] = {}
        self._sweeping: asyncio.Task[None] | None = None
        self.ended = False
        self._going_back: set[asyncio.Task[bool]] = set()
        if bell is not None:
            bell.on("aos_work", self._ring)

    async def offer(self, task: ClaimedTask) -> bool:
        """Offer a started task to its agent and give up its claim; False where the claim is gone."""
        row = OfferRow(
            n=0,
            organization_id=task.organization_id,
            task_id=task.id,
            claim_token=task.token,
            look_again_seconds=LOOK_AGAIN_SECONDS,
        )
        return await self._offers.submit(row)

    async def take(self, organization_id: UUID, agent_id: UUID, tasks_max: int) -> list[Taken]:
        """Take up to so many of an agent's tasks, each under a fresh claim, with what it needs; give all back when cancelled."""
        taking = asyncio.create_task(self._take(_Want(organization_id, agent_id, tasks_max)), name="take")
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            taking.add_done_callback(self._give_back_later)
            raise

    @contextmanager
    def listening(self, organization_id: UUID, agent_id: UUID) -> Iterator[asyncio.Event]:
        """Give an event that is set when tasks may be on offer to an agent: listen first, then look, then wait."""
        key, event = (organization_id, agent_id), asyncio.Event()
        self._waiting.setdefault(key, set()).add(event)
        if self._sweeping is None or self._sweeping.done():
            self._sweeping = asyncio.create_task(self._sweep(), name="offered-tasks")
        try:
            yield event
        finally:
            waiters = self._waiting[key]
            waiters.discard(event)
            if not waiters:
                del self._waiting[key]

    def end_waits(self) -> None:
        """Wake everybody who waits, now and ever after: this process ends."""
        self.ended = True
        self._ring("")

    async def find(self, token: TaskToken) -> ClaimedTask | None:
        """Return the task that an agent holds under a token, None where the claim is gone."""
        where = {
            "organization_id": token.organization_id,
            "task_id": token.task_id,
            "claim_token": token.claim_token,
        }
        rows = await self._database.read("find_taken_task", where)
        return claimed_task(rows[0]) if rows else None

    async def drain(self) -> None:
        """Return when nothing that was submitted is unwritten."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.gather(self._sweeping, return_exceptions=True)
        await self._offers.drain()
        await self._takes.drain()
        await asyncio.gather(*self._going_back, return_exceptions=True)

    def give_back(self, tasks: Sequence[ClaimedTask]) -> None:
        """Begin to give back tasks that were taken and reached nobody: at once, uncounted. One whose claim is gone stays so."""
        for each in tasks:
            task = asyncio.create_task(self._tasks.release(each, counted=False), name="give-back")
            self._going_back.add(task)
            task.add_done_callback(self._gone_back)

    def _gone_back(self, task: asyncio.Task[bool]) -> None:
        self._going_back.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("a task that nobody got waits out its lease: %s", error)

    async def _take(self, want: _Want) -> list[Taken]:
        rows = await self._takes.submit(want)
        try:
            return await self._tasks.loaded(rows)
        except BaseException:
            self.give_back([claimed_task(row) for row in rows])
            raise

    def _give_back_later(self, taking: asyncio.Task[list[Taken]]) -> None:
        if not taking.cancelled() and taking.exception() is None:
            self.give_back([each.task for each in taking.result()])

    def _ring(self, agent_id: str) -> None:
        for (_, each), events in self._waiting.items():
            if not agent_id or str(each) == agent_id:
                for event in events:
                    event.set()

    async def _sweep(self) -> None:
        """Wake those whose bell was lost, as long as anybody waits."""
        while self._waiting:
            await asyncio.sleep(SWEEP_SECONDS)
            waiting = [WantRow(organization_id=org, agent_id=agent) for org, agent in self._waiting]
            try:
                rows = await self._database.read("list_offered", {"agents": rows_json(waiting)}) if waiting else []
            except AosError:
                continue
            for row in rows:
                self._ring(str(row["agent_id"]))

    # --- flushes -----------------------------------------------------------------------------------------------------

    async def _write_offers(self, batch: Sequence[OfferRow]) -> list[bool]:
        for n, row in enumerate(batch):
            row.n = n
        keys = rows_json([TaskKey(organization_id=row.organization_id, id=row.task_id) for row in batch])
        rows = await self._database.write_in_order(
            ("lock_tasks", {"tasks": keys}), ("offer_tasks", {"members": rows_json(batch)})
        )
        written = {row["n"] for row in rows}
        return [n in written for n in range(len(batch))]

    async def _write_takes(self, batch: Sequence[_Want]) -> list[list[Row]]:
        wanted: dict[tuple[UUID, UUID], int] = {}
        for want in batch:
            key = want.organization_id, want.agent_id
            wanted[key] = wanted.get(key, 0) + want.tasks_max
        wants = rows_json(
            [WantRow(organization_id=org, agent_id=agent, tasks_max=most) for (org, agent), most in wanted.items()]
        )
        named = rows_json([TaskKey(organization_id=org, id=agent) for org, agent in wanted])
        params = {"wants": wants, "worker_id": self._worker_id, "lease_seconds": LEASE_SECONDS}
        rows = await self._database.write_in_order(("lock_named_limits", {"tasks": named}), ("take_tasks", params))
        left: dict[tuple[UUID, UUID], list[Row]] = {}
        for row in rows:
            left.setdefault((row["organization_id"], row["agent_id"]), []).append(row)
        found = []
        for want in batch:
            mine = left.get((want.organization_id, want.agent_id), [])
            found.append(mine[: want.tasks_max])
            del mine[: want.tasks_max]
        return found
