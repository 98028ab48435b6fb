"""Where the whole simulation is played: one database and its connections, on which plays follow each other."""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import dict_row

from aos.operations.bell import CHANNELS
from tests.databases import Database as TestDatabase
from tests.databases import Server
from tests.simulation.run_world import Mutant
from tests.simulation.stepper import Stage, Wire
from tests.simulation.virtual_loop import VirtualLoop
from tests.simulation.whole_book import Book
from tests.simulation.whole_checks import PREPARE, RETIRE, Checks
from tests.simulation.whole_company import found_company
from tests.simulation.whole_play import Play


@dataclass(frozen=True)
class Played:
    """How many steps a play had, and a digest of all that was done in it."""

    steps: int
    digest: int


class Theatre:
    """A database on which plays follow each other, each of a company of its own and as if it were the only one."""

    def __init__(self, server: Server, database: TestDatabase) -> None:
        self._server = server
        self._database = database
        self._loop = VirtualLoop()
        self._wires: list[Wire] = []
        with psycopg.connect(server.superuser, autocommit=True) as administrator:
            administrator.execute("alter role aos_test set deadlock_timeout = '20ms'")
        with psycopg.connect(database.owner, autocommit=True) as owner:
            owner.execute(PREPARE)

    def play(self, seed: int, *, mutant: Mutant | None = None) -> Played:
        """Play one seed to its end."""
        logging.disable(logging.ERROR)
        self._loop.now_seconds = 0.0
        try:
            return self._loop.run_until_complete(self._play(seed, mutant))
        finally:
            logging.disable(logging.NOTSET)

    def close(self) -> None:
        """Close every connection."""

        async def go() -> None:
            for wire in self._wires:
                await wire.real.close()

        self._loop.run_until_complete(go())
        self._loop.close()

    async def _play(self, seed: int, mutant: Mutant | None) -> Played:
        chance = random.Random(seed)
        database = self._database
        monitor = await AsyncConnection.connect(
            self._server.superuser, dbname=database.name, autocommit=True, row_factory=dict_row
        )
        start = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
        stage = Stage(self._loop, database, monitor, start, mutant, free=self._wires)
        company = found_company(database, seed, chance.randint(1, 4))
        book = Book(seed)
        play = Play(stage, company, seed, book, Checks(stage, company, book), chance)
        monitor.add_notify_handler(lambda notify: play.rung.append((notify.channel, notify.payload)))
        for channel in CHANNELS:
            await monitor.execute(f"listen {channel}".encode())
        try:
            await play.run()
            return Played(stage.steps, stage.digest)
        except Exception as error:
            error.add_note("\n".join(stage.trace))
            raise
        finally:
            await _end(stage)
            self._wires = await stage.give_back()
            for statement in RETIRE:
                await monitor.execute(statement, {"organization_id": company.world.organization_id})
            await monitor.close()


async def _end(stage: Stage) -> None:
    """End whatever still runs."""
    stage.over = True
    here = asyncio.current_task()
    left = [task for task in asyncio.all_tasks() if task is not here]
    for _ in range(20):
        for task in left:
            task.cancel()
        left = [task for task in left if not task.done()]
        if not left:
            break
        await asyncio.sleep(0)
