"""Durable tasks a second with full bookkeeping: fan-out, chains, random graphs, and the latency of a single task.

Each task is decided (its delegation), has a `started` and a `finished` record that become leaves, and one usage event; the
integrator runs beside it. A run whose tasks, records, leaves and usage events do not agree is void and says so. Peers do the
same workloads in the same run, and the last line has all side by side.
`chains` are runs of their own, `braid` is as many chains in one run; `dag` has its parents anywhere before a task, `layers` has
them in the hundred tasks just before. `python -m bench orchestration [--mode inline|hosts|both] [--peers NAME,...] [--workers N] [SIZES] [WORKLOAD...]`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any
from uuid import UUID

import psycopg
import uvloop
from psycopg.conninfo import make_conninfo

from aos.boot.garbage import settle_garbage
from aos.drivers.embedded_postgres.throwaway import throwaway_cluster
from aos.kernel.agents import Agent, Runtime
from aos.kernel.identity import ChainLink, Principal, PrincipalKind
from aos.kernel.json import Json
from aos.kernel.limits import EPOCH_AGE_SECONDS_MAX
from aos.kernel.workflow.spec import TaskSpec, WorkflowSpec
from aos.operations.facts import FactsCache
from aos.operations.run_rows import RunRequest
from aos.operations.runs import RunStarted
from aos.store.migrate import migrate
from aos.store.roles import RolePasswords, ensure_roles
from bench._meter import Meter
from bench._peers import PEERS, peer_lines
from bench._worker import ROOT, Place, opened
from tests.databases import Database as Logins
from tests.folders import new_folder
from tests.working import add_workflow
from tests.worlds import World, agent, make_world

CHAIN, WIDTH, NEEDS = 10, 100, 3
WARM_RUNS, WARM_ITEMS = 6, 60
WARM_TASKS = 2 * WARM_RUNS * (WARM_ITEMS + 1)
WORKLOADS = ("fan_out", "chains", "braid", "dag", "layers", "latency")
COMMITS = 200
COMMITS_A_TASK = 3
"""Commits that stand between the submission of a single task and its end: the start, the claim, the completion."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large the workloads are."""

    fan_out: int = 1_000
    chains: int = 100
    layers: int = 100
    latencies: int = 100


# --- the database and the world --------------------------------------------------------------------------------------


@contextmanager
def durable_world(
    hosts: bool, layers: int = 1, chains: int = 1, *, agents: Sequence[Agent] = ()
) -> Iterator[tuple[World, int]]:
    """Yield an organization on a server of its own that loses nothing in a crash, and the server's pid."""
    with ExitStack() as stack:
        cluster = stack.enter_context(throwaway_cluster(new_folder("server"), durable=True))
        with psycopg.connect(cluster.superuser_dsn(), autocommit=True) as connection:
            connection.execute("create role bench_owner login createdb createrole password 'bench'")
            connection.execute("create database bench owner bench_owner")
        owner = make_conninfo(cluster.superuser_dsn(), dbname="bench", user="bench_owner", password="bench")
        migrate(owner)
        logins = ensure_roles(owner, RolePasswords(app="a" * 32, machine="m" * 32))
        database = Logins("bench", owner, logins.app, logins.machine, "", "", "", logins.names)
        runtime = Runtime("python", "bench._noop:noop", inline=not hosts)
        world = make_world(database, agents=[replace(agent("noop"), runtime=runtime), *agents])
        for workflow in workflows(layers, chains):
            add_workflow(world, workflow)
        yield world, cluster.pid


