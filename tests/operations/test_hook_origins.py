"""What a system outside says stays an outsider's word in the run that it starts, whatever the mapping makes of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from aos.kernel.agents import Runtime
from aos.kernel.hooks import Message, signature_of
from aos.kernel.policy.values import Outcome, Rule
from aos.operations.hook_calls import HookCalls, Taken
from tests.contract.test_hook_door import SECRET, add_hook
from tests.databases import Database
from tests.working import Working, working
from tests.worlds import IDS, World, agent, make_world, payments

PAYMENT = {"iban": "DE71500105175813421938", "amount": "12", "currency": "EUR"}
UNTRUSTED = Rule(
    "no-strangers-account", 1, Outcome.DENY, (), ("tool:payments.create",), "origin.iban == 'untrusted'", "a stranger's"
)


def company(database: Database) -> World:
    """Return an organization whose agent pays what it is told, and whose policy asks where the account came from."""
    pays = replace(agent("pays", "payments.create"), runtime=Runtime("python", "tests.run_agents:pays", inline=True))
    world = make_world(database, agents=[pays], tools=[payments(sinks=("iban",))], rules=[UNTRUSTED])
    world.rows(
        "insert into member (organization_id, id, person_id, roles) values (%s, %s, %s, '{operator}')",
        world.organization_id,
        IDS.new(),
        world.person_id,
    )
    return world


async def deliver(aos: Working, hook_id: UUID, body: bytes) -> UUID:
    """Deliver a signed message and return the run that it started."""
    timestamp = str(int(aos.running.facts.now().timestamp()))
    headers = {"webhook-id": "m1", "webhook-timestamp": timestamp, "content-type": "application/json"}
    headers["webhook-signature"] = signature_of("m1", timestamp, body, secret=SECRET)
    do = aos.do
    calls = HookCalls(do.database, do.facts, do.runs, do.drivers, signals=do.signals)
    received = await calls.receive(aos.world.organization_id, hook_id, Message(headers, body))
    assert received.taken is Taken.STARTED
    assert received.run_id is not None
    return received.run_id


@pytest.mark.parametrize(
    ("mapping", "body"),
    [
        ({}, b'{"iban": "DE71500105175813421938", "amount": "12", "currency": "EUR"}'),
        (
            {"input": {"iban": "${event.data.pay_to}", "amount": "12", "currency": "EUR"}},
            b'{"pay_to": "DE71 5001 0517 5813 4219 38"}',
        ),
    ],
)
def test_a_payment_to_an_account_that_a_message_named_is_refused(database: Database, mapping: Any, body: bytes) -> None:
    world = company(database)
    hook_id = add_hook(world, agent="pays", mapping=mapping)

    async def story() -> None:
        async with working(world) as aos:
            run = await aos.ended(await deliver(aos, hook_id, body))
            assert run["state"] == "failed"
            assert aos.running.caller.calls == []
            (act,) = aos.rows("select state, rules from action where kind = 'tool'")
            assert act["state"] == "refused"
            assert "no-strangers-account" in str(act["rules"])

    asyncio.run(story())


def test_the_same_account_from_the_person_who_starts_the_run_is_the_persons(database: Database) -> None:
    world = company(database)

    async def story() -> None:
        async with working(world) as aos:
            run = await aos.ended(await aos.start(agent="pays", input=PAYMENT))
            assert (run["state"], len(aos.running.caller.calls)) == ("succeeded", 1)

    asyncio.run(story())
