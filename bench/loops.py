"""One task that makes 100,000 calls: the time and CPU of a call at the start and at the end, and the memory at both.

The agent runs in a host, makes recorded calls one after the other, and goes on with a fresh history every few thousand.
`python -m bench loops [--calls N] [--per N]`, one JSON line; it is void where the task did not end as it should.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from aos.kernel.agents import Runtime
from aos.kernel.identity import ChainLink, Principal, PrincipalKind
from aos.kernel.json import Json
from aos.kernel.workflow.spec import TaskSpec, WorkflowSpec
from aos.operations.run_rows import RunRequest
from aos.operations.runs import RunStarted
from bench._meter import Meter
from bench._worker import Place, opened
from bench.backlog import at_work
from bench.orchestration import durable_world, fdatasync_us
from tests.working import add_workflow
from tests.worlds import World, agent

POLL_SECONDS = 0.02
QUIET_SECONDS = 3_600.0
"""How long a generation may take."""


async def measure(world: World, place: Place, meter: Meter, server: Meter, *, calls: int, per: int) -> dict[str, Any]:
    """Run the task and return what was seen at each generation."""
    database, do, bell = await opened(place)
    link = ChainLink(PrincipalKind.PERSON, world.person_id, "maria@larkspur.example")
    person = Principal(world.organization_id, (link,), roles=("operator",))
    request: Json = {"made": 0, "calls": calls, "per": per}
    started = await do.runs.start_run(person, RunRequest(workflow="loop", input=request))
    assert isinstance(started, RunStarted), started
    seconds: list[float] = []
    memory: list[float] = []
    cpu: list[float] = []
    for generation in range(calls // per):
        began = time.perf_counter()
        meter.begin()
        server.begin()
        while world.rows("select 1 from task where generation <= %s and finished_at is null", generation):
            assert time.perf_counter() - began < QUIET_SECONDS, f"generation {generation} does not end"
            await asyncio.sleep(POLL_SECONDS)
        seconds.append(time.perf_counter() - began)
        memory.append(meter.rss_mb())
        cpu.append(meter.seconds() + server.seconds())
        told = f"{(generation + 1) * per} calls, {seconds[-1] / per * 1e6:.0f} us a call, {memory[-1]} MB"
        print(f"bench: {told}", file=sys.stderr, flush=True)
    (ended,) = world.rows("select state, generation, (select count(*) from call) from task")
    await bell.stop()
    await database.close()
    wanted = ("succeeded", calls // per - 1, per)
    return {
        "first_us_per_call": round(seconds[0] / per * 1e6, 1),
        "last_us_per_call": round(seconds[-1] / per * 1e6, 1),
        "slowest_us_per_call": round(max(seconds) / per * 1e6, 1),
        "first_cpu_us_per_call": round(cpu[0] / per * 1e6, 1),
        "last_cpu_us_per_call": round(cpu[-1] / per * 1e6, 1),
        "first_rss_mb": memory[0],
        "last_rss_mb": memory[-1],
        **({} if tuple(ended) == wanted else {"void": f"ended as {ended}, wanted {wanted}"}),
    }


def main(argv: Sequence[str]) -> int:
    """Print one JSON line."""
    parser = argparse.ArgumentParser(prog="loops")
    parser.add_argument("--calls", type=int, default=100_000, help="calls of the task")
    parser.add_argument("--per", type=int, default=5_000, help="calls between two fresh histories")
    options = parser.parse_args(list(argv))
    looping = replace(agent("loop"), runtime=Runtime("python", "bench._noop:loop"))
    with durable_world(True, agents=[looping]) as (world, postmaster):
        add_workflow(world, WorkflowSpec("loop", (TaskSpec("loop", "loop", input="${input}"),)))
        place = Place(world.test_database.app, world.test_database.machine, str(world.keys._path), hosts=True)
        with at_work(place, 1) as (meter,):
            found = asyncio.run(measure(world, place, meter, Meter([postmaster]), calls=options.calls, per=options.per))
    line = {"bench": "loops", "target": "aos", "calls": options.calls, "calls_a_history": options.per, **found}
    print(json.dumps({**line, "fdatasync_us": fdatasync_us()}), flush=True)
    return 1 if "void" in found else 0