def workflows(layers: int, chains: int = 1) -> list[WorkflowSpec]:
    """Return the workloads as workflows."""
    chance = random.Random(7)
    links = [TaskSpec(f"t{n}", "noop", after=(f"t{n - 1}",) if n else ()) for n in range(CHAIN)]
    layered = [
        TaskSpec(
            f"l{layer}c{column}",
            "noop",
            after=tuple(f"l{layer - 1}c{other}" for other in chance.sample(range(WIDTH), NEEDS)) if layer else (),
        )
        for layer in range(layers)
        for column in range(WIDTH)
    ]
    graph = [
        TaskSpec(f"t{n}", "noop", after=tuple(f"t{other}" for other in chance.sample(range(n), min(NEEDS, n))))
        for n in range(layers * WIDTH)
    ]
    braid = [
        replace(link, name=f"c{c}{link.name}", after=tuple(f"c{c}{a}" for a in link.after))
        for c in range(chains)
        for link in links
    ]
    each = TaskSpec("each", "noop", input="${item}", for_each="${input}")
    return [
        WorkflowSpec("fan_out", (each, TaskSpec("join", "noop", after=("each",)))),
        WorkflowSpec("chains", tuple(links)),
        WorkflowSpec("braid", tuple(braid)),
        WorkflowSpec("dag", tuple(graph)),
        WorkflowSpec("layers", tuple(layered)),
        WorkflowSpec("latency", (TaskSpec("only", "noop"),)),
    ]


# --- measuring -----------------------------------------------------------------------------------------------------------


def fdatasync_us() -> float:
    """Return the median time of one small durable write here."""
    times = []
    with tempfile.TemporaryFile(dir="/tmp") as file:
        for _ in range(100):
            began = time.perf_counter()
            os.write(file.fileno(), b"x" * 512)
            os.fdatasync(file.fileno())
            times.append((time.perf_counter() - began) * 1e6)
    return round(statistics.median(times), 1)


def commits_ms(world: World) -> list[float]:
    """Return the times of commits of one row each, one after the other, while nothing else is done."""
    times = []
    with psycopg.connect(world.test_database.owner, autocommit=True) as connection:
        connection.execute("create table if not exists bench_commit (number integer)")
        for number in range(COMMITS):
            began = time.perf_counter()
            connection.execute("insert into bench_commit values (%s)", (number,))
            times.append(1_000 * (time.perf_counter() - began))
    return times


def books(world: World, tasks: int, runs: int) -> str:
    """Return why a result is void, empty where tasks, records, leaves and usage events agree."""
    deadline = time.monotonic() + 30
    while world.rows("select 1 from ledger_pending limit 1") and time.monotonic() < deadline:
        time.sleep(0.05)
    (counts,) = world.rows(
        "select (select count(*) from task where kind = 'agent' and state = 'succeeded'),"
        " (select count(*) from action where kind = 'delegate' and state = 'performed'),"
        " (select count(*) from record r join ledger_leaf l on l.record_id = r.id where r.kind = 'task.started'"
        "   and r.action_id is not null),"
        " (select count(*) from record r join ledger_leaf l on l.record_id = r.id where r.kind = 'task.finished')"
        "   - (select count(*) from task where kind = 'fan'),"
        " (select count(*) from usage_event where kind = 'task_runtime'),"
        " (select count(*) from usage_event where kind = 'workflow_execution')"
    )
    wanted = (tasks, tasks, tasks, tasks, tasks, runs)
    return "" if counts == wanted else f"counted {counts}, wanted {wanted}"


# --- the workloads -------------------------------------------------------------------------------------------------------


async def keep_fresh(facts: FactsCache) -> None:
    """Read the epochs a few times a second, as every process that acts does beside its work."""
    while True:
        await asyncio.sleep(EPOCH_AGE_SECONDS_MAX / 3)
        await facts.refresh()


