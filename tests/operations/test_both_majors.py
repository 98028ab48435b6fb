"""The hot statements on Postgres 15 and on the newest: an act, an escalation, a whole run, the log."""

from __future__ import annotations

import asyncio

from aos.kernel.acts import ActionState, Pending
from aos.kernel.policy.values import Outcome, Rule
from aos.kernel.workflow.spec import TaskSpec, WorkflowSpec
from aos.operations.integrate import integrate_all
from tests.databases import Database
from tests.operations.test_runs_worker import company
from tests.working import working
from tests.worlds import agent, make_world, payments

PAY = {"iban": "DE89370400440532013000", "amount": "12.50", "currency": "EUR"}
LARGE = Rule("large", 1, Outcome.ESCALATE, (), ("tool:payments.create",), "args.amount > 1000")


def test_an_act_and_an_escalation_are_recorded_and_integrated(any_database: Database) -> None:
    world = make_world(any_database, agents=[agent("finance", "payments.create")], tools=[payments()], rules=[LARGE])

    async def story() -> None:
        async with world.running() as aos:
            done = await aos.gate.perform(world.act("finance", "payments.create", {**PAY}))
            asked = await aos.gate.perform(world.act("finance", "payments.create", {**PAY, "amount": "5000"}))
            assert getattr(done, "state", None) is ActionState.PERFORMED
            assert isinstance(asked, Pending)
            assert await integrate_all(aos.database, aos.facts, aos.drivers) == 3

    asyncio.run(story())


def test_a_workflow_with_a_fan_runs_to_its_end(any_database: Database) -> None:
    flow = WorkflowSpec("flow", (TaskSpec("each", "double", input={"n": "${item}"}, for_each="${input.items}"),))

    async def story() -> None:
        async with working(company(any_database, workflows=(flow,))) as aos:
            run = await aos.ended(await aos.start("flow", input={"items": [1, 2]}))
            assert (run["state"], run["output"]) == ("succeeded", [{"n": 2}, {"n": 4}])
            await aos.check_books()

    asyncio.run(story())
