"""Workers and hosts that die: nothing is lost, nothing is done twice, and what cannot be known is said to be unknown."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from dataclasses import replace
from pathlib import Path

from aos.drivers.hosts.pool import HostPool
from aos.drivers.hosts.values import HostKind, HostsConfig
from aos.kernel.agents import Agent, Runtime
from aos.kernel.limits import CLAIMS_MAX
from aos.kernel.tools import Repeat
from aos.kernel.workflow.spec import TaskSpec, WorkflowSpec
from aos.operations.claimed import ClaimedTask
from aos.workers.runners import OnCall, Runners
from aos.workers.worker import Worker, WorkerConfig
from aos_sdk.frames import Ended, Start
from tests import run_agents
from tests.databases import Database
from tests.folders import new_folder
from tests.working import Working, add_workflow, working
from tests.worlds import Caller, World, agent, make_world, payments

ROOT = Path(__file__).resolve().parents[2]
PAYMENT = {"iban": "DE71500105175813421938", "amount": "12", "currency": "EUR"}


def run_agent(name: str, *tools: str, inline: bool = True) -> Agent:
    """Return an agent whose function stands in `tests.run_agents`."""
    return replace(agent(name, *tools), runtime=Runtime("python", f"tests.run_agents:{name}", inline=inline))


def lose_lease(world: World) -> None:
    """Let the leases of all claimed tasks run out."""
    world.rows("update task set lease_until = aos_now() - interval '1 s' where state = 'running'")


async def until_called(caller: Caller) -> None:
    """Return when the tool has been called."""
    while not caller.calls:
        await asyncio.sleep(0.005)


def test_a_task_whose_worker_died_is_worked_on_by_another(database: Database) -> None:
    world = make_world(database, agents=[run_agent("echo")])

    async def story() -> None:
        async with working(world, started=False) as dead:
            run_id = await dead.start(agent="echo", input="hello")
            (taken,) = await dead.do.tasks.claim(10)
            async with working(world) as other:
                assert await other.do.tasks.claim(10) == []
                lose_lease(world)
                run = await other.ended(run_id)
                assert (run["state"], run["output"]) == ("succeeded", "hello")
                (task,) = other.tasks(run_id).values()
                assert (task["claims"], task["attempt"]) == (1, 1)
                assert not await dead.do.tasks.release(taken.task, counted=False)
                await other.check_books()

    asyncio.run(story())


def crashed_payment(database: Database, repeat: Repeat) -> tuple[list[str], Working, dict]:
    """Let a worker die while a payment is on its way; return the keys of all calls, and what the run came to."""
    world = make_world(database, agents=[run_agent("pays", "payments.create")], tools=[payments(repeat=repeat)])

    async def story() -> tuple[list[str], Working, dict]:
        held = asyncio.Event()
        first, second = Caller(hold=held), Caller()
        async with working(world, first) as dying:
            run_id = await dying.start(agent="pays", input=PAYMENT)
            await until_called(first)
            await dying.worker._claims.stop()  # it goes on paying, but claims nothing more
            async with working(world, second) as other:
                lose_lease(world)
                run = await other.ended(run_id)
                held.set()
                await dying.running.gate.drain()
                return [key for _, _, key in (*first.calls, *second.calls)], other, run

    return asyncio.run(story())


def test_a_keyed_payment_is_asked_again_under_its_key_when_its_worker_died(database: Database) -> None:
    keys, aos, run = crashed_payment(database, Repeat.KEYED)
    assert (run["state"], run["output"]) == ("succeeded", "ok")
    assert len(keys) == 2
    assert len(set(keys)) == 1
    states = [row["state"] for row in aos.rows("select state from action where kind = 'tool' order by id")]
    assert states == ["unknown", "performed"]
    assert [row["estimated"] for row in aos.rows("select estimated from usage_event where kind = 'tool_call'")].count(
        True
    ) == 1


def test_a_payment_that_may_not_be_repeated_waits_for_a_person_when_its_worker_died(database: Database) -> None:
    keys, aos, run = crashed_payment(database, Repeat.NEVER)
    assert (run["state"], run["error_code"]) == ("failed", "raised")
    assert len(keys) == 1
    assert [row["state"] for row in aos.rows("select state from action where kind = 'tool'")] == ["unknown"]


def test_a_task_that_keeps_ending_its_worker_is_left_to_a_person(database: Database) -> None:
    world = make_world(database, agents=[run_agent("echo")])

    async def story() -> None:
        async with working(world, started=False) as aos:
            run_id = await aos.start(agent="echo")
            poisonous: list[ClaimedTask] = []
            for _ in range(CLAIMS_MAX):
                (_,) = await aos.do.tasks.claim(10)
                lose_lease(world)
                _, poisonous = await aos.do.tasks.sweep(10)
            assert len(poisonous) == 1
            await aos.worker.start()
            run_agents.entered.clear()
            lose_lease(world)
            (stuck,) = await aos.until("select * from task where state = 'stuck'")
            assert (stuck["error_code"], stuck["claim_token"], stuck["finished_at"]) == ("poison", None, None)
            assert (aos.run(run_id)["state"], aos.run(run_id)["tasks_open"]) == ("running", 1)
            await aos.do.runs.cancel_run(aos.person, run_id)
            assert aos.run(run_id)["state"] == "cancelled"

    asyncio.run(story())


def test_a_call_hears_of_its_act_though_the_sweep_died_before_it_could_tell(database: Database) -> None:
    tools = [payments(repeat=Repeat.NEVER)]
    world = make_world(database, agents=[run_agent("pays", "payments.create")], tools=tools)

    async def story() -> None:
        held = asyncio.Event()
        first = Caller(hold=held)
        async with working(world, first) as dying:
            run_id = await dying.start(agent="pays", input=PAYMENT)
            await until_called(first)
            await dying.worker._claims.stop()
            world.rows(
                "update action set state = 'unknown', holds = '[]', concluded_at = aos_now() where kind = 'tool'"
            )
            second = Caller()
            async with working(world, second) as other:
                lose_lease(world)
                try:
                    run = await other.ended(run_id)
                finally:
                    held.set()
                assert (run["state"], run["error_code"]) == ("failed", "raised")
                assert second.calls == []

    asyncio.run(story())


NO_OUTCOME = """
create function refuse() returns trigger language plpgsql as $$ begin raise 'no outcome is taken'; end $$;
create trigger refuse before update on action for each row when (new.state = 'performed') execute function refuse();
"""


def test_an_act_whose_outcome_the_database_refuses_is_in_doubt_and_not_made_again(database: Database) -> None:
    tools = [payments(repeat=Repeat.NEVER)]
    world = make_world(database, agents=[run_agent("pays_again_and_again", "payments.create")], tools=tools)
    world.rows(NO_OUTCOME)
    caller = Caller()

    async def story() -> None:
        async with working(world, caller) as aos:
            run = await aos.ended(await aos.start(agent="pays_again_and_again", input=PAYMENT))
            assert (run["state"], run["error_code"]) == ("failed", "raised")
            assert [row["state"] for row in aos.rows("select state from action where kind = 'tool'")] == ["unknown"]
            assert len(caller.calls) == 1

    asyncio.run(story())


class BrokenRunner:
    """A runner with a mistake of its own."""

    async def run_pass(self, start: Start, on_call: OnCall, *, timeout_seconds: float | None = None) -> Ended:
        raise RuntimeError("a mistake of the worker's")


def test_a_task_that_breaks_the_worker_s_own_code_again_and_again_is_stuck(database: Database) -> None:
    world = make_world(database, agents=[run_agent("echo")])

    async def story() -> None:
        async with working(world, started=False) as aos:
            worker = Worker(aos.do, Runners(hosts=None, inline=BrokenRunner()), bell=aos.bell)
            run_id = await aos.start(agent="echo")
            aos.rows("update task set claims = %s returning 1", CLAIMS_MAX - 2)
            await worker.start()
            (stuck,) = await aos.until("select * from task where state = 'stuck'")
            assert (stuck["error_code"], stuck["claims"], aos.run(run_id)["state"]) == (
                "poison",
                CLAIMS_MAX - 1,
                "running",
            )
            await worker.stop()

    asyncio.run(story())


def test_workers_share_a_run_and_do_each_task_once(database: Database) -> None:
    world = make_world(database, agents=[run_agent("counted"), run_agent("echo")])
    flow = WorkflowSpec(
        "flow",
        (TaskSpec("each", "counted", input="${item}", for_each="${input}"), TaskSpec("end", "echo", after=("each",))),
    )
    add_workflow(world, flow)

    async def story() -> None:
        config = WorkerConfig(tasks_at_once=20, finish_seconds=2.0)
        run_agents.entered.clear()
        async with working(world, config=config) as one, working(world, config=config), working(world, config=config):
            run = await one.ended(await one.start("flow", input=list(range(300))))
            assert run["state"] == "succeeded"
            counted = Counter({key: n for key, n in run_agents.entered.items() if key.startswith("counted")})
            assert len(counted) == 300
            assert set(counted.values()) == {1}
            assert {row["claimed"] for row in one.rows("select claims as claimed from task")} == {0}
            await one.check_books()

    asyncio.run(story())


def test_an_agent_in_a_host_spawns_pays_and_survives_the_kill_of_its_host(database: Database) -> None:
    agents = [
        run_agent("leads", inline=False),
        run_agent("double", inline=False),
        run_agent("pays", "payments.create", inline=False),
    ]
    agents[0] = replace(agents[0], delegates=("double",))
    world = make_world(database, agents=agents, tools=[payments()])

    async def story() -> None:
        held = asyncio.Event()
        caller = Caller(hold=held)
        folder = new_folder("hosts")
        pool = HostPool(HostsConfig(folder / "hosts.sock", agent_hosts=1, tool_hosts=0, python_path=(str(ROOT),)))
        await pool.start()
        try:
            async with working(world, caller, started=False) as aos:
                worker = Worker(aos.do, Runners(hosts=pool, inline=None), bell=aos.bell)
                await worker.start()
                run = await aos.ended(await aos.start(agent="leads", input={"items": [1, 2, 3]}))
                assert (run["state"], run["output"]) == ("succeeded", 12)
                run_id = await aos.start(agent="pays", input=PAYMENT)
                await until_called(caller)
                for host in pool.hosts():
                    if host.kind is HostKind.AGENTS:
                        os.kill(host.pid, signal.SIGKILL)
                held.set()
                paid = await aos.ended(run_id)
                assert (paid["state"], paid["output"]) == ("succeeded", "ok")
                assert len({key for _, _, key in caller.calls}) == 1
                (task,) = aos.tasks(run_id).values()
                assert task["attempt"] == 1
                await worker.stop()
        finally:
            await pool.close()

    asyncio.run(story())
