"""What a workflow may say, run by a worker: retries, conditions, joins, failures that are passed over, runs within runs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from aos.kernel.agents import AgentStatus
from aos.kernel.json import Json
from aos.kernel.policy.values import Outcome, Rule
from aos.kernel.workflow.spec import AtLeast, FallbackSpec, OnFailure, RetrySpec, TaskSpec
from aos.operations.run_ends import FailedRun
from aos.operations.run_rows import RunRequest
from aos.workers.inline import InlineRunner
from aos.workers.runners import Runners
from aos.workers.sweep import SweepDuty
from aos.workers.task_passes import TaskPasses
from tests import run_agents
from tests.databases import Database
from tests.flows import MUCH, QUICK, company, flow, states
from tests.working import working
from tests.worlds import Caller

# --- retries -------------------------------------------------------------------------------------------------------


def test_between_attempts_a_task_waits_for_its_time_and_holds_nothing(database: Database) -> None:
    async def story() -> None:
        async with working(company(database, flow(TaskSpec("bad", "fails", retry=MUCH)))) as aos:
            run_id = await aos.start("flow")
            (task,) = await aos.until("select *, wake_at - aos_now() as wait from task where state = 'waiting'")
            assert (task["waits_for"], task["attempt"], task["blockers"], task["error_code"]) == (
                "retry",
                2,
                0,
                "raised",
            )
            assert (task["claim_token"], task["lease_until"], task["started_at"]) == (None, None, None)
            assert 400 < task["wait"].total_seconds() <= 600
            assert aos.run(run_id)["tasks_open"] == 1
            aos.world.rows("update task set wake_at = aos_now()")
            await aos.until("select 1 from task where state = 'waiting' and attempt = 3")
            await aos.do.runs.cancel_run(aos.person, run_id)
            assert states(aos, run_id) == {"bad": "cancelled"}
            await aos.check_books()

    asyncio.run(story())


@pytest.mark.parametrize(
    ("retry", "attempts"),
    [
        (replace(QUICK, never=("ValueError",)), 1),
        (replace(QUICK, never=("raised",)), 1),
        (replace(QUICK, on=("timed-out", "KeyError")), 1),
        (replace(QUICK, on=("ValueError",)), 3),
        (replace(QUICK, never=("KeyError",)), 3),
    ],
)
def test_only_errors_of_the_named_classes_are_retried(database: Database, retry: RetrySpec, attempts: int) -> None:
    async def story() -> None:
        async with working(company(database, flow(TaskSpec("bad", "fails", retry=retry)))) as aos:
            run = await aos.ended(await aos.start("flow"))
            assert (run["state"], run["error_code"]) == ("failed", "raised")
            assert aos.tasks(run["id"])["bad"]["attempt"] == attempts

    asyncio.run(story())


def test_a_task_past_its_total_time_fails_whatever_it_waits_for(database: Database) -> None:
    tasks = (
        TaskSpec("runs", "waits", total_timeout_seconds=0.3),
        TaskSpec("often", "fails", retry=RetrySpec(50, 0.2, 0.2), total_timeout_seconds=0.5),
        TaskSpec("asks", "pays", input={"iban": "X", "amount": "1", "currency": "EUR"}, total_timeout_seconds=0.6),
        TaskSpec("each", "waits", for_each="${[1, 2]}", total_timeout_seconds=0.3),
    )
    ask = Rule("ask", 1, Outcome.ESCALATE, (), ("tool:payments.create",), reason="ask")

    async def story() -> None:
        async with working(company(database, flow(*tasks), rules=[ask])) as aos:
            run = await aos.ended(await aos.start("flow"))
            ended = aos.tasks(run["id"])
            why = states(aos, run["id"])
            assert ended["often"]["attempt"] < 6
            assert why.pop("often") in ("raised", "timed-out")
            assert why.pop("each") in ("timed-out", "items-failed")
            assert why == dict.fromkeys(("runs", "asks", "each[0]", "each[1]"), "timed-out")
            await aos.check_books()

    asyncio.run(story())


def test_a_task_that_keeps_ending_its_worker_is_stuck_and_its_run_stays_open(database: Database) -> None:
    after = TaskSpec("after", "echo", after=("bad",))

    async def story() -> None:
        async with working(company(database, flow(TaskSpec("bad", "echo"), after)), started=False) as aos:
            run_id = await aos.start("flow")
            aos.world.rows("update task set claims = 9 where state = 'ready'")
            (taken,) = await aos.do.tasks.claim(10)
            aos.world.rows("update task set lease_until = aos_now() - interval '1 s' where state = 'running'")
            await SweepDuty(aos.do, TaskPasses(aos.do, Runners(hosts=None, inline=InlineRunner()))).work_once(None)
            tasks = aos.tasks(run_id)
            assert (tasks["bad"]["id"], tasks["bad"]["state"]) == (taken.task.id, "stuck")
            assert (tasks["bad"]["error_code"], tasks["bad"]["finished_at"]) == ("poison", None)
            assert (tasks["after"]["state"], tasks["after"]["blockers"]) == ("blocked", 1)
            assert (aos.run(run_id)["state"], aos.run(run_id)["tasks_open"]) == ("running", 2)
            assert await aos.do.ends.finish() == 0
            assert await aos.do.tasks.claim(10) == []
            (record,) = aos.rows("select bytes from record where kind = 'task.finished'")
            assert b'"stuck"' in bytes(record["bytes"])
            await aos.check_books()

    asyncio.run(story())


def test_after_its_last_attempt_a_task_goes_to_its_fallback_agent(database: Database) -> None:
    task = TaskSpec("work", "fails", input=7, retry=replace(QUICK, attempts=2), fallback=FallbackSpec("echo"))

    async def story() -> None:
        async with working(company(database, flow(task))) as aos:
            run = await aos.ended(await aos.start("flow"))
            assert (run["state"], run["output"]) == ("succeeded", 7)
            work = aos.tasks(run["id"])["work"]
            assert (work["attempt"], work["attempts_max"], work["fallen_back"]) == (3, 4, True)
            delegations = aos.rows("select name, count(*) from action where kind = 'delegate' group by 1 order by 1")
            assert [(row["name"], row["count"]) for row in delegations] == [("echo", 1), ("fails", 2)]
            await aos.check_books()

    asyncio.run(story())


def test_a_fallback_agent_has_its_attempts_and_then_the_task_fails(database: Database) -> None:
    task = TaskSpec("work", "fails", retry=replace(QUICK, attempts=2), fallback=FallbackSpec("fails"))

    async def story() -> None:
        async with working(company(database, flow(task))) as aos:
            run = await aos.ended(await aos.start("flow"))
            assert (run["state"], aos.tasks(run["id"])["work"]["attempt"]) == ("failed", 4)

    asyncio.run(story())


def test_a_fallback_agent_need_not_repeat_what_was_done_before_it(database: Database) -> None:
    payment: dict[str, Json] = {"iban": "X", "amount": "1", "currency": "EUR"}
    task = TaskSpec("work", "pays_then_fails", input=payment, fallback=FallbackSpec("echo"))

    async def story() -> None:
        caller = Caller()
        async with working(company(database, flow(task)), caller) as aos:
            run = await aos.ended(await aos.start("flow"))
            assert (run["state"], run["output"]) == ("succeeded", payment)
            assert len(caller.calls) == 1

    asyncio.run(story())


def test_the_tasks_of_an_agent_that_was_quarantined_fall_back(database: Database) -> None:
    async def story() -> None:
        world = company(database, flow(TaskSpec("work", "double", input=7, fallback=FallbackSpec("echo"))))
        world.rows("update agent set status = %s where name = 'double'", AgentStatus.QUARANTINED.value)
        world.rows("update organization set epoch = epoch + 1")
        async with working(world) as aos:
            run = await aos.ended(await aos.start("flow"))
            assert (run["state"], run["output"]) == ("succeeded", 7)

    asyncio.run(story())


# --- conditions ----------------------------------------------------------------------------------------------------


def test_a_task_whose_condition_does_not_hold_is_left_out_and_counts_as_done(database: Database) -> None:
    branches = flow(
        TaskSpec("check", "echo", input="${input}"),
        TaskSpec("large", "echo", input="large", when="${check.output.amount > 1000}"),
        TaskSpec("small", "echo", input="small", when="${check.output.amount <= 1000}"),
        TaskSpec("after", "echo", input={"large": "${large.output}", "small": "${small.output}"}),
        output="${after.output}",
    )

    async def story() -> None:
        async with working(company(database, branches)) as aos:
            run = await aos.ended(await aos.start("flow", input={"amount": 5}))
            assert (run["state"], run["error_code"]) == ("succeeded", None)
            assert run["output"] == {"large": None, "small": "small"}
            left_out = aos.tasks(run["id"])["large"]
            assert (left_out["state"], left_out["error_code"], left_out["started_at"]) == ("skipped", "condition", None)
            assert not aos.rows("select 1 from action where task_id = %s", left_out["id"])
            await aos.check_books()

    asyncio.run(story())


def test_a_condition_that_has_no_value_fails_its_task(database: Database) -> None:
    tasks = (TaskSpec("a", "echo", when="${input.n > 1}"), TaskSpec("b", "echo", when="${input.text}"))

    async def story() -> None:
        async with working(company(database, flow(*tasks))) as aos:
            run = await aos.ended(await aos.start("flow", input={"text": "yes"}))
            assert run["state"] == "failed"
            assert states(aos, run["id"]) == dict.fromkeys("ab", "invalid-condition")

    asyncio.run(story())


# --- joins ---------------------------------------------------------------------------------------------------------


def test_a_task_that_joins_any_begins_with_the_first_and_the_rest_change_nothing(database: Database) -> None:
    race = flow(
        TaskSpec("quick", "echo", input=1),
        TaskSpec("slow", "waits"),
        TaskSpec("bad", "fails", on_failure=OnFailure.CONTINUE),
        TaskSpec("first", "echo", input={"quick": "${quick.output}", "slow": "${slow.output}"}, join="any"),
        TaskSpec("then", "echo", input="${first.output}"),
        output="${then.output}",
    )

    async def story() -> None:
        async with working(company(database, race)) as aos:
            run_id = await aos.start("flow")
            await aos.until("select 1 from task where name = 'then' and state = 'succeeded'")
            assert aos.tasks(run_id)["slow"]["state"] == "running"
            run_agents.gates[str(run_id)].set()
            run = await aos.ended(run_id)
            assert (run["state"], run["output"]) == ("succeeded", {"quick": 1, "slow": None})
            assert aos.tasks(run_id)["first"]["needs"] is None
            await aos.check_books()

    asyncio.run(story())


@pytest.mark.parametrize(
    ("join", "good", "bad", "state"),
    [
        ("any", 0, 3, "skipped"),
        ("any", 1, 2, "succeeded"),
        (AtLeast(2), 1, 2, "skipped"),
        (AtLeast(2), 2, 1, "succeeded"),
        (AtLeast(3), 3, 0, "succeeded"),
        (AtLeast(3), 2, 1, "skipped"),
        ("all", 2, 1, "skipped"),
        ("all", 3, 0, "succeeded"),
    ],
)
def test_a_join_needs_its_number_of_successes(database: Database, join: Any, good: int, bad: int, state: str) -> None:
    sources = [TaskSpec(f"g{n}", "echo") for n in range(good)] + [TaskSpec(f"b{n}", "fails") for n in range(bad)]
    after = tuple(task.name for task in sources)

    async def story() -> None:
        joined = flow(
            *sources, TaskSpec("join", "echo", after=after, join=join), TaskSpec("x", "echo", after=("join",))
        )
        async with working(company(database, joined)) as aos:
            run = await aos.ended(await aos.start("flow"))
            tasks = aos.tasks(run["id"])
            assert (tasks["join"]["state"], tasks["x"]["state"]) == (state, state)
            assert run["tasks_open"] == 0
            await aos.check_books()

    asyncio.run(story())


def test_a_branch_left_out_by_its_condition_is_no_success_for_a_join(database: Database) -> None:
    race = flow(
        TaskSpec("left", "echo", input="l", when="${false}"),
        TaskSpec("check", "echo"),
        TaskSpec("right", "echo", input="r", after=("check",)),
        TaskSpec("join", "echo", input={"l": "${left.output}", "r": "${right.output}"}, join="any"),
        output="${join.output}",
    )

    async def story() -> None:
        async with working(company(database, race)) as aos:
            run = await aos.ended(await aos.start("flow"))
            assert (run["state"], run["output"]) == ("succeeded", {"l": None, "r": "r"})

    asyncio.run(story())


# --- failures ------------------------------------------------------------------------------------------------------


def test_a_run_goes_on_without_a_task_that_may_fail(database: Database) -> None:
    lenient = flow(
        TaskSpec("bad", "fails", on_failure=OnFailure.CONTINUE),
        TaskSpec("each", "fails", for_each="${[1, 2]}", on_failure=OnFailure.CONTINUE),
        TaskSpec("after", "echo", input={"bad": "${bad.output}", "each": "${each.output}"}),
    )

    async def story() -> None:
        async with working(company(database, lenient)) as aos:
            run = await aos.ended(await aos.start("flow"))
            assert (run["state"], run["error_code"]) == ("succeeded", None)
            assert run["output"] == {"bad": None, "each": None}
            assert aos.tasks(run["id"])["bad"]["state"] == "failed"

    asyncio.run(story())


def test_a_run_that_failed_by_a_compensated_task_is_handed_over_until_its_undoing_has_begun(database: Database) -> None:
    compensated = flow(TaskSpec("bad", "fails", on_failure=OnFailure.COMPENSATE), TaskSpec("good", "echo"))
    plain = flow(TaskSpec("bad", "fails"), name="plain")

    async def story() -> None:
        handed: list[FailedRun] = []

        async def begin_undo(runs: Sequence[FailedRun]) -> None:
            handed.extend(runs)

        async with working(company(database, compensated, plain)) as aos:
            aos.do.ends.begin_undo = begin_undo
            await aos.ended(await aos.start("plain"))
            run = await aos.ended(await aos.start("flow"))
            assert run["state"] == "failed"
            async with asyncio.timeout(10):
                while not handed:
                    await asyncio.sleep(0.02)
            await aos.worker.stop()
            assert {each.run_id for each in handed} == {run["id"]}
            assert handed[0].asker.root.name == "maria@larkspur.example"
            handed.clear()
            await aos.do.ends.finish()
            assert [each.run_id for each in handed] == [run["id"]]
            handed.clear()
            aos.world.rows("update run set undoes_id = %s where name = 'plain'", run["id"])
            await aos.do.ends.finish()
            assert handed == []

    asyncio.run(story())


# --- where tasks are born ------------------------------------------------------------------------------------------


def test_tasks_are_born_with_their_lane_queue_and_priority(database: Database) -> None:
    tasks = (
        TaskSpec("plain", "echo"),
        TaskSpec("slow", "counted"),
        TaskSpec("gpu", "counted", queue="gpu", priority=-3),
        TaskSpec("each", "echo", for_each="${[1]}", queue="gpu"),
    )

    async def story() -> None:
        world = company(database, flow(*tasks))
        async with working(world) as aos:
            run = await aos.ended(await aos.start("flow", priority=5))
            departments = {row["id"]: row["department_id"] for row in aos.rows("select id, department_id from agent")}
            found = aos.tasks(run["id"])
            for task in found.values():
                assert task["lane"] == (departments[task["agent_id"]] or UUID(int=0))
            assert {label: (task["queue"], task["priority"]) for label, task in found.items()} == {
                "plain": ("default", 5),
                "slow": ("slow", 5),
                "gpu": ("gpu", -3),
                "each": ("gpu", 5),
                "each[0]": ("gpu", 5),
            }

    asyncio.run(story())


def test_an_input_that_is_too_large_starts_nothing(database: Database) -> None:
    async def story() -> None:
        async with working(company(database, flow(TaskSpec("a", "echo")))) as aos:
            with pytest.raises(Exception, match="at most 1000000 are taken"):
                await aos.do.runs.start_run(aos.person, RunRequest(workflow="flow", input="x" * 1_000_000))
            assert not aos.rows("select 1 from run")

    asyncio.run(story())
