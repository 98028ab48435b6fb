"""Runs within runs: a task that is a run of another workflow, and what the two have in common."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from aos.kernel.json import Json
from aos.kernel.limits import RUN_DEPTH_MAX
from aos.kernel.money import Money
from aos.kernel.policy.values import Outcome, Rule
from aos.kernel.workflow.spec import TaskSpec
from aos.operations.nested import Begun, NestedRuns
from aos.operations.open_tasks import OpenTasks
from aos.operations.starts import NotStarted
from tests.databases import Database
from tests.flows import QUICK, company, flow, states
from tests.working import working

INNER = flow(
    TaskSpec("twice", "double", input={"n": "${input.n}"}),
    name="inner",
    input={"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]},
)
OUTER = flow(
    TaskSpec("first", "double", input={"n": "${input.n}"}),
    TaskSpec("nested", workflow="inner", input={"n": "${first.output.n}"}),
    TaskSpec("last", "echo", input="${nested.output}"),
)


def test_a_task_that_is_a_workflow_starts_one_run_and_takes_over_what_it_returns(database: Database) -> None:
    async def story() -> None:
        async with working(company(database, INNER, OUTER)) as aos:
            run = await aos.ended(await aos.start("flow", input={"n": 3}, labels={"month": "2026-01"}, priority=9))
            assert (run["state"], run["output"]) == ("succeeded", {"n": 12}), states(aos, run["id"])
            nested = aos.tasks(run["id"])["nested"]
            (inner,) = aos.rows("select * from run where parent_run_id is not null")
            assert (inner["parent_run_id"], inner["parent_task_id"]) == (run["id"], nested["id"])
            assert (inner["state"], inner["labels"], inner["priority"]) == ("succeeded", {"month": "2026-01"}, 9)
            assert inner["chain"] == run["chain"]
            assert inner["origin_key_content_id"] == run["origin_key_content_id"]
            started = aos.rows("select * from action where kind = 'run' and name = 'inner'")
            assert [(row["state"], row["run_id"], row["task_id"]) for row in started] == [
                ("performed", run["id"], nested["id"])
            ]
            await aos.check_books()

    asyncio.run(story())


def test_each_item_of_a_for_each_may_be_a_run(database: Database) -> None:
    each = flow(TaskSpec("each", workflow="inner", input={"n": "${item}"}, for_each="${input.items}"))

    async def story() -> None:
        async with working(company(database, INNER, each)) as aos:
            run = await aos.ended(await aos.start("flow", input={"items": [1, 2, 3]}))
            assert run["output"] == [{"n": 2}, {"n": 4}, {"n": 6}], states(aos, run["id"])
            assert len(aos.rows("select 1 from run where parent_run_id = %s", run["id"])) == 3

    asyncio.run(story())


def test_a_nested_run_that_fails_is_retried_and_then_fails_its_task(database: Database) -> None:
    bad = flow(TaskSpec("bad", "fails"), name="inner")
    outer = flow(TaskSpec("nested", workflow="inner", retry=replace(QUICK, attempts=2)))

    async def story() -> None:
        async with working(company(database, bad, outer)) as aos:
            run = await aos.ended(await aos.start("flow"))
            assert (run["state"], run["error_code"]) == ("failed", "run-failed")
            assert len(aos.rows("select 1 from run where parent_run_id = %s and state = 'failed'", run["id"])) == 2
            nested = aos.tasks(run["id"])["nested"]
            told: Any = aos.content(nested["error_content_id"])
            assert told["detail"].endswith("of workflow `inner` failed (raised)")
            await aos.check_books()

    asyncio.run(story())


@pytest.mark.parametrize(
    ("nested", "code"),
    [
        (TaskSpec("nested", workflow="inner", input={"n": "text"}), "invalid-request"),
        (TaskSpec("nested", workflow="nothing"), "not-found"),
    ],
)
def test_a_nested_run_that_cannot_start_fails_its_task(database: Database, nested: TaskSpec, code: str) -> None:
    async def story() -> None:
        async with working(company(database, INNER, flow(nested))) as aos:
            run = await aos.ended(await aos.start("flow"))
            assert states(aos, run["id"]) == {"nested": code}
            assert len(aos.rows("select 1 from run")) == 1

    asyncio.run(story())


def test_a_nested_run_is_decided_like_any_act(database: Database) -> None:
    deny = Rule("no-inner", 1, Outcome.DENY, (), ("run:inner",), reason="not inner")

    async def story() -> None:
        async with working(company(database, INNER, OUTER, rules=[deny])) as aos:
            run = await aos.ended(await aos.start("flow", input={"n": 3}))
            assert states(aos, run["id"]) == {"first": "succeeded", "nested": "denied", "last": "skipped"}
            assert len(aos.rows("select 1 from run")) == 1
            await aos.check_books()

    asyncio.run(story())


def test_a_nested_run_may_wait_for_a_person_before_it_starts(database: Database) -> None:
    ask = Rule("ask", 1, Outcome.ESCALATE, (), ("run:inner",), reason="inner?")

    async def story() -> None:
        async with working(company(database, INNER, OUTER, rules=[ask])) as aos:
            run_id = await aos.start("flow", input={"n": 3})
            (approval,) = await aos.until("select * from approval")
            await aos.answer(approval["id"])
            run = await aos.ended(run_id)
            assert (run["state"], run["output"]) == ("succeeded", {"n": 12})
            assert aos.rows("select status from approval") == [{"status": "used"}]
            await aos.check_books()

    asyncio.run(story())


def test_runs_nest_so_deep_and_no_deeper(database: Database) -> None:
    loop = flow(TaskSpec("again", workflow="other"))
    other = flow(TaskSpec("again", workflow="flow"), name="other")

    async def story() -> None:
        async with working(company(database, loop, other)) as aos:
            run = await aos.ended(await aos.start("flow"))
            assert (run["state"], run["error_code"]) == ("failed", "run-failed")
            assert len(aos.rows("select 1 from run where state = 'failed'")) == RUN_DEPTH_MAX
            assert len(aos.rows("select 1 from task where error_code = 'too-large'")) == 1

    asyncio.run(story())


def test_a_nested_run_that_outlives_its_tasks_time_is_cancelled(database: Database) -> None:
    inner = flow(TaskSpec("slow", "waits"), name="inner")
    outer = flow(TaskSpec("nested", workflow="inner", total_timeout_seconds=0.5))

    async def story() -> None:
        async with working(company(database, inner, outer)) as aos:
            run = await aos.ended(await aos.start("flow"))
            assert states(aos, run["id"]) == {"nested": "timed-out"}
            assert aos.rows("select state from run where parent_run_id is not null") == [{"state": "cancelled"}]

    asyncio.run(story())


def test_acts_of_a_nested_run_count_against_the_budget_of_the_run_above(database: Database) -> None:
    inner = flow(TaskSpec("pay", "pays", input="${input}"), name="inner")
    outer = flow(TaskSpec("nested", workflow="inner", input="${input}"))
    payment: dict[str, Json] = {"iban": "X", "amount": "1", "currency": "EUR"}

    async def story() -> None:
        async with working(company(database, inner, outer)) as aos:
            run = await aos.ended(await aos.start("flow", input=payment, budget=Money(1, "EUR")))
            (budgets,) = await aos.do.database.read(
                "load_run_facts",
                {
                    "organization_id": run["organization_id"],
                    "run_id": aos.rows("select id from run where parent_run_id is not null")[0]["id"],
                },
            )
            assert [budget["scope_id"] for budget in budgets["budgets"]] == [str(run["id"])]

    asyncio.run(story())


def test_a_nested_run_starts_only_while_its_organization_has_room_for_open_tasks(database: Database) -> None:
    async def story() -> None:
        async with working(company(database, INNER, OUTER), started=False) as aos:
            await aos.start("flow", input={"n": 3})
            aos.rows("update task set state = case name when 'nested' then 'ready' else 'succeeded' end returning 1")
            (taken,) = await aos.do.tasks.claim(1)
            full = OpenTasks(aos.do.database, aos.do.drivers.ticker, tasks_max=1)
            do = aos.do
            ended = await NestedRuns(do.database, do.facts, do.acts, do.drivers, open_tasks=full).start(
                taken.task, {"n": 6}
            )
            assert isinstance(ended, NotStarted)
            assert ended.code == "rate-limited"
            assert isinstance(await aos.do.nested.start(taken.task, {"n": 6}), Begun)
            assert len(aos.rows("select 1 from run where parent_run_id is not null")) == 1

    asyncio.run(story())
