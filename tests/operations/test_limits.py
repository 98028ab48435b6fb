"""How many calls of a tool are under way at once, and how many tasks an organization may have open."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import psycopg
import pytest

from aos.kernel.acts import ActionState, Recorded
from aos.kernel.agents import Runtime
from aos.kernel.errors import RateLimited
from aos.kernel.json import Json
from aos.kernel.money import Money
from aos.kernel.ports import ToolOutcome
from aos.kernel.tools import Tool
from aos.kernel.workflow.lanes import Limits, lane_of
from aos.kernel.workflow.spec import TaskSpec, WorkflowSpec
from aos.operations.abandon import Abandonment
from aos.operations.open_tasks import OpenTasks
from tests import run_agents
from tests.databases import Database
from tests.working import add_workflow, working
from tests.worlds import Caller, World, agent, make_world, payments, tool, write_limit

PAY: dict[str, Json] = {"iban": "DE89370400440532013000", "amount": "12.50", "currency": "EUR"}


@dataclass
class Busy(Caller):
    """The far side of every tool: holds each call until it is let go, or for a while, and counts how many at once."""

    let_go: asyncio.Event = field(default_factory=asyncio.Event)
    now: Counter[str] = field(default_factory=Counter)
    most: Counter[str] = field(default_factory=Counter)
    pause_seconds: float | None = None

    async def call(self, tool: Tool, arguments: Mapping[str, Json], **more: Any) -> ToolOutcome:
        """Hold the call."""
        self.now[tool.name] += 1
        self.most[tool.name] = max(self.most[tool.name], self.now[tool.name])
        try:
            if self.pause_seconds is None:
                await self.let_go.wait()
            else:
                await asyncio.sleep(self.pause_seconds)
            return await super().call(tool, arguments, **more)
        finally:
            self.now[tool.name] -= 1

    async def holding(self, count: int) -> None:
        """Return once so many calls are held."""
        async with asyncio.timeout(20):
            while sum(self.now.values()) < count:
                await asyncio.sleep(0.005)


def company(database: Database, *, at_most: int = 2, **more: Any) -> World:
    """Return a company whose payments are limited."""
    agents = [agent("finance", "*")] + [
        replace(agent(name, "payments.create"), runtime=Runtime("python", f"tests.run_agents:{name}", inline=True))
        for name in ("pays", "pays_or_says_why")
    ]
    tools = [payments(concurrency=at_most), tool("erp.read", concurrency=1), tool("erp.free")]
    return make_world(database, agents=agents, tools=tools, **more)


async def outcomes(*acts: Any) -> Counter[str]:
    """Return what acts came to, by name."""
    done = await asyncio.gather(*acts, return_exceptions=True)
    return Counter(type(each).__name__ if isinstance(each, BaseException) else each.state.value for each in done)


def test_no_more_calls_of_a_tool_are_under_way_than_its_limit_in_all_processes_together(database: Database) -> None:
    world, caller = company(database), Busy()

    async def story() -> None:
        async with world.running(caller) as one, world.running(caller) as two:
            acts = [
                asyncio.create_task(outcomes(aos.gate.perform(world.act("finance", name, arguments))))
                for aos in (one, two)
                for name, arguments in (("payments.create", PAY), ("erp.read", {}), ("erp.free", {}))
                for _ in range(10)
            ]
            async with asyncio.timeout(20):
                while sum(act.done() for act in acts) < 37:
                    await asyncio.sleep(0.005)
            await caller.holding(23)
            caller.let_go.set()
            came = sum([await act for act in acts], Counter[str]())
            assert came == {"performed": 23, "RateLimited": 37}
            assert caller.most == {"payments.create": 2, "erp.read": 1, "erp.free": 20}
            done = await one.gate.perform(world.act("finance", "erp.read"))
            assert isinstance(done, Recorded)
            assert done.state is ActionState.PERFORMED

    asyncio.run(story())


def test_who_finds_no_room_leaves_no_trace_and_is_told_when_to_ask_again(database: Database) -> None:
    world = company(database, at_most=1, budgets=[("company", "organization", Money(5_000_000, "EUR"))])
    caller = Busy()

    async def story() -> None:
        async with world.running(caller) as aos:
            first = asyncio.create_task(aos.gate.perform(world.act("finance", "payments.create", PAY)))
            await caller.holding(1)
            with pytest.raises(RateLimited, match=r"1 call is under way of `payments.create`") as refused:
                await aos.gate.perform(world.act("finance", "payments.create", PAY, idempotency_key="again"))
            assert refused.value.extra == {"retry_after_seconds": 1}
            assert world.rows("select count(*) from action") == [(1,)]
            assert world.rows("select count(*) from idempotency") == [(0,)]
            assert world.rows("select held_nanos from budget_account") == [(2_000_000,)]
            caller.let_go.set()
            await first
            done = await aos.gate.perform(world.act("finance", "payments.create", PAY, idempotency_key="again"))
            assert isinstance(done, Recorded)
            assert done.state is ActionState.PERFORMED

    asyncio.run(story())


def test_an_act_whose_process_died_counts_until_the_sweep_makes_it_unknown(database: Database) -> None:
    world, caller = company(database, at_most=1), Busy()
    caller.let_go.set()

    async def story() -> None:
        async with world.running(caller) as aos:
            await aos.gate.admit(world.act("finance", "payments.create", PAY))  # and never concluded
            with pytest.raises(RateLimited):
                await aos.gate.perform(world.act("finance", "payments.create", PAY))
            world.rows("update action set deadline = aos_now() - interval '1 second'")
            await Abandonment(aos.database, aos.facts, aos.drivers).overdue()
            done = await aos.gate.perform(world.act("finance", "payments.create", PAY))
            assert isinstance(done, Recorded)
            assert done.state is ActionState.PERFORMED
            assert world.states() == [("payments.create", "unknown"), ("payments.create", "performed")]

    asyncio.run(story())


def test_calls_in_runs_wait_for_their_turn_and_all_are_made_once(database: Database) -> None:
    world, caller = company(database), Busy(pause_seconds=0.02)
    add_workflow(
        world, WorkflowSpec("many", (TaskSpec("each", "pays", input="${item}", for_each="${input.payments}"),))
    )

    async def story() -> None:
        async with working(world, caller=caller) as aos:
            items = [{**PAY, "amount": f"{n}.00"} for n in range(1, 13)]
            run = await aos.ended(await aos.start("many", input={"payments": items}))
            assert run["state"] == "succeeded"
            assert len(caller.calls) == 12
            assert caller.most["payments.create"] == 2
            await aos.check_books()

    asyncio.run(story())


def test_a_call_that_finds_no_turn_in_time_gives_its_task_back_uncounted_and_is_made_later(database: Database) -> None:
    world, caller = company(database, at_most=1), Busy()

    async def story() -> None:
        async with working(world, caller=caller) as aos:
            aos.do.calls.turn_wait_seconds = 0.1
            held = asyncio.create_task(aos.do.gate.perform(world.act("finance", "payments.create", PAY)))
            await caller.holding(1)
            run_id = await aos.start(agent="pays", input=PAY)
            await aos.until(
                "select 1 from task where state = 'ready' and ready_at > created_at and started_at is not null"
            )
            (task,) = aos.rows("select state, claims, attempt, claimed_by from task where run_id = %s", run_id)
            assert task == {"state": "ready", "claims": 0, "attempt": 1, "claimed_by": None}
            caller.let_go.set()
            await held
            run = await aos.ended(run_id)
            assert (run["state"], run["output"]) == ("succeeded", "ok")
            assert len(caller.calls) == 2
            assert run_agents.entered[f"pays:{aos.rows('select id from task')[0]['id']}"] > 1

    asyncio.run(story())


def test_a_task_is_born_in_the_lane_of_its_limit_else_of_its_department(database: Database) -> None:
    limited = replace(agent("pays", "payments.create", concurrency=3), runtime=None)
    queued = replace(agent("echo", queue="gpu"), runtime=None)
    world = make_world(database, agents=[limited, queued, agent("free")], tools=[payments()])
    with psycopg.connect(database.owner) as owner:
        write_limit(owner, world.organization_id, "queue", name="gpu", at_most=4)
    tasks = [TaskSpec(name, name) for name in ("pays", "echo", "free")]
    add_workflow(world, WorkflowSpec("all", (*tasks, TaskSpec("fan", "echo", for_each="${input}"))))

    async def story() -> None:
        async with working(world, started=False) as aos:
            run_id = await aos.start("all", input=[1])
            limits = Limits(world.organization_id, {"gpu": 4})
            found = {label: (row["queue"], row["lane"]) for label, row in aos.tasks(run_id).items()}
            gpu = ("gpu", lane_of(queued, "gpu", limits))
            assert found == {
                "pays": ("default", lane_of(limited, "default", limits)),
                "echo": gpu,
                "fan": gpu,
                "free": ("default", UUID(int=0)),
            }

    asyncio.run(story())


def test_no_run_starts_while_more_tasks_are_open_than_may_be(database: Database) -> None:
    world = company(database)

    async def story() -> None:
        async with working(world, started=False) as aos:
            bounded = OpenTasks(aos.do.database, aos.do.drivers.ticker, tasks_max=2)
            aos.do.runs.starts.room = bounded
            first = await aos.start(agent="pays", input=PAY, idempotency_key="first")
            for _ in range(2):
                await aos.start(agent="pays", input=PAY)
            with pytest.raises(RateLimited, match="3 tasks are open") as refused:
                await aos.start(agent="pays", input=PAY)
            assert refused.value.extra == {"retry_after_seconds": 5}
            assert await aos.start(agent="pays", input=PAY, idempotency_key="first") == first
            assert len(aos.rows("select 1 from run")) == 3
            elsewhere = OpenTasks(aos.do.database, aos.do.drivers.ticker, tasks_max=2)
            with pytest.raises(RateLimited):
                await elsewhere.check_room(world.organization_id)
            await aos.do.runs.cancel_run(aos.person, first)
            await OpenTasks(aos.do.database, aos.do.drivers.ticker, tasks_max=2).check_room(world.organization_id)

    asyncio.run(story())