async def run_workload(
    world: World, place: Place, workload: str, sizes: Sizes, *, begin: Callable[[], None]
) -> tuple[int, int, float, list[float]]:
    """Run one workload; return tasks, runs, seconds, and the seconds of each run of the latency workload.

    `begin` is called when all is warm and the measuring begins.
    """
    database, do, bell = await opened(place)
    link = ChainLink(PrincipalKind.PERSON, world.person_id, "maria@larkspur.example")
    person = Principal(world.organization_id, (link,), roles=("operator",))

    async def start(workload: str = workload, items: int = sizes.fan_out) -> UUID:
        value: Json = list[Json](range(items)) if workload == "fan_out" else None
        started = await do.runs.start_run(person, RunRequest(workflow=workload, input=value))
        assert isinstance(started, RunStarted), started
        return started.run_id

    changed = asyncio.Event()
    bell.on("aos_run", lambda _: changed.set())
    looks = await psycopg.AsyncConnection.connect(place.app, autocommit=True)
    await looks.execute("select set_config('aos.organization', %s, false)", (str(world.organization_id),))

    async def ended(*run_ids: UUID) -> None:
        """Return when all of these have ended: one look at all of them, whenever the bell rings."""
        while True:
            changed.clear()
            found = await looks.execute("select distinct state from run where id = any(%s)", (list(run_ids),))
            states = {state for (state,) in await found.fetchall()}
            if not states & {"running", "paused"}:
                assert states == {"succeeded"}, states
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), 2.0)

    latencies: list[float] = []
    await do.facts.refresh()
    settle_garbage()
    keeping = asyncio.create_task(keep_fresh(do.facts))
    for _ in range(WARM_RUNS):  # every connection of every process plans each statement once
        await asyncio.gather(*[ended(await start("fan_out", WARM_ITEMS)) for _ in range(2)])
    begin()
    began = time.perf_counter()
    if workload == "latency":
        for _ in range(sizes.latencies):
            one = time.perf_counter()
            await ended(await start())
            latencies.append(time.perf_counter() - one)
        tasks, runs = sizes.latencies, sizes.latencies
    elif workload == "chains":
        run_ids = await asyncio.gather(*(start() for _ in range(sizes.chains)))
        await ended(*run_ids)
        tasks, runs = sizes.chains * CHAIN, sizes.chains
    else:
        await ended(await start())
        one_run = {"fan_out": sizes.fan_out + 1, "braid": sizes.chains * CHAIN}
        tasks, runs = one_run.get(workload, sizes.layers * WIDTH), 1
    seconds = time.perf_counter() - began
    keeping.cancel()
    await bell.stop()
    await looks.close()
    await database.close()
    return tasks, runs, seconds, latencies


