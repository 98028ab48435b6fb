"""Seeded interleavings of transactions on several connections: one statement moves at a time, and who moves is drawn.

A statement that waits for a lock is left waiting while others move, exactly as the server would have it; a deadlock is
broken by the server and the whole transaction is made again, as `Database.write` does. The same seed draws the same moves.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import dict_row

BROKEN = (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)
Work = Callable[["Actor"], Awaitable[None]]


class Actor:
    """One connection that makes one transaction after another, pausing before each statement and before its commit."""

    def __init__(self, connection: AsyncConnection[Any]) -> None:
        self.connection = connection
        self.pid = connection.info.backend_pid
        self.task: asyncio.Task[None] | None = None
        self.broken = 0
        self._may_move = asyncio.Event()
        self.stands = asyncio.Event()

    async def run(self, text: str, params: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """Wait for the turn, then run one statement."""
        await self._turn()
        cursor = await self.connection.execute(text.encode(), params)
        return await cursor.fetchall() if cursor.description is not None else []

    async def _turn(self) -> None:
        self.stands.set()
        await self._may_move.wait()
        self._may_move.clear()

    def move(self) -> None:
        """Give the actor its turn."""
        self.stands.clear()
        self._may_move.set()

    async def make(self, work: Work) -> None:
        """Make one transaction, again where the server broke it."""
        try:
            while True:
                try:
                    async with self.connection.transaction():
                        await work(self)
                        await self._turn()
                    return
                except BROKEN:
                    self.broken += 1
        finally:
            self.stands.set()


class Interleaver:
    """Makes several transactions at once, in an order drawn from a seed."""

    def __init__(self, chance: random.Random, actors: list[Actor], monitor: AsyncConnection[Any]) -> None:
        self._chance = chance
        self.actors = actors
        self._monitor = monitor

    async def make(self, works: list[Work]) -> None:
        """Make all the transactions to their end, at most as many at a time as there are actors."""
        for first in range(0, len(works), len(self.actors)):
            try:
                await self._make_together(works[first : first + len(self.actors)])
            finally:
                left = [actor.task for actor in self.actors if actor.task is not None and not actor.task.done()]
                for task in left:
                    task.cancel()
                await asyncio.gather(*left, return_exceptions=True)

    async def _make_together(self, works: list[Work]) -> None:
        moving = self.actors[: len(works)]
        for actor, work in zip(moving, works, strict=True):
            actor.stands.clear()
            actor.task = asyncio.create_task(actor.make(work))
        await asyncio.gather(*(actor.stands.wait() for actor in moving))
        while still := [actor for actor in moving if actor.task is not None and not actor.task.done()]:
            standing = [actor for actor in still if actor.stands.is_set()]
            if standing:
                actor = self._chance.choice(standing)
                actor.move()
                await self._settled(actor)
            else:
                await self._any_settled(still)
        for actor in moving:
            assert actor.task is not None
            await actor.task

    async def _settled(self, actor: Actor) -> None:
        """Return when the actor stands before its next statement, has ended, or waits for a lock."""
        for _ in range(20_000):
            if actor.stands.is_set():
                await asyncio.sleep(0)
                return
            try:
                await asyncio.wait_for(actor.stands.wait(), 0.002)
            except TimeoutError:
                if await self._waits_for_lock([actor]):
                    return
        raise AssertionError("a statement neither ended nor waits for a lock")

    async def _any_settled(self, actors: list[Actor]) -> None:
        waits = [asyncio.create_task(actor.stands.wait()) for actor in actors]
        done, pending = await asyncio.wait(waits, timeout=20, return_when=asyncio.FIRST_COMPLETED)
        for each in pending:
            each.cancel()
        assert done, "every transaction waits for another, and the server did not break them"

    async def _waits_for_lock(self, actors: list[Actor]) -> bool:
        cursor = await self._monitor.execute(
            "select 1 from pg_stat_activity where pid = any(%s) and wait_event_type = 'Lock'",
            ([actor.pid for actor in actors],),
        )
        return await cursor.fetchone() is not None


async def connect(dsn: str) -> AsyncConnection[Any]:
    """Return a connection as the pools make them."""
    connection = await AsyncConnection.connect(dsn, autocommit=True, row_factory=dict_row)
    for setting in ("enable_seqscan", "enable_hashjoin", "enable_mergejoin", "jit"):
        await connection.execute("select set_config(%s, 'off', false)", (setting,))
    return connection
