"""Runs that start at the same moment are written together, and none of them pays for another."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from aos.kernel.agents import Runtime
from aos.kernel.errors import AosError
from aos.kernel.json import Json
from aos.kernel.money import parse_money
from aos.kernel.workflow.spec import TaskSpec, WorkflowSpec, workflow_spec
from aos.operations.run_rows import RunRequest
from aos.operations.runs import RunStarted, StartedRun
from tests.databases import Database
from tests.working import Working, add_workflow, working
from tests.worlds import World, agent, make_world

TOGETHER = 20


def company(database: Database) -> World:
    """Return a company with a chain of two tasks that say what they are given."""
    runtime = Runtime("python", "tests.run_agents:echo", inline=True)
    world = make_world(database, agents=[replace(agent("echo"), runtime=runtime)])
    pair = (TaskSpec("a", "echo", input="${input}"), TaskSpec("b", "echo", input="${a.output}", after=("a",)))
    add_workflow(world, WorkflowSpec("pair", pair))
    return world


async def started_at_once(aos: Working, *requests: RunRequest) -> list[StartedRun | BaseException]:
    """Start runs at the same moment and return what came of each."""
    return await asyncio.gather(*(aos.do.runs.start_run(aos.person, each) for each in requests), return_exceptions=True)


def run_of(came: StartedRun | BaseException) -> UUID:
    """Return the id of a run that was started."""
    assert isinstance(came, RunStarted), came
    return came.run_id


def transactions(aos: Working, run_ids: list[UUID]) -> int:
    """Return how many transactions wrote these runs."""
    (row,) = aos.rows("select count(distinct xmin::text)::int as count from run where id = any(%s)", run_ids)
    return int(row["count"])


def test_runs_of_one_moment_share_a_commit_and_each_has_its_own_rows(database: Database) -> None:
    world = company(database)

    async def story() -> None:
        async with working(world, started=False) as aos:
            requests = [
                RunRequest(
                    workflow="pair", input=n, goal=f"goal {n}", labels={"n": str(n)}, budget=parse_money("1 EUR")
                )
                for n in range(TOGETHER)
            ]
            runs = [run_of(came) for came in await started_at_once(aos, *requests)]
            assert transactions(aos, runs) < TOGETHER / 2
            assert aos.rows("select count(*)::int as budgets from budget where scope = 'run'") == [
                {"budgets": TOGETHER}
            ]
        async with working(world) as aos:
            for n, run_id in enumerate(runs):
                run = await aos.ended(run_id)
                said: tuple[str, Json, Json] = (run["state"], run["output"], run["labels"])
                assert said == ("succeeded", n, {"n": str(n)})
                assert set(aos.tasks(run_id)) == {"a", "b"}
            await aos.check_books()

    asyncio.run(story())


def test_one_key_used_twice_at_once_starts_one_run_and_the_others_start_too(database: Database) -> None:
    world = company(database)

    async def story() -> None:
        async with working(world, started=False) as aos:
            keyed = RunRequest(workflow="pair", input="same", idempotency_key="once")
            others = [RunRequest(workflow="pair", input=n) for n in range(3)]
            came = await started_at_once(aos, others[0], keyed, others[1], keyed, others[2])
            twice = [came[1], came[3]]
            first = [run_of(each) for each in twice if isinstance(each, RunStarted) and not each.replayed]
            assert len(first) == 1
            assert all(isinstance(each, AosError) or run_of(each) == first[0] for each in twice)
            assert run_of((await started_at_once(aos, keyed))[0]) == first[0]
            assert len({run_of(came[n]) for n in (0, 2, 4)}) == 3
            assert aos.rows("select count(*)::int as runs from run") == [{"runs": 4}]

    asyncio.run(story())


def test_a_run_is_started_by_the_workflow_as_it_is_now_and_not_as_it_was_read_before(database: Database) -> None:
    world = company(database)

    async def story() -> None:
        async with working(world, started=False) as aos:
            before = run_of((await started_at_once(aos, RunRequest(workflow="pair", input=1)))[0])
            changed = workflow_spec(WorkflowSpec("pair", (TaskSpec("only", "echo", input="${input}"),)))
            with psycopg.connect(database.owner) as owner:  # as the registry does, which raises the epoch with it
                owner.execute(
                    "insert into workflow_version (organization_id, workflow_id, version, id, spec, digest)"
                    " select organization_id, workflow_id, 2, gen_random_uuid(), %s, digest from workflow_version",
                    (Jsonb(changed),),
                )
                owner.execute("update workflow set version = 2")
                owner.execute("update organization set epoch = epoch + 1")
            after = run_of((await started_at_once(aos, RunRequest(workflow="pair", input=1)))[0])
            assert (set(aos.tasks(before)), set(aos.tasks(after))) == ({"a", "b"}, {"only"})

    asyncio.run(story())
