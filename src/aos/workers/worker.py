"""A worker: the duties of one process, started and stopped together.

    worker = Worker(orchestration(database, facts, gate, drivers), Runners(hosts=pool, inline=InlineRunner()), bell=bell)
    await worker.start()
    await worker.stop()          # on SIGTERM: claims nothing more, waits, gives back the rest

Any number of workers share a database; none knows of another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from aos.operations.a2a_pushes import A2aPushes
from aos.operations.orchestration import Orchestration
from aos.operations.remote_tasks import RemoteTasks
from aos.workers.a2a import PushDuty, TakeBackDuty
from aos.workers.archive import ArchiveDuty
from aos.workers.dispatch import DispatchDuty
from aos.workers.duty import Duty, Loop
from aos.workers.engine import PostgresEngine
from aos.workers.epochs import EpochDuty
from aos.workers.integrate import IntegrateDuty
from aos.workers.leases import LeaseDuty
from aos.workers.offers import OfferedEngine
from aos.workers.partitions import PartitionDuty
from aos.workers.runners import Runners
from aos.workers.schedules import ScheduleDuty
from aos.workers.sweep import SweepDuty
from aos.workers.task_passes import TaskPasses
from aos.workers.tasks import TaskDuty
from aos.workers.wake import WakeDuty


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """What one worker does, and how much at once."""

    tasks_at_once: int = 200
    finish_seconds: float = 10.0
    """How long a worker that stops waits for what it runs."""
    keeps_house: bool = True
    """Whether it sweeps, integrates and archives as well; any number of workers may, one must."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a worker needs that is told of tasks by messages: the engine that is offered them, and the duty that tells."""

    engine: OfferedEngine
    dispatch: DispatchDuty


class Rings(Protocol):
    """What wakes a worker."""

    def on(self, channel: str, listener: Callable[[str], None]) -> None:
        """Call `listener` at each ring of a channel."""
        ...


class Worker:
    """One process's duties."""

    def __init__(
        self,
        orchestration: Orchestration,
        runners: Runners,
        *,
        bell: Rings | None,
        config: WorkerConfig | None = None,
        told: Told | None = None,
    ) -> None:
        self.config = config or WorkerConfig()
        self._do = orchestration
        self._told = told
        engine = told.engine if told is not None else PostgresEngine(orchestration.tasks)
        passes = TaskPasses(orchestration, runners, engine)
        self.tasks = TaskDuty(orchestration, passes, engine=engine, tasks_at_once=self.config.tasks_at_once)
        duties: list[Duty] = []
        if self.config.keeps_house:
            duties = [
                SweepDuty(orchestration, passes),
                WakeDuty(orchestration),
                IntegrateDuty(orchestration),
                ArchiveDuty(orchestration.housekeeping),
                PartitionDuty(orchestration.housekeeping),
                ScheduleDuty(orchestration.schedules),
                PushDuty(A2aPushes(orchestration.database, orchestration.facts, orchestration.drivers)),
                TakeBackDuty(RemoteTasks(orchestration.database, orchestration.facts, orchestration.drivers)),
            ]
        self._claims = Loop(self.tasks, orchestration.facts)
        epochs = Loop(EpochDuty(orchestration.facts), orchestration.facts)
        leases = Loop(LeaseDuty(engine, self.tasks), orchestration.facts)
        self._others = [epochs, leases, *(Loop(duty, orchestration.facts) for duty in duties)]
        self.tasks.on_work(self._claims.wake)
        ready: Callable[[str], None] = self.tasks.ring
        if told is not None:
            dispatch = Loop(told.dispatch, orchestration.facts)
            ready = dispatch.ring
            self._others.append(dispatch)
            told.engine.on_offer(self._claims.wake)
        if bell is not None:
            bell.on("aos_ready", ready)
            bell.on("aos_hold", self.tasks.hold_run)
            # A renewal finds which claims are gone and cuts their passes off.
            bell.on("aos_stop", lambda _: leases.wake())
            bell.on("aos_epoch", lambda _: epochs.wake())

    async def start(self) -> None:
        """Begin; raises Unavailable where the database cannot be read."""
        await self._do.facts.refresh()
        for loop in (*self._others, self._claims):
            loop.start()

    async def stop(self) -> None:
        """Claim nothing more, let what runs end within `finish_seconds`, give back the rest, write what is unwritten."""
        if self._told is not None:
            self._told.engine.close()
        await self._claims.stop()
        await self.tasks.finish(self.config.finish_seconds)
        for loop in self._others:
            await loop.stop()
        if self._told is not None:
            await self._told.dispatch.close()
        await self._do.drain()
