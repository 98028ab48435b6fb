"""One worker process of the orchestration benchmarks, and nothing beside it, so that its memory is a worker's own.

`python -m bench._worker PLACE` works until standard input closes; PLACE is JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import uvloop

from aos.boot.connections import SHARES, Kind
from aos.boot.garbage import settle_garbage
from aos.drivers.clock import MonotonicTicker
from aos.drivers.crypto import StandardCrypto
from aos.drivers.hosts.pool import HostPool
from aos.drivers.hosts.values import HostsConfig
from aos.drivers.ids import StandardIds
from aos.drivers.key_file import KeyFile
from aos.operations.bell import Bell
from aos.operations.drivers import Drivers
from aos.operations.facts import FactsCache
from aos.operations.gate import Gate
from aos.operations.orchestration import Orchestration, orchestration
from aos.operations.run_facts import RunFactsCache
from aos.store.hot.database import Database, DatabaseConfig
from aos.workers.inline import InlineRunner
from aos.workers.runners import Runners
from aos.workers.worker import Worker

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Place:
    """Where a process of the bench works."""

    app: str
    machine: str
    keys: str
    hosts: bool

    def command(self) -> list[str]:
        """Return what starts a worker there."""
        return [sys.executable, "-m", "bench._worker", json.dumps(vars(self))]


async def opened(place: Place) -> tuple[Database, Orchestration, Bell]:
    """Return one process's operations."""
    database = Database(DatabaseConfig(place.app, place.machine, machine_connections_max=SHARES[Kind.WORKER].machine))
    await database.open()
    drivers = Drivers(StandardIds(), MonotonicTicker(), StandardCrypto(), KeyFile(Path(place.keys)))
    facts = FactsCache(database, drivers)
    await facts.refresh()
    gate = Gate(database, facts, RunFactsCache(database, facts, drivers), drivers)
    bell = Bell(database)
    bell.start()
    return database, orchestration(database, facts, gate, drivers), bell


async def work(place: Place) -> None:
    """Work until standard input closes."""
    with tempfile.TemporaryDirectory(prefix="hosts-") as folder:
        _, do, bell = await opened(place)
        pool = None
        if place.hosts:
            socket = Path(folder) / "hosts.sock"
            pool = HostPool(HostsConfig(socket, agent_hosts=2, tool_hosts=0, python_path=(str(ROOT),)))
            await pool.start()
        worker = Worker(do, Runners(hosts=pool, inline=InlineRunner()), bell=bell)
        await worker.start()
        settle_garbage()
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        await worker.stop()
        if pool is not None:
            await pool.close()
    os._exit(0)


if __name__ == "__main__":
    uvloop.run(work(Place(**json.loads(sys.argv[1]))))
