"""Trees of nested runs: one order reaches every run of a tree, because no tree grows past what an order reaches."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from aos.kernel.limits import NESTED_RUNS_OPEN_MAX
from aos.kernel.workflow.spec import TaskSpec
from aos.operations.nested import Begun, NestedRuns
from aos.operations.open_tasks import OpenTasks
from aos.operations.starts import NotStarted
from tests.databases import Database
from tests.flows import company, flow
from tests.working import Working, working

INNER = flow(TaskSpec("once", "echo", input=1), name="inner")
MIDDLE = flow(TaskSpec("nested", workflow="inner"), name="middle")
DEEP = flow(TaskSpec("each", workflow="middle", for_each="${input.items}"))
WIDE = flow(*(TaskSpec(f"nested{n}", workflow="inner") for n in range(14)))


def open_within(aos: Working) -> list[int]:
    """Return how many nested runs are open within each outermost run."""
    rows = aos.rows(
        "select (select count(*) from run n where n.root_run_id = r.id and n.state in ('running', 'paused')) as found"
        " from run r where r.parent_run_id is null order by r.created_at, r.id"
    )
    return [row["found"] for row in rows]


def small(aos: Working, nested_max: int, near: int) -> NestedRuns:
    """Return what starts nested runs, with a smaller limit; `near` is at least the connections that start them at once."""
    do = aos.do
    room = OpenTasks(do.database, do.drivers.ticker)
    return NestedRuns(do.database, do.facts, do.acts, do.drivers, open_tasks=room, nested_max=nested_max, near=near)


@pytest.mark.parametrize(("most", "near"), [(3, 500), (9, 6)])
def test_no_more_runs_nest_in_a_tree_than_an_order_reaches_whoever_starts_them_at_once(
    database: Database, most: int, near: int
) -> None:
    async def story() -> None:
        async with working(company(database, INNER, WIDE), started=False) as aos:
            run_id = await aos.start("flow")
            nested, taken = small(aos, most, near), await aos.do.tasks.claim(20)
            ends = await asyncio.gather(*(nested.start(each.task, None) for each in taken))
            begun = [each for each in ends if isinstance(each, Begun)]
            refused = [each for each in ends if isinstance(each, NotStarted)]
            assert (len(begun), {each.code for each in refused}) == (most, {"too-large"})
            assert f"{most} runs nested in run `{run_id}` are open, and no more may be" in refused[0].detail
            assert open_within(aos) == [most]
            assert len(aos.rows("select 1 from action where kind = 'run' and name = 'inner'")) == most
            left = next(each for each, end in zip(taken, ends, strict=True) if isinstance(end, NotStarted))
            await aos.do.runs.cancel_run(aos.person, begun[0].run_id)
            assert open_within(aos) == [most - 1]
            assert isinstance(await nested.start(left.task, None), Begun)
            assert len((await aos.do.runs.pause_run(aos.person, run_id)).runs) == most + 1
            assert len((await aos.do.runs.cancel_run(aos.person, run_id)).runs) == most + 1
            assert not aos.rows("select 1 from run where state <> 'cancelled'")

    asyncio.run(story())


def test_runs_at_any_depth_count_on_the_outermost_and_leave_it_when_they_end(database: Database) -> None:
    async def story() -> None:
        async with working(company(database, INNER, MIDDLE, DEEP)) as aos:
            runs = [await aos.start("flow", input={"items": [1, 2, 3]}) for _ in range(2)]
            for run_id in runs:
                assert (await aos.ended(run_id))["state"] == "succeeded"
                assert len(aos.rows("select 1 from run where root_run_id = %s", run_id)) == 6
            assert open_within(aos) == [0, 0]
            await aos.check_books()

    asyncio.run(story())


def test_a_tree_of_as_many_runs_as_there_may_be_is_paused_and_cancelled_from_its_root(database: Database) -> None:
    async def story() -> None:
        async with working(company(database, INNER, WIDE), started=False) as aos:
            run_id = await aos.start("flow")
            first, last = (await aos.do.tasks.claim(2))[:2]
            began: Any = await aos.do.nested.start(first.task, None)
            aos.rows(
                "with ids as materialized (select gen_random_uuid() as run_id, gen_random_uuid() as outer_id,"
                " gen_random_uuid() as inner_id from generate_series(1, %s))"
                ", made as (insert into run (organization_id, id, name, state, chain, origin_key_content_id,"
                " parent_run_id, parent_task_id, root_run_id, tasks_open, tasks_total)"
                " select r.organization_id, i.run_id, r.name, r.state, r.chain, r.origin_key_content_id,"
                " r.parent_run_id, i.outer_id, r.root_run_id, 1, 1 from run r, ids i where r.id = %s)"
                ", planned as (insert into task (organization_id, id, run_id, name, label, kind, agent_id, chain, spec,"
                " state, waits_for, blockers, attempt, attempts_max, ready_at, started_at)"
                " select t.organization_id, case when t.run_id = r.id then i.inner_id else i.outer_id end,"
                " case when t.run_id = r.id then i.run_id else t.run_id end, t.name, t.label || i.run_id, t.kind,"
                " t.agent_id, t.chain, t.spec, t.state, t.waits_for, t.blockers, 1, 1, now(), t.started_at"
                " from ids i, run r join task t on t.run_id = r.id or t.id = r.parent_task_id where r.id = %s)"
                ", linked as (insert into edge (organization_id, source_id, target_id, run_id, kind)"
                " select r.organization_id, i.run_id, i.outer_id, r.parent_run_id, 'child' from ids i, run r"
                " where r.id = %s)"
                " select run_id from ids",
                NESTED_RUNS_OPEN_MAX - 1, began.run_id, began.run_id, began.run_id,
            )  # fmt: skip
            assert open_within(aos) == [NESTED_RUNS_OPEN_MAX]
            refused = await aos.do.nested.start(last.task, None)
            assert isinstance(refused, NotStarted)
            assert refused.code == "too-large"
            assert len((await aos.do.runs.pause_run(aos.person, run_id)).runs) == NESTED_RUNS_OPEN_MAX + 1
            assert len((await aos.do.runs.cancel_run(aos.person, run_id)).runs) == NESTED_RUNS_OPEN_MAX + 1
            assert not aos.rows("select 1 from run where state <> 'cancelled'")

    asyncio.run(story())