def measure(workload: str, sizes: Sizes, *, hosts: bool, workers: int) -> dict[str, Any]:
    """Run one workload on a fresh database with fresh workers and return its line."""
    with durable_world(hosts, sizes.layers, sizes.chains) as (world, postmaster):
        place = Place(world.test_database.app, world.test_database.machine, str(world.keys._path), hosts)
        running = [
            subprocess.Popen(place.command(), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(workers)
        ]
        for process in running:
            assert process.stdout is not None
            assert process.stdout.readline().strip() == "ready"
        try:
            return _measured(world, place, workload, sizes, running=running, postmaster=postmaster)
        finally:
            for process in running:
                assert process.stdin is not None
                process.stdin.close()
                process.kill() if sys.exc_info()[0] else process.wait(30)


def _measured(
    world: World,
    place: Place,
    workload: str,
    sizes: Sizes,
    *,
    running: Sequence[subprocess.Popen[str]],
    postmaster: int,
) -> dict[str, Any]:
    meters = {"postgres": Meter([postmaster]), "workers": Meter([process.pid for process in running])}
    meters["client"] = Meter([os.getpid()], deep=False)

    def begin() -> None:
        for meter in meters.values():
            meter.begin()

    commits = commits_ms(world) if workload == "latency" else []
    tasks, runs, seconds, latencies = uvloop.run(run_workload(world, place, workload, sizes, begin=begin))
    spent = {name: meter.seconds() for name, meter in meters.items()}
    memory = [(Meter([each.pid], deep=False).rss_mb(), Meter([each.pid]).rss_mb()) for each in running]
    commits += commits_ms(world) if workload == "latency" else []
    void = books(world, tasks + WARM_TASKS, runs + 2 * WARM_RUNS)
    line: dict[str, Any] = {
        "target": "aos",
        "workload": workload,
        "mode": "hosts" if place.hosts else "inline",
        "tasks": tasks,
        "tasks_per_second": round(tasks / seconds, 1),
        "cpu_ms_per_task": round(1_000 * sum(spent.values()) / tasks, 3),
        "cpu_ms_of": {name: round(1_000 * seconds / tasks, 3) for name, seconds in spent.items()},
        "rss_mb": max(own for own, _ in memory),
        "rss_hosts_mb": round(max(all_below - own for own, all_below in memory), 1),
        "workers": len(running),
        "fdatasync_us": fdatasync_us(),
    }
    if latencies:
        ordered = sorted(latencies)
        line["p50_ms"] = round(1_000 * ordered[len(ordered) // 2], 2)
        line["p99_ms"] = round(1_000 * ordered[int(len(ordered) * 0.99)], 2)
        line["commit_ms"] = round(statistics.median(commits), 3)
        line["three_commits_ms"] = round(COMMITS_A_TASK * statistics.median(commits), 2)
    if void:
        line["void"] = void
    return line


def side_by_side(lines: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return one line with AOS and each peer beside it, and how many times as much AOS does or as long a peer takes.

    What is void or could not be measured has no figure; of AOS, inline is compared.
    """
    told: dict[str, dict[str, Any]] = {}
    for line in lines:
        if "void" in line or "missing" in line:
            continue
        target = str(line["target"]) + (" in hosts" if line.get("mode") == "hosts" else "")
        figures = {"tasks_per_second": line["tasks_per_second"], "rss_mb": line["rss_mb"]}
        if "p50_ms" in line:
            figures = {name: line[name] for name in ("p50_ms", "p99_ms", "three_commits_ms") if name in line}
        told.setdefault(str(line["workload"]), {})[target] = figures
    for targets in told.values():
        ours = targets.get("aos")
        for name, figures in targets.items():
            if ours is not None and not name.startswith("aos") and "p50_ms" in ours:
                figures["times_aos"] = round(figures["p50_ms"] / ours["p50_ms"], 2)
            elif ours is not None and not name.startswith("aos"):
                figures["aos_times"] = round(ours["tasks_per_second"] / figures["tasks_per_second"], 2)
    return {"target": "aos", "workload": "side_by_side", "workers": lines[0].get("workers"), **told}


def our_lines(options: argparse.Namespace, sizes: Sizes) -> Iterator[dict[str, Any]]:
    """Yield the lines of AOS."""
    modes = {"inline": (False,), "hosts": (True,), "both": (False, True)}[options.mode]
    for workload in options.workloads or WORKLOADS:
        for hosts in modes:
            yield measure(workload, sizes, hosts=hosts, workers=options.workers)


def main(argv: Sequence[str]) -> int:
    """Print one JSON line for each workload of AOS and of each peer, and one with all of them side by side."""
    usual = Sizes()
    parser = argparse.ArgumentParser(prog="orchestration")
    parser.add_argument("workloads", nargs="*", help=f"of {', '.join(WORKLOADS)}; all where none is named")
    parser.add_argument("--mode", choices=("inline", "hosts", "both"), default="both", help="where agents run")
    parser.add_argument("--workers", type=int, default=2, help="worker processes")
    parser.add_argument("--peers", default=",".join(PEERS), help="peers to run beside it; empty for none")
    parser.add_argument("--fan-out", type=int, default=usual.fan_out, help="tasks of the fan-out")
    parser.add_argument("--chains", type=int, default=usual.chains, help=f"chains, of {CHAIN} tasks each")
    parser.add_argument(
        "--layers",
        type=int,
        default=usual.layers,
        help=f"hundreds of tasks of the graphs: layers, of {WIDTH} tasks each",
    )
    parser.add_argument("--latencies", type=int, default=usual.latencies, help="single tasks that are timed")
    options = parser.parse_args(list(argv))
    sizes = Sizes(options.fan_out, options.chains, options.layers, options.latencies)
    peers = [name for name in options.peers.split(",") if name]
    lines = []
    theirs = peer_lines((sizes.fan_out, sizes.chains, CHAIN, sizes.latencies), peers)
    for line in chain(our_lines(options, sizes), theirs):
        print(json.dumps({"bench": "orchestration", **line}), flush=True)
        lines.append(line)
    print(json.dumps({"bench": "orchestration", **side_by_side(lines)}), flush=True)
    return 1 if any("void" in line for line in lines) else 0
