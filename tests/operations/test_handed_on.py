"""Tasks that become ready are handed on to the worker that completed what they waited for, where nothing speaks against it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import psycopg
import pytest

from aos.kernel.agents import Runtime
from aos.kernel.workflow.spec import TaskSpec, WorkflowSpec
from aos.workers.worker import WorkerConfig
from tests import run_agents
from tests.databases import Database
from tests.simulation.run_world import WATCH
from tests.working import Working, add_workflow, working
from tests.worlds import World, agent, make_world, write_limit

HANDED, CLAIMED = [("blocked", "running")], [("blocked", "ready"), ("ready", "running")]


def company(database: Database) -> World:
    """Return a company with a chain of two tasks, whose moves are watched."""
    agents = [
        replace(agent(name, "payments.create"), runtime=Runtime("python", f"tests.run_agents:{name}", inline=True))
        for name in ("echo", "pays_when_told")
    ]
    world = make_world(database, agents=agents)
    for first in ("echo", "pays_when_told"):
        add_workflow(world, WorkflowSpec(first, (TaskSpec("a", first), TaskSpec("b", "echo", after=("a",)))))
    world.rows(WATCH)
    return world


async def moves_of_b(aos: Working) -> list[tuple[str, str]]:
    """Run a chain and return how its second task came to run."""
    run_id = await aos.start("echo", input=1)
    assert (await aos.ended(run_id))["state"] == "succeeded"
    task_id = aos.tasks(run_id)["b"]["id"]
    return [
        (row["before"], row["after"])
        for row in aos.rows("select before, after from seen where id = %s order by at", task_id)
        if row["after"] != "succeeded"
    ]


def test_a_task_runs_on_at_the_worker_that_completed_what_it_waited_for(database: Database) -> None:
    world = company(database)

    async def story() -> None:
        async with working(world) as aos:
            assert await moves_of_b(aos) == HANDED
            await aos.check_books()

    asyncio.run(story())


@pytest.mark.parametrize("limit", [("agent", "echo"), ("queue", "default")])
def test_what_a_limit_may_hold_back_waits_for_a_claim(database: Database, limit: tuple[str, str]) -> None:
    world = company(database)
    kind, name = limit
    with psycopg.connect(database.owner) as owner:
        write_limit(owner, world.organization_id, kind, name=name, at_most=5)

    async def story() -> None:
        async with working(world) as aos:
            assert await moves_of_b(aos) == CLAIMED

    asyncio.run(story())


def test_a_worker_whose_places_are_taken_leaves_tasks_to_others(database: Database) -> None:
    world = company(database)

    async def story() -> None:
        async with working(world, config=WorkerConfig(tasks_at_once=1)) as aos:
            assert await moves_of_b(aos) == CLAIMED

    asyncio.run(story())


def test_a_worker_that_stops_is_handed_nothing_more(database: Database) -> None:
    world = company(database)

    async def story() -> None:
        async with working(world) as aos:
            run_id = await aos.start("pays_when_told", input={})
            await aos.until("select 1 from task where state = 'running' and started_at is not null")
            stopping = asyncio.create_task(aos.worker.stop())
            await asyncio.sleep(0)
            run_agents.gates.setdefault(str(run_id), asyncio.Event()).set()
            await stopping
            left = aos.tasks(run_id)["b"]
            assert (left["state"], left["claim_token"]) == ("ready", None)

    asyncio.run(story())
