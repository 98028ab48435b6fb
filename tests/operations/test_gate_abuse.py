"""What callers may try at the gate: an approval of somebody else, one call twice at once, facts that look each other up."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from aos.kernel.acts import Act, ActKind, Pending, Recorded
from aos.kernel.errors import AosError, NotFound
from aos.kernel.identity import ChainLink, Principal, PrincipalKind
from aos.kernel.json import Json
from aos.kernel.policy.values import Outcome, Rule
from aos.kernel.tools import FactLookup
from tests.databases import Database
from tests.planes import Plane
from tests.run_worlds import make_company
from tests.worlds import IDS, World, agent, make_world, payments, tool

LARGE: dict[str, Json] = {"iban": "DE89370400440532013000", "amount": "5000.00", "currency": "EUR"}
ASK = Rule("ask", 1, Outcome.ESCALATE, (), ("tool:payments.create",), "", "ask")


def approve_all(world: World) -> None:
    world.rows("update approval set status = 'approved' where status = 'pending'")


def test_an_approval_serves_the_actor_it_was_given_to_and_nobody_above_it(database: Database) -> None:
    world = make_world(database, agents=[agent("finance", "payments.create")], tools=[payments()], rules=[ASK])
    owner = Principal(
        world.organization_id,
        (ChainLink(PrincipalKind.PERSON, world.person_id, "maria@larkspur.example"),),
        roles=("admin",),
    )

    async def go() -> None:
        async with world.running() as aos:
            asked = await aos.gate.perform(world.act("finance", "payments.create", LARGE))
            assert isinstance(asked, Pending)
            approve_all(world)
            act = Act(owner, ActKind.TOOL, "payments.create", LARGE, approval_id=asked.approval_id)
            with pytest.raises(NotFound):
                await aos.gate.perform(act)
            assert aos.caller.calls == []

    asyncio.run(go())


def test_an_act_that_is_asked_again_under_a_changed_rule_waits_for_one_person_only(database: Database) -> None:
    world = make_world(database, agents=[agent("finance", "payments.create")], tools=[payments()], rules=[ASK])

    async def go() -> list[Any]:
        async with world.running() as aos:
            act = world.act("finance", "payments.create", LARGE, idempotency_key="k")
            first = await aos.gate.perform(act)
            approve_all(world)
            world.rows("update policy set version = 2")
            world.rows("update policy_version set version = 2")
            world.rows("update organization set epoch = epoch + 1")
            await aos.facts.refresh()
            again = [await aos.gate.perform(act) for _ in range(4)]
            approve_all(world)
            return [first, *again, await aos.gate.perform(act)]

    answers = asyncio.run(go())
    assert len({each.approval_id for each in answers[1:5]}) == 1
    assert isinstance(answers[5], Recorded)
    assert world.rows("select count(*) from approval where status = 'approved'") == [(0,)]


def test_a_tool_that_looks_itself_up_ends(database: Database) -> None:
    lookup = FactLookup("vendor", "erp.read", (("id", "id"),))
    schema: Json = {"type": "object", "properties": {"id": {"type": "string"}}}
    again = replace(lookup, name="other")
    world = make_world(
        database, agents=[agent("finance", "erp.*")], tools=[tool("erp.read", schema=schema, lookups=(lookup, again))]
    )

    async def go() -> Any:
        async with world.running() as aos:
            return await asyncio.wait_for(aos.gate.perform(world.act("finance", "erp.read", {"id": "V-1"})), 30)

    assert isinstance(asyncio.run(go()), Recorded)
    assert len(world.states()) == 3


def test_one_call_of_a_task_that_is_sent_twice_at_once_is_made_once(plane: Plane) -> None:
    company = make_company(plane, agents=[agent("finance", "payments.create")], tools=[payments()])
    run = company.start("month-end", "pay", agent="finance")
    act = company.act_in(run, "pay", "finance", tool="payments.create", arguments=LARGE, key="k")

    async def go() -> list[Any]:
        async with company.world.running(company.caller) as one, company.world.running(company.caller) as two:
            acts = [gate.perform(act) for gate in (one.gate, two.gate) for _ in range(3)]
            return await asyncio.gather(*acts, return_exceptions=True)

    answers = asyncio.run(go())
    assert len(company.caller.calls) == 1
    assert all(isinstance(each, Recorded | AosError) for each in answers)
    assert company.world.rows("select count(*) from action") == [(1,)]


def test_tokens_of_organizations_that_are_none_leave_nothing_in_memory(database: Database) -> None:
    world = make_world(database)

    async def go() -> int:
        async with world.running() as aos:
            for _ in range(50):
                with pytest.raises(NotFound):
                    await aos.facts.of(IDS.new())
            return len(aos.facts._loading)

    assert asyncio.run(go()) == 0
