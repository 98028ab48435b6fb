"""Tasks that wait for times, signals and children: they hold no worker, lose nothing when one dies, and go on once."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest

from aos.drivers.hosts.pool import HostPool
from aos.drivers.hosts.values import HostKind, HostsConfig
from aos.kernel.agents import Agent, Runtime
from aos.kernel.errors import Conflict, IdempotencyMismatch, InvalidRequest, NotFound
from aos.kernel.json import Json
from aos.kernel.limits import HISTORY_CALLS_MAX
from aos.kernel.ports import ModelTransport, ToolOutcome
from aos.kernel.tools import Repeat
from aos.kernel.workflow.spec import TaskSpec, WorkflowSpec
from aos.operations.signals import SignalRequest, SignalSent
from aos.workers.inline import InlineRunner
from aos.workers.runners import Runners
from aos.workers.worker import Worker, WorkerConfig
from tests.databases import Database
from tests.folders import new_folder
from tests.working import Working, add_workflow, working
from tests.worlds import Caller, World, agent, make_world, payments

ROOT = Path(__file__).resolve().parents[2]
BOTH = pytest.mark.parametrize("colour", ["", "_async"])
NAMES = ("sleeps", "sleeps_by_the_clock", "listens", "listens_for_a_while", "loops", "plans_by_kpis")
LEADERS = ("leads_in_order", "takes_the_first")
PAYMENT: dict[str, Json] = {"iban": "DE71500105175813421938", "amount": "12", "currency": "EUR"}


def wait_agent(name: str, *tools: str, delegates: tuple[str, ...] = ()) -> Agent:
    """Return an agent in hosts whose function stands in `tests.wait_agents`."""
    found = replace(agent(name, *tools), runtime=Runtime("python", f"tests.wait_agents:{name}"))
    return replace(found, delegates=delegates)


def company(database: Database) -> World:
    """Return the organization that these tests share."""
    agents = [wait_agent(name + colour) for name in NAMES for colour in ("", "_async")]
    agents += [wait_agent(name + colour, delegates=("*",)) for name in LEADERS for colour in ("", "_async")]
    agents += [wait_agent("leads_after_a_failure", delegates=("*",)), wait_agent("breaks")]
    agents += [wait_agent("hears_and_sleeps")]
    agents += [
        wait_agent(name, "payments.create")
        for name in ("pays_in_generations", "forgets_and_goes_on", "pays_then_hangs")
    ]
    return make_world(database, agents=agents, tools=[payments()])


@asynccontextmanager
async def at_work(
    world: World, caller: Caller | None = None, *, hosts: int = 1, models: ModelTransport | None = None
) -> AsyncIterator[tuple[Working, HostPool]]:
    """Run a worker with hosts of its own."""
    folder = new_folder("hosts")
    config = HostsConfig(folder / "hosts.sock", agent_hosts=hosts, tool_hosts=0, python_path=(str(ROOT),))
    pool = HostPool(replace(config, folder=ROOT))
    await pool.start()
    try:
        async with working(world, caller, started=False, models=models) as aos:
            worker = Worker(
                aos.do,
                Runners(hosts=pool, inline=InlineRunner()),
                bell=aos.bell,
                config=WorkerConfig(finish_seconds=2.0),
            )
            await worker.start()
            try:
                yield aos, pool
            finally:
                await worker.stop()
    finally:
        await pool.close()


async def send(aos: Working, run_id: UUID, value: Json, **more: Any) -> SignalSent:
    """Send the signal `go` as a person."""
    request = SignalRequest(run_id, more.pop("name", "go"), value, **more)
    sent = await aos.do.signals.send_signal(aos.person, request)
    assert isinstance(sent, SignalSent), sent
    return sent


async def waiting(aos: Working, run_id: UUID, waits_for: str) -> None:
    """Return when a task of the run is parked."""
    await aos.until("select 1 from task where run_id = %s and state = 'waiting' and waits_for = %s", run_id, waits_for)


@BOTH
def test_a_task_that_sleeps_holds_no_worker_and_wakes_when_its_time_has_come(database: Database, colour: str) -> None:
    async def story() -> None:
        async with at_work(company(database)) as (aos, pool):
            run_id = await aos.start(agent=f"sleeps{colour}", input=0.4)
            await waiting(aos, run_id, "timer")
            assert sum(host.busy for host in pool.hosts()) == 0
            (task,) = aos.tasks(run_id).values()
            assert task["wake_at"] is not None
            assert task["claim_token"] is None
            run = await aos.ended(run_id)
            assert (run["state"], run["output"]) == ("succeeded", "slept 0.4")
            (call,) = aos.rows("select * from call where kind = 'timer'")
            (task,) = aos.tasks(run_id).values()
            assert task["finished_at"] >= call["due_at"]
            assert (task["attempt"], task["claims"]) == (1, 0)
            await aos.check_books()

    asyncio.run(story())


@BOTH
def test_a_task_sleeps_by_the_clock_of_its_run(database: Database, colour: str) -> None:
    world = company(database)
    world.rows("update organization_settings set run_clock_allowed = true returning 1")
    world.rows("update organization set epoch = epoch + 1 returning 1")

    async def story() -> None:
        async with at_work(world) as (aos, _):
            clock = datetime(2020, 1, 31, 12, tzinfo=UTC)
            run = await aos.ended(await aos.start(agent=f"sleeps_by_the_clock{colour}", clock=clock))
            assert (run["state"], run["output"]) == ("succeeded", "awake")
            (call,) = aos.rows("select * from call where kind = 'timer'")
            assert call["due_at"] > run["created_at"]

    asyncio.run(story())


def test_a_sleep_goes_on_when_the_worker_that_slept_it_is_gone(database: Database) -> None:
    world = company(database)

    async def story() -> None:
        async with at_work(world) as (aos, _):
            run_id = await aos.start(agent="sleeps", input=0.5)
            await waiting(aos, run_id, "timer")
        async with at_work(world) as (aos, _):
            run = await aos.ended(run_id)
            assert (run["state"], run["output"]) == ("succeeded", "slept 0.5")
            assert len(aos.rows("select 1 from call")) == 1

    asyncio.run(story())


def test_ten_thousand_sleeping_tasks_are_left_alone_until_one_is_due(database: Database) -> None:
    world = company(database)

    async def story() -> None:
        async with working(world, started=False) as aos:
            run_id = await aos.start(agent="sleeps", input=1)
            aos.rows(
                "insert into task (organization_id, id, run_id, name, label, kind, agent_id, chain, spec, state, wake_at)"
                " select organization_id, gen_random_uuid(), run_id, name, label, kind, agent_id, chain, spec, 'waiting',"
                " aos_now() + case n when 7 then interval '-1 s' else interval '1 h' end"
                " from task cross join generate_series(1, 10000) n where run_id = %s returning 1",
                run_id,
            )
            woken, next_seconds = await aos.do.tasks.wake(1_000)
            assert woken == 1
            assert next_seconds == pytest.approx(3_600, abs=30)
            assert (await aos.do.tasks.wake(1_000))[0] == 0

    asyncio.run(story())


@BOTH
def test_a_signal_wakes_the_task_that_waits_for_its_name(database: Database, colour: str) -> None:
    async def story() -> None:
        async with at_work(company(database)) as (aos, pool):
            run_id = await aos.start(agent=f"listens{colour}")
            await waiting(aos, run_id, "signal")
            assert sum(host.busy for host in pool.hosts()) == 0
            calls = aos.rows("select k.name from call k join task t on t.id = k.task_id and t.attempt = k.attempt")
            assert [call["name"] for call in calls] == ["go"]
            await send(aos, run_id, "for another", name="come")
            await waiting(aos, run_id, "signal")
            sent = await send(aos, run_id, {"amount": 3})
            run = await aos.ended(run_id)
            assert (run["state"], run["output"]) == ("succeeded", [{"amount": 3}])
            (row,) = aos.rows("select * from signal where id = %s", sent.signal_id)
            assert row["taken_by"] is not None
            (action,) = aos.rows("select * from action where id = %s", row["action_id"])
            assert (action["kind"], action["name"], action["state"]) == ("message", "go", "performed")
            assert aos.rows("select 1 from record where action_id = %s", row["action_id"])
            await aos.check_books()

    asyncio.run(story())


@BOTH
def test_signals_that_came_before_are_taken_in_their_order_each_once(database: Database, colour: str) -> None:
    async def story() -> None:
        async with at_work(company(database)) as (aos, _):
            run_id = await aos.start(agent=f"listens{colour}", input=3)
            for n in range(4):
                await send(aos, run_id, n)
            run = await aos.ended(run_id)
            assert run["output"] == [0, 1, 2]
            assert len(aos.rows("select 1 from signal where taken_by is null")) == 1

    asyncio.run(story())


@BOTH
def test_a_wait_for_a_signal_ends_after_its_time_and_can_be_made_again(database: Database, colour: str) -> None:
    async def story() -> None:
        async with at_work(company(database)) as (aos, _):
            run_id = await aos.start(agent=f"listens_for_a_while{colour}")
            await aos.until("select 1 from report")
            await waiting(aos, run_id, "signal")
            await send(aos, run_id, "late")
            run = await aos.ended(run_id)
            assert run["output"] == ["no signal `go` came within 0.1 s", "timed-out", "late"]

    asyncio.run(story())


def test_the_same_key_is_the_same_signal_and_an_ended_run_takes_none(database: Database) -> None:
    async def story() -> None:
        async with at_work(company(database)) as (aos, _):
            run_id = await aos.start(agent="listens", input=2)
            first = await send(aos, run_id, 1, key="one")
            again = await send(aos, run_id, 1, key="one")
            assert (again.signal_id, again.replayed) == (first.signal_id, True)
            with pytest.raises(IdempotencyMismatch):
                await send(aos, run_id, 2, key="one")
            with pytest.raises(InvalidRequest):
                await send(aos, run_id, 2, name="")
            with pytest.raises(NotFound):
                await send(aos, UUID(int=7), 2)
            await send(aos, run_id, 2, key="two")
            assert (await aos.ended(run_id))["output"] == [1, 2]
            with pytest.raises(Conflict):
                await send(aos, run_id, 3)

    asyncio.run(story())


@pytest.mark.parametrize(
    ("named", "why"),
    [
        ("listens_for_what_has_no_name", "printable characters"),
        ("keeps_under_endless_names", "more than the database holds"),
    ],
)
def test_what_no_later_pass_could_write_either_fails_the_task(database: Database, named: str, why: str) -> None:
    runtime = Runtime("python", f"tests.run_agents:{named}", inline=True)
    world = make_world(database, agents=[replace(agent(named), runtime=runtime)])

    async def main() -> None:
        async with working(world) as aos:
            run = await aos.ended(await aos.start(agent=named))
            assert run["state"] == "failed"
            ((row),) = aos.rows("select error_content_id from task where run_id = %s", run["id"])
            assert why in str(aos.content(row["error_content_id"]))

    asyncio.run(main())


def test_a_pass_that_waits_for_several_things_goes_on_with_the_first(database: Database) -> None:
    async def story() -> None:
        async with at_work(company(database)) as (aos, _):
            run_id = await aos.start(agent="hears_and_sleeps", input=3_600)
            await waiting(aos, run_id, "signal")
            await send(aos, run_id, "heard")
            await aos.until("select 1 from report")
            await waiting(aos, run_id, "timer")
            assert aos.rows("select 1 from edge where kind = 'child'") == []
            aos.rows("update call set due_at = aos_now() where kind = 'timer' returning 1")
            aos.rows("update task set wake_at = aos_now() where state = 'waiting' returning 1")
            assert (await aos.ended(run_id))["output"] == ["heard", "slept"]

    asyncio.run(story())


@BOTH
def test_spawned_tasks_come_after_those_they_are_to_follow(database: Database, colour: str) -> None:
    async def story() -> None:
        async with at_work(company(database), hosts=2) as (aos, _):
            run = await aos.ended(await aos.start(agent=f"leads_in_order{colour}"))
            assert (run["state"], run["output"]) == ("succeeded", ["slept 0.05", "slept 0", "slept 0"])
            tasks = aos.tasks(run["id"])
            assert tasks["first"]["finished_at"] <= tasks["second"]["started_at"]
            assert tasks["second"]["finished_at"] <= tasks["third"]["started_at"]
            await aos.check_books()

    asyncio.run(story())


def test_a_spawned_task_is_skipped_where_what_it_follows_failed(database: Database) -> None:
    async def story() -> None:
        async with at_work(company(database), hosts=2) as (aos, _):
            run = await aos.ended(await aos.start(agent="leads_after_a_failure"))
            assert (run["state"], run["output"]) == ("succeeded", [True, True])
            tasks = aos.tasks(run["id"])
            assert {tasks["while-open"]["state"], tasks["ended"]["state"]} == {"skipped"}

    asyncio.run(story())


@BOTH
def test_a_parent_goes_on_when_enough_of_its_children_have_ended(database: Database, colour: str) -> None:
    async def story() -> None:
        async with at_work(company(database), hosts=2) as (aos, _):
            run_id = await aos.start(agent=f"takes_the_first{colour}")
            await aos.until("select 1 from task where label = 'quick' and state = 'succeeded'")
            for value, ended in ((1, 2), (2, 3)):
                await aos.until(
                    "select 1 from task t where t.parent_id is null and t.state = 'waiting' and t.blockers = 1 and"
                    " (select count(*) from task c where c.parent_id = t.id and c.state = 'succeeded') = %s",
                    ended - 1,
                )
                await send(aos, run_id, value)
            run = await aos.ended(run_id)
            first, two, every = cast(list[list[Json]], run["output"])
            assert first == ["UNFINISHED", "UNFINISHED", "slept 0"]
            assert sorted(map(str, two)) == ["UNFINISHED", "[1]", "slept 0"]
            assert sorted(map(str, every)) == ["[1]", "[2]", "slept 0"]
            await aos.check_books()

    asyncio.run(story())


@BOTH
def test_an_agent_reads_the_kpis_of_its_run_as_they_stood(database: Database, colour: str) -> None:
    async def story() -> None:
        async with at_work(company(database)) as (aos, _):
            run = await aos.ended(await aos.start(agent=f"plans_by_kpis{colour}"))
            assert run["output"] == [{}, {"days": 1, "open": 2}]

    asyncio.run(story())


@BOTH
def test_a_task_goes_on_with_a_fresh_history_in_the_same_attempt(database: Database, colour: str) -> None:
    async def story() -> None:
        async with at_work(company(database)) as (aos, _):
            given = {"made": 0, "per": 3, "calls": 9}
            run = await aos.ended(await aos.start(agent=f"loops{colour}", input=given))
            assert run["output"] == {"made": 9, "generation": 2, "attempt": 1}
            assert len(aos.rows("select 1 from call")) == 3
            assert len(aos.rows("select 1 from record where kind = 'task.started'")) == 1
            await aos.check_books()

    asyncio.run(story())


def test_the_same_call_in_another_generation_is_another_call(database: Database) -> None:
    async def story() -> None:
        caller = Caller()
        async with at_work(company(database), caller) as (aos, _):
            run = await aos.ended(await aos.start(agent="pays_in_generations", input={"payment": PAYMENT}))
            assert (run["state"], run["output"]) == ("succeeded", 2)
            assert len({key for _, _, key in caller.calls}) == 3

    asyncio.run(story())


def test_a_function_that_goes_on_without_what_it_did_has_diverged(database: Database) -> None:
    async def story() -> None:
        async with at_work(company(database)) as (aos, _):
            run = await aos.ended(await aos.start(agent="forgets_and_goes_on", input={"payment": PAYMENT}))
            assert (run["state"], run["error_code"]) == ("failed", "diverged")

    asyncio.run(story())


def test_a_task_that_goes_on_afresh_is_not_asked_for_an_act_whose_outcome_is_unknown(database: Database) -> None:
    doubtful = wait_agent("goes_on_in_doubt", "payments.create")
    world = make_world(database, agents=[doubtful], tools=[payments(repeat=Repeat.NEVER)])
    caller = Caller(lambda tool, arguments: ToolOutcome(ok=False, error="no answer", unknown=True))

    async def story() -> None:
        async with at_work(world, caller) as (aos, _):
            run = await aos.ended(await aos.start(agent="goes_on_in_doubt", input={"payment": PAYMENT}))
            assert (run["state"], run["output"]) == ("succeeded", 1)
            assert [row["state"] for row in aos.rows("select state from action where kind = 'tool'")] == ["unknown"]
            assert len(caller.calls) == 1

    asyncio.run(story())


def test_a_pass_that_was_cut_off_has_left_nothing_out(database: Database) -> None:
    world = company(database)
    add_workflow(
        world, WorkflowSpec("flow", (TaskSpec("one", "pays_then_hangs", input="${input}", timeout_seconds=1.0),))
    )

    async def story() -> None:
        async with at_work(world) as (aos, _):
            run = await aos.ended(await aos.start("flow", input={"payment": PAYMENT}))
            assert (run["state"], run["error_code"]) == ("failed", "timed-out")

    asyncio.run(story())


@pytest.mark.parametrize("calls", [600, pytest.param(100_000, marks=pytest.mark.long)])
def test_a_loop_in_generations_takes_as_long_for_the_last_calls_as_for_the_first(
    database: Database, calls: int
) -> None:
    per = max(calls // 20, 30)

    async def story() -> None:
        async with at_work(company(database)) as (aos, _):
            run_id = await aos.start(agent="loops_async", input={"made": 0, "per": per, "calls": calls})
            seconds: list[float] = []
            loop = asyncio.get_running_loop()
            for generation in range(calls // per - 1):
                began = loop.time()
                while aos.rows("select 1 from task where generation <= %s and finished_at is null", generation):
                    await asyncio.sleep(0.02)
                seconds.append(loop.time() - began)
            async with asyncio.timeout(600):
                while aos.run(run_id)["state"] == "running":
                    await asyncio.sleep(0.1)
            run = aos.run(run_id)
            assert run["output"] == {"made": calls, "generation": calls // per - 1, "attempt": 1}
            assert len(aos.rows("select 1 from call")) == per
            third = len(seconds) // 3
            assert sum(seconds[-third:]) < 3 * sum(seconds[:third]) + 1.0

    asyncio.run(story())


def test_a_history_that_is_full_names_the_way_on(database: Database) -> None:
    async def story() -> None:
        async with at_work(company(database)) as (aos, _):
            run_id = await aos.start(agent="listens", input=2)
            await waiting(aos, run_id, "signal")
            aos.rows(
                "insert into call (organization_id, task_id, key, attempt, tries, kind, name, state, seq)"
                " select organization_id, id, 'made-' || n, 1, 0, 'step', 'made', 'performed', nextval('call_seq')"
                " from task cross join generate_series(1, %s) n returning 1",
                HISTORY_CALLS_MAX,
            )
            await send(aos, run_id, 1)
            run = await aos.ended(run_id)
            assert (run["state"], run["error_code"]) == ("failed", "raised")
            (task,) = aos.tasks(run["id"]).values()
            assert "continue_as_new" in str(aos.content(task["error_content_id"]))

    asyncio.run(story())


def test_a_killed_host_loses_no_sleep_and_no_signal(database: Database) -> None:
    async def story() -> None:
        async with at_work(company(database)) as (aos, pool):
            run_id = await aos.start(agent="listens", input=3)
            for n in range(3):
                await send(aos, run_id, n)
                for host in pool.hosts():
                    if host.kind is HostKind.AGENTS and host.ready:
                        os.kill(host.pid, signal.SIGKILL)
                while not any(host.ready for host in pool.hosts()):
                    await asyncio.sleep(0.005)
            run = await aos.ended(run_id)
            assert (run["state"], run["output"]) == ("succeeded", [0, 1, 2])
            assert aos.rows("select 1 from signal where taken_by is null") == []

    asyncio.run(story())
