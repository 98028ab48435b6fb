"""A long queue: tasks a second with 1,000 and with 100,000 ready tasks, and what such a queue does to somebody else.

Tasks are put into the table while their runs are paused, the workers are warmed, then all runs are resumed and the ends of
tasks are counted. For fairness, single tasks of a small organization are timed one after the other: alone, and while the
workers are at another organization's queue. The figure is the ratio of the two 99th percentiles.
`python -m bench backlog [--workers N] [--tasks N] [--samples N]`, JSON lines.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

import uvloop

from aos.boot.garbage import settle_garbage
from aos.kernel.agents import Runtime
from aos.kernel.identity import ChainLink, Principal, PrincipalKind
from aos.kernel.workflow.spec import TaskSpec, WorkflowSpec
from aos.operations.bell import Bell
from aos.operations.orchestration import Orchestration
from aos.operations.run_rows import RunRequest
from aos.operations.runs import RunStarted
from aos.store.hot.database import Database
from bench._meter import Meter
from bench._worker import ROOT, Place, opened
from bench.orchestration import durable_world, fdatasync_us, keep_fresh
from tests.working import add_workflow
from tests.worlds import World, agent, make_world

TASKS_A_RUN = 1_000
FEW = 1_000
WARM_RUNS = 20
MEASURED_SHARE = 0.5
"""Of a long queue, what share is worked off before the clock is stopped."""
REPEATS = 5
PLACED = (
    "(exists (select 1 from ledger_leaf l where l.record_id = r.id)"
    " or exists (select 1 from ledger_pending p where p.record_id = r.id))"
)
POLL_SECONDS = 0.01


class Office:
    """One organization, from the client's process."""

    def __init__(self, world: World, do: Orchestration, database: Database, bell: Bell) -> None:
        self.world = world
        self.do = do
        self._database = database
        self._bell = bell
        link = ChainLink(PrincipalKind.PERSON, world.person_id, "maria@larkspur.example")
        self._person = Principal(world.organization_id, (link,), roles=("operator",))

    async def start(self, workflow: str) -> UUID:
        """Start a run."""
        started = await self.do.runs.start_run(self._person, RunRequest(workflow=workflow))
        assert isinstance(started, RunStarted), started
        return started.run_id

    async def fill(self, tasks: int) -> list[UUID]:
        """Start runs of so many ready tasks, and pause each."""
        runs = []
        for _ in range(tasks // TASKS_A_RUN):
            await self.do.facts.refresh()
            runs.append(await self.start("flat"))
            await self.do.runs.pause_run(self._person, runs[-1])
        return runs

    async def resume(self, runs: Sequence[UUID]) -> None:
        """Let the runs go on."""
        for run_id in runs:
            await self.do.runs.resume_run(self._person, run_id)

    async def time_one(self) -> float:
        """Return the seconds from the submission of a single task to the end of its run."""
        began = time.perf_counter()
        run_id = await self.start("only")
        where = {"organization_id": self.world.organization_id, "id": run_id}
        while True:
            rows = await self._database.app_read(self.world.organization_id, "find_run", where)
            if rows[0]["state"] != "running":
                assert rows[0]["state"] == "succeeded", rows[0]["state"]
                return time.perf_counter() - began
            await self._bell.wait("aos_run", str(run_id), timeout_seconds=2.0)

    def left(self) -> int:
        """Return how many tasks of paused or resumed queues have not ended."""
        (row,) = self.world.rows(
            "select coalesce(sum(tasks_open), 0)::int from run where organization_id = %s and name = 'flat'",
            self.world.organization_id,
        )
        return int(row[0])


def furnish(world: World) -> None:
    """Add the workflows."""
    add_workflow(world, WorkflowSpec("flat", tuple(TaskSpec(f"t{n}", "noop") for n in range(TASKS_A_RUN))))
    add_workflow(world, WorkflowSpec("only", (TaskSpec("one", "noop"),)))


@contextmanager
def at_work(place: Place, workers: int) -> Iterator[list[Meter]]:
    """Run worker processes."""
    running = [
        subprocess.Popen(place.command(), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(workers)
    ]
    try:
        for process in running:
            assert process.stdout is not None
            assert process.stdout.readline().strip() == "ready"
        yield [Meter([process.pid]) for process in running]
    finally:
        for process in running:
            assert process.stdin is not None
            process.stdin.close()
            process.kill() if sys.exc_info()[0] else process.wait(60)


@asynccontextmanager
async def offices(place: Place, worlds: Sequence[World]) -> AsyncIterator[list[Office]]:
    """Yield the organizations, over one client's connections."""
    database, do, bell = await opened(place)
    settle_garbage()
    keeping = asyncio.create_task(keep_fresh(do.facts))
    try:
        yield [Office(world, do, database, bell) for world in worlds]
    finally:
        keeping.cancel()
        await bell.stop()
        await database.close()


async def work_off(office: Office, place: Place, tasks: int, workers: int) -> tuple[list[float], float]:
    """Return tasks a second with so many in the queue, several times where they are few, and a worker's memory in MB."""
    rates = []
    runs = [await office.fill(tasks) for _ in range(1 if tasks > FEW else REPEATS)]
    with at_work(place, workers) as meters:
        for _ in range(WARM_RUNS):
            await office.time_one()
        for queue in runs:
            await office.resume(queue)
            began, before = time.perf_counter(), office.left()
            stop_at = before - tasks + (int(tasks * MEASURED_SHARE) if tasks > FEW else 0)
            while (left := office.left()) > max(stop_at, 0):
                await asyncio.sleep(POLL_SECONDS)
                assert time.perf_counter() - began < 300, "the queue is not worked off"
            rates.append((before - left) / (time.perf_counter() - began))
        rss_mb = max(meter.rss_mb() for meter in meters)
    return sorted(rates), rss_mb


async def be_fair(
    small: Office, large: Office, place: Place, *, tasks: int, workers: int, samples: int
) -> dict[str, Any]:
    """Return the latencies of a small organization's single tasks, alone and beside a large one's queue."""
    queue = await large.fill(tasks)
    with at_work(place, workers):
        for _ in range(WARM_RUNS):
            await small.time_one()
        alone = [await small.time_one() for _ in range(samples)]
        await large.resume(queue)
        before, began = large.left(), time.perf_counter()
        beside: list[float] = []
        while len(beside) < samples and large.left() > tasks // 20:  # never without the other's queue
            beside.append(await small.time_one())
        left, seconds = large.left(), time.perf_counter() - began
    return {
        "alone": spread(alone),
        "beside": spread(beside),
        "ratio_p99": round(percentile(beside, 0.99) / percentile(alone, 0.99), 2),
        "ratio_p50": round(percentile(beside, 0.5) / percentile(alone, 0.5), 2),
        "samples": [len(alone), len(beside)],
        "others_tasks_per_second": round((before - left) / seconds, 1),
        "others_left": left,
    }


def disagreement(world: World) -> str:
    """Return why a result is void, empty where tasks, records and usage agree; what was written last may not be a leaf yet."""
    (counts,) = world.rows(
        "select (select count(*) from task where kind = 'agent' and state = 'succeeded'),"
        " (select count(*) from action where kind = 'delegate' and state = 'performed'),"
        " (select count(*) from record r where r.kind = 'task.started' and r.action_id is not null and "
        + PLACED
        + "), (select count(*) from record r where r.kind = 'task.finished' and "
        + PLACED
        + "), (select count(*) from usage_event where kind = 'task_runtime')"
    )
    return "" if len(set(counts)) == 1 else f"tasks, actions, begun, finished and usage are {counts}"


def percentile(seconds: Sequence[float], share: float) -> float:
    """Return a percentile."""
    ordered = sorted(seconds)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Return the percentiles that are told, in milliseconds."""
    return {f"p{round(share * 100)}_ms": round(1_000 * percentile(seconds, share), 2) for share in (0.5, 0.9, 0.99)}


def measure_rate(tasks: int, workers: int) -> dict[str, Any]:
    """Return the line of a queue of so many tasks."""
    with durable_world(False) as (world, _):
        furnish(world)
        place = Place(world.test_database.app, world.test_database.machine, str(world.keys._path), hosts=False)

        async def go() -> tuple[list[float], float]:
            async with offices(place, [world]) as (office,):
                return await work_off(office, place, tasks, workers)

        rates, rss_mb = uvloop.run(go())
        void = disagreement(world)
    line = {"workload": "queued", "queued": tasks, "tasks_per_second": round(rates[len(rates) // 2], 1)}
    return {**line, "rss_mb": rss_mb, "workers": workers, **({"void": void} if void else {})}


def measure_fairness(tasks: int, workers: int, samples: int) -> dict[str, Any]:
    """Return the line of fairness between two organizations."""
    with durable_world(False) as (small, _):
        runtime = Runtime("python", "bench._noop:noop", inline=True)
        agents = [replace(agent("noop"), runtime=runtime)]
        large = make_world(small.test_database, agents=agents, keys=small.keys)
        for world in (small, large):
            furnish(world)
        place = Place(small.test_database.app, small.test_database.machine, str(small.keys._path), hosts=False)

        async def go() -> dict[str, Any]:
            async with offices(place, [small, large]) as (one, other):
                return await be_fair(one, other, place, tasks=tasks, workers=workers, samples=samples)

        found = uvloop.run(go())
        void = disagreement(small)
    return {"workload": "fairness", "queued": tasks, "workers": workers, **found, **({"void": void} if void else {})}


def main(argv: Sequence[str]) -> int:
    """Print one JSON line for each figure."""
    parser = argparse.ArgumentParser(prog="backlog")
    parser.add_argument("--workers", type=int, default=2, help="worker processes")
    parser.add_argument("--tasks", type=int, default=100_000, help="tasks in the long queue")
    parser.add_argument("--samples", type=int, default=300, help="single tasks that are timed")
    options = parser.parse_args(list(argv))
    few = tell(measure_rate(FEW, options.workers))
    many = measure_rate(options.tasks, options.workers)
    ratio = round(many["tasks_per_second"] / few["tasks_per_second"], 2)
    told = [few, tell({**many, "ratio_to_few": ratio})]
    told.append(tell(measure_fairness(options.tasks, options.workers, options.samples)))
    return 1 if any("void" in line for line in told) else 0


def tell(line: dict[str, Any]) -> dict[str, Any]:
    """Print a line, and return it."""
    print(json.dumps({"bench": "backlog", "target": "aos", **line, "fdatasync_us": fdatasync_us()}), flush=True)
    return line
