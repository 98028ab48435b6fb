"""Everything that a worker does in the store, built from one process's database, facts, gate and drivers."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from aos.operations.abandon import Abandonment
from aos.operations.approvals import Approvals
from aos.operations.archive import Housekeeping
from aos.operations.bell import Bell
from aos.operations.calls import Calls
from aos.operations.drivers import Drivers
from aos.operations.due_schedules import DueSchedules
from aos.operations.facts import FactsCache
from aos.operations.fans import Fans
from aos.operations.forks import Forks
from aos.operations.gate import Gate
from aos.operations.integrate import integrate_once
from aos.operations.model_calls import ModelCalls
from aos.operations.nested import NestedRuns
from aos.operations.offered_tasks import OfferedTasks
from aos.operations.own_acts import OwnActs
from aos.operations.run_ends import RunEnds
from aos.operations.run_facts import RunFactsCache
from aos.operations.runs import Runs
from aos.operations.signals import Signals
from aos.operations.starts import Starts
from aos.operations.tasks import Taken, Tasks, load_calls
from aos.operations.undo import Undos
from aos.store.hot.database import Database


@dataclass(frozen=True, slots=True)
class Orchestration:
    """The operations behind a worker, and behind whoever starts and steers runs."""

    database: Database
    facts: FactsCache
    gate: Gate
    drivers: Drivers
    worker_id: UUID
    acts: OwnActs
    runs: Runs
    undos: Undos
    forks: Forks
    schedules: DueSchedules
    approvals: Approvals
    ends: RunEnds
    tasks: Tasks
    starts: Starts
    calls: Calls
    signals: Signals
    fans: Fans
    nested: NestedRuns
    abandonment: Abandonment
    housekeeping: Housekeeping
    offered: OfferedTasks

    async def abandon_calls(self, taken: Taken) -> None:
        """Record as unknown what earlier claims of a task left open, and load its calls again."""
        task = taken.task
        await self.abandonment.of_tasks([(task.organization_id, task.id)])
        async with self.database.machine() as transaction:
            await load_calls(transaction, [taken])

    async def integrate(self) -> int:
        """Give waiting records of one organization their places in its log; return how many."""
        done = await integrate_once(self.database, self.facts, self.drivers)
        return 0 if done is None else done.leaves

    async def drain(self) -> None:
        """Return when nothing that was begun here is unwritten."""
        await self.gate.drain()
        await self.calls.drain()
        await self.acts.drain()
        await self.offered.drain()
        await self.tasks.drain()
        await self.runs.starts.drain()


def orchestration(
    database: Database, facts: FactsCache, gate: Gate, drivers: Drivers, *, bell: Bell | None = None
) -> Orchestration:
    """Return the operations of one process, under a fresh worker id; with a bell, tasks on offer are heard of at once."""
    worker_id = drivers.ids.new()
    acts = OwnActs(database, facts, gate, drivers)
    ends = RunEnds(database, facts, drivers)
    tasks = Tasks(database, ends, worker_id=worker_id)
    runs = Runs(database, facts, acts, drivers)
    signals = Signals(database, facts, RunFactsCache(database, facts, drivers), acts, drivers=drivers)
    models = ModelCalls(gate, facts, drivers) if drivers.models is not None else None
    undos = Undos(database, facts, gate, runs, drivers=drivers)
    ends.begin_undo = undos.begin_undo
    return Orchestration(
        database=database,
        facts=facts,
        gate=gate,
        drivers=drivers,
        worker_id=worker_id,
        acts=acts,
        runs=runs,
        schedules=DueSchedules(database, facts, runs, drivers),
        forks=Forks(database, facts, runs, drivers),
        undos=undos,
        approvals=Approvals(database, facts, drivers),
        ends=ends,
        tasks=tasks,
        starts=Starts(database, facts, acts, tasks, drivers=drivers),
        calls=Calls(database, facts, gate, acts, signals=signals, drivers=drivers, models=models),
        signals=signals,
        fans=Fans(database, drivers),
        nested=NestedRuns(database, facts, acts, drivers, open_tasks=runs.starts.room),
        abandonment=Abandonment(database, facts, drivers),
        housekeeping=Housekeeping(database),
        offered=OfferedTasks(database, tasks, worker_id=worker_id, bell=bell),
    )
