"""A person's orders to runs: each takes effect on the whole tree, once, and says what it reached."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest

from aos.kernel.errors import Conflict, InvalidRequest, NotFound
from aos.kernel.workflow.spec import TaskSpec, WorkflowSpec
from aos.operations.run_steering import Steered
from tests import run_agents
from tests.databases import Database
from tests.operations.test_runs_worker import LARGE, PAYMENT, company
from tests.working import Working, working
from tests.worlds import IDS

FLOW = WorkflowSpec("flow", (TaskSpec("w", "waits"), TaskSpec("after", "echo", after=("w",), input=1)))


async def at_work(aos: Working, run_id: UUID) -> None:
    """Return once the run's agent waits for the test's word."""
    async with asyncio.timeout(20):
        while str(run_id) not in run_agents.gates:
            await asyncio.sleep(0.01)


def nest(aos: Working, child: UUID, parent: UUID) -> None:
    """Say that a task of one run started the other and waits for its end, as a nested workflow does."""
    aos.rows(
        "with nested as (update run set parent_run_id = %s, parent_task_id = t.id from task t"
        " where t.run_id = %s and t.label = 'after' and run.id = %s returning t.organization_id, t.id, t.run_id)"
        ", linked as (insert into edge (organization_id, source_id, target_id, run_id, kind)"
        " select organization_id, %s, id, run_id, 'child' from nested)"
        " update task set state = 'waiting', waits_for = 'run', blockers = 1 from nested where task.id = nested.id"
        " returning task.id",
        parent, parent, child, child,
    )  # fmt: skip


def test_a_run_is_cancelled_with_all_that_is_nested_in_it(database: Database) -> None:
    async def story() -> None:
        async with working(company(database, workflows=(FLOW,))) as aos:
            runs = [await aos.start("flow") for _ in range(3)]
            for run_id in runs:
                await at_work(aos, run_id)
            top, middle, bottom = runs
            nest(aos, middle, top)
            nest(aos, bottom, middle)
            steered = await aos.do.runs.cancel_run(aos.person, top)
            assert set(steered.runs) == set(runs)
            assert steered.tasks == 6
            assert {(each.run_id, each.label) for each in steered.at_work} == {(run_id, "w") for run_id in runs}
            assert {aos.run(run_id)["state"] for run_id in runs} == {"cancelled"}
            assert not aos.rows("select 1 from task where state <> 'cancelled'")
            assert await aos.do.runs.cancel_run(aos.person, top) == Steered()
            await aos.worker.tasks.finish(0.1)
            await aos.check_books()

    asyncio.run(story())


def test_the_end_of_a_nested_run_that_is_cancelled_is_told_to_the_task_that_waits_for_it(database: Database) -> None:
    async def story() -> None:
        async with working(company(database, workflows=(FLOW,)), started=False) as aos:
            top, nested = await aos.start("flow"), await aos.start("flow")
            nest(aos, nested, top)
            steered = await aos.do.runs.cancel_run(aos.person, nested)
            assert steered.runs == (nested,)
            assert aos.run(top)["state"] == "running"
            assert aos.tasks(top)["after"]["state"] == "ready"

    asyncio.run(story())


def test_a_nested_workflow_is_paused_let_go_on_and_cancelled_with_its_run(database: Database) -> None:
    outer = WorkflowSpec("outer", (TaskSpec("inner", workflow="flow"),))

    async def story() -> None:
        async with working(company(database, workflows=(FLOW, outer))) as aos:
            top = await aos.start("outer")
            (nested,) = await aos.until("select id from run where parent_run_id = %s", top)
            await at_work(aos, nested["id"])
            assert set((await aos.do.runs.pause_run(aos.person, top)).runs) == {top, nested["id"]}
            assert aos.run(nested["id"])["state"] == "paused"
            await aos.do.runs.resume_run(aos.person, top)
            steered = await aos.do.runs.cancel_run(aos.person, nested["id"])
            assert steered.runs == (nested["id"],)
            run = await aos.ended(top)
            assert run["state"] in ("failed", "cancelled")
            other = await aos.start("outer")
            (nested,) = await aos.until("select id from run where parent_run_id = %s", other)
            assert set((await aos.do.runs.cancel_run(aos.person, other)).runs) == {other, nested["id"]}
            assert aos.run(nested["id"])["state"] == "cancelled"
            await aos.worker.tasks.finish(0.1)
            await aos.check_books()

    asyncio.run(story())


def test_a_bell_says_which_runs_are_stopped(database: Database) -> None:
    async def story() -> None:
        async with working(company(database, workflows=(FLOW,)), started=False) as aos:
            run_id, heard = await aos.start("flow"), list[str]()
            aos.bell.on("aos_stop", heard.append)
            async with asyncio.timeout(20):
                while "listening" not in heard:
                    aos.rows("select pg_notify('aos_stop', 'listening')")
                    await asyncio.sleep(0.02)
                await aos.do.runs.cancel_run(aos.person, run_id)
                while str(run_id) not in heard:
                    await asyncio.sleep(0.01)

    asyncio.run(story())


def test_a_pause_has_taken_effect_once_no_pass_runs_and_every_pass_ends_at_its_next_call(database: Database) -> None:
    paying = WorkflowSpec("paying", (TaskSpec("p", "pays_when_told", input=PAYMENT),))

    async def story() -> None:
        world = company(database, workflows=(paying,))
        async with working(world) as aos:
            run_id = await aos.start("paying")
            await at_work(aos, run_id)
            steered = await aos.do.runs.pause_run(aos.person, run_id)
            assert [each.label for each in steered.at_work] == ["p"]
            assert steered.runs == (run_id,)
            async with asyncio.timeout(20):
                while not aos.do.calls.held:
                    await asyncio.sleep(0.01)
            run_agents.gates[str(run_id)].set()
            await aos.until("select 1 from task where state = 'ready' and paused and claim_token is null")
            assert await aos.do.runs.pause_run(aos.person, run_id) == Steered((run_id,), 1)
            assert aos.running.caller.calls == []
            await aos.do.runs.resume_run(aos.person, run_id)
            assert (await aos.ended(run_id))["state"] == "succeeded"
            assert len(aos.running.caller.calls) == 1
            assert not aos.do.calls.held

    asyncio.run(story())


def test_a_pause_whose_bell_is_lost_is_found_when_the_lease_is_renewed(database: Database) -> None:
    async def story() -> None:
        async with working(company(database, workflows=(FLOW,))) as aos:
            run_id = await aos.start("flow")
            await at_work(aos, run_id)
            aos.rows("update task set paused = true where state = 'running' returning 1")
            async with asyncio.timeout(20):
                while not aos.do.calls.held:
                    await asyncio.sleep(0.05)
            aos.rows("update task set paused = false returning 1")
            run_agents.gates[str(run_id)].set()
            assert (await aos.ended(run_id))["state"] == "succeeded"

    asyncio.run(story())


def test_what_is_nested_pauses_and_goes_on_with_its_run(database: Database) -> None:
    async def story() -> None:
        async with working(company(database, workflows=(FLOW,)), started=False) as aos:
            top, nested = await aos.start("flow"), await aos.start("flow")
            nest(aos, nested, top)
            assert set((await aos.do.runs.pause_run(aos.person, top)).runs) == {top, nested}
            records = len(aos.rows("select 1 from record"))
            assert set((await aos.do.runs.pause_run(aos.person, top)).runs) == {top, nested}
            assert len(aos.rows("select 1 from record")) == records
            assert {aos.run(run_id)["state"] for run_id in (top, nested)} == {"paused"}
            assert await aos.do.tasks.claim(10) == []
            assert set((await aos.do.runs.resume_run(aos.person, top)).runs) == {top, nested}
            assert (await aos.do.runs.resume_run(aos.person, top)).runs == ()
            assert len(await aos.do.tasks.claim(10)) == 2

    asyncio.run(story())


def test_an_order_that_its_state_forbids_says_what_state_the_run_is_in(database: Database) -> None:
    async def story() -> None:
        async with working(company(database)) as aos:
            run_id = await aos.start(agent="echo")
            await aos.ended(run_id)
            orders: list[tuple[str, tuple[Any, ...]]] = [
                ("cancel_run", ()), ("pause_run", ()), ("resume_run", ()), ("prioritize_run", (3,))
            ]  # fmt: skip
            for order, more in orders:
                with pytest.raises(Conflict, match=f"{run_id}.* is succeeded"):
                    await getattr(aos.do.runs, order)(aos.person, run_id, *more)
                with pytest.raises(NotFound):
                    await getattr(aos.do.runs, order)(aos.person, IDS.new(), *more)
            with pytest.raises(InvalidRequest, match="-100 to 100"):
                await aos.do.runs.prioritize_run(aos.person, run_id, 101)

    asyncio.run(story())


def test_a_run_with_priority_is_claimed_first(database: Database) -> None:
    async def story() -> None:
        async with working(company(database), started=False) as aos:
            first = await aos.start(agent="echo")
            second = await aos.start(agent="echo")
            third = await aos.start(agent="echo", priority=7)
            steered = await aos.do.runs.prioritize_run(aos.person, second, 9)
            assert (steered.runs, steered.tasks) == ((second,), 1)
            claimed = [(await aos.do.tasks.claim(1))[0].task.run_id for _ in range(3)]
            assert claimed == [second, third, first]
            assert aos.run(second)["priority"] == 9

    asyncio.run(story())


def test_a_task_that_was_given_up_on_is_tried_again_and_one_that_backs_off_at_once(database: Database) -> None:
    async def story() -> None:
        async with working(company(database, workflows=(FLOW,)), started=False) as aos:
            run_id = await aos.start("flow")
            task_id = aos.tasks(run_id)["w"]["id"]
            assert await aos.do.runs.try_again(aos.person, run_id, task_id) is False
            aos.rows("update task set state = 'stuck', claims = 10 where id = %s returning 1", task_id)
            assert await aos.do.runs.try_again(aos.person, run_id, task_id) is True
            task = aos.tasks(run_id)["w"]
            assert (task["state"], task["claims"]) == ("ready", 0)
            aos.rows(
                "update task set state = 'waiting', waits_for = 'retry', wake_at = now() + interval '1 h' where id = %s"
                " returning 1",
                task_id,
            )
            assert await aos.do.runs.try_again(aos.person, run_id, task_id) is True
            assert [taken.task.id for taken in await aos.do.tasks.claim(10)] == [task_id]

    asyncio.run(story())


def test_an_approval_that_a_cancelled_run_waited_for_is_withdrawn(database: Database) -> None:
    async def story() -> None:
        async with working(company(database, LARGE)) as aos:
            run_id = await aos.start(agent="pays", input=PAYMENT)
            await aos.until("select 1 from task where state = 'waiting'")
            steered = await aos.do.runs.cancel_run(aos.person, run_id)
            assert (steered.approvals, steered.at_work, steered.tasks) == (1, (), 1)
            assert aos.rows("select status from approval") == [{"status": "expired"}]

    asyncio.run(story())
