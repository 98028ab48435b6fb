"""One act through both halves of the gate, on a real Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from aos.kernel.acts import ActionState, Pending, Recorded, Refused
from aos.kernel.errors import IdempotencyMismatch
from aos.kernel.json import Json
from aos.kernel.money import Money
from aos.kernel.policy.values import Outcome, Rule
from aos.kernel.ports import ToolOutcome
from aos.operations.integrate import integrate_all
from tests.databases import Database
from tests.worlds import Caller, World, agent, make_world, payments, tool

PAY: dict[str, Json] = {"iban": "DE89370400440532013000", "amount": "12.50", "currency": "EUR"}
LARGE = Rule(
    "large-payments",
    1,
    Outcome.ESCALATE,
    ("finance",),
    ("tool:payments.create",),
    "args.amount > 1000",
    "payment of {args.amount} {args.currency} is over the limit",
)
NEVER_USD = Rule("no-dollars", 1, Outcome.DENY, (), ("tool:payments.create",), 'args.currency == "USD"', "no dollars")


@pytest.fixture
def world(database: Database) -> World:
    return make_world(
        database,
        agents=[agent("finance", "payments.create", "erp.*"), agent("guest")],
        tools=[payments(), tool("erp.read")],
        rules=[LARGE, NEVER_USD],
        budgets=[("company", "organization", Money(5_000_000, "EUR"))],
    )


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Run one coroutine."""
    return asyncio.run(work)


def test_an_allowed_act_is_performed_recorded_charged_and_answered(world: World) -> None:
    async def go() -> Any:
        async with world.running() as aos:
            done = await aos.gate.perform(world.act("finance", "payments.create", PAY))
            await integrate_all(aos.database, aos.facts, aos.drivers)
            return done, aos.caller.calls

    done, calls = run(go())
    assert done.state is ActionState.PERFORMED
    assert done.value == "ok"
    assert [name for name, *_ in calls] == ["payments.create"]
    assert world.states() == [("payments.create", "performed")]
    kinds = [kind for (kind,) in world.rows("select kind from record order by id")]
    assert kinds == ["act.intended", "act.performed"]
    assert world.rows("select size from ledger_head") == [(2,)]
    assert world.rows("select held_nanos, settled_nanos from budget_account") == [(0, 2_000_000)]
    assert world.rows("select kind, cost_nanos, currency from usage_event") == [("tool_call", 2_000_000, "EUR")]


@pytest.mark.parametrize(
    ("name", "tool_name", "arguments", "error", "rule"),
    [
        ("guest", "payments.create", PAY, "denied", "no rule allows"),
        ("finance", "payments.create", {**PAY, "currency": "USD"}, "denied", "no dollars"),
        ("finance", "payments.unknown", {}, "denied", "there is no tool"),
        ("finance", "payments.create", {**PAY, "amount": "-5.00"}, "invalid-request", "/amount"),
        ("finance", "payments.create", {**PAY, "colour": "red"}, "invalid-request", "/colour"),
        ("finance", "payments.create", {**PAY, "amount": 5}, "invalid-request", "/amount"),
        ("finance", "payments.create", {"iban": PAY["iban"], "amount": "5.00"}, "invalid-request", "currency"),
        ("finance", "payments.create", {**PAY, "currency": "USD", "amount": 5}, "denied", "no dollars"),
        ("guest", "payments.create", {"amount": 5}, "denied", ""),
    ],
)
def test_what_no_rule_allows_is_refused_recorded_and_never_called(
    world: World, name: str, tool_name: str, arguments: Any, error: str, rule: str
) -> None:
    async def go() -> Any:
        async with world.running() as aos:
            return await aos.gate.perform(world.act(name, tool_name, arguments)), aos.caller.calls

    done, calls = run(go())
    assert isinstance(done, Refused)
    assert done.error == error
    assert rule in done.detail
    assert calls == []
    assert world.states() == [(tool_name, "refused")]
    assert world.rows("select kind from record") == [("act.refused",)]


def test_an_escalated_act_waits_and_is_done_once_after_the_yes(world: World) -> None:
    large = {**PAY, "amount": "5000.00"}

    async def ask() -> Any:
        async with world.running() as aos:
            return await aos.gate.perform(world.act("finance", "payments.create", large, idempotency_key="k1"))

    async def repeat() -> Any:
        async with world.running() as aos:
            act = world.act("finance", "payments.create", large, idempotency_key="k1")
            again = await asyncio.gather(*(aos.gate.perform(act) for _ in range(5)), return_exceptions=True)
            return again, aos.caller.calls

    first = run(ask())
    assert isinstance(first, Pending)
    assert world.states() == [("payments.create", "waiting")]
    second = run(ask())
    assert second.approval_id == first.approval_id
    world.rows("update approval set status = 'approved' where id = %s", first.approval_id)
    answers, calls = run(repeat())
    assert len(calls) == 1
    performed = [each for each in answers if isinstance(each, Recorded)]
    assert performed
    assert all(each.state is ActionState.PERFORMED for each in performed)
    assert world.rows("select status from approval") == [("used",)]
    assert world.states() == [("payments.create", "performed")]


def test_a_new_key_is_a_new_act_with_an_approval_of_its_own(world: World) -> None:
    large = {**PAY, "amount": "5000.00"}

    async def go() -> Any:
        async with world.running() as aos:
            return [
                await aos.gate.perform(world.act("finance", "payments.create", large, idempotency_key=key))
                for key in ("k1", "k2")
            ]

    first, second = run(go())
    assert first.approval_id != second.approval_id


def test_the_same_key_with_another_act_is_refused(world: World) -> None:
    async def go() -> None:
        async with world.running() as aos:
            await aos.gate.perform(world.act("finance", "payments.create", PAY, idempotency_key="k"))
            other = world.act("finance", "payments.create", {**PAY, "amount": "13.00"}, idempotency_key="k")
            with pytest.raises(IdempotencyMismatch):
                await aos.gate.perform(other)

    run(go())


def test_the_same_key_returns_the_recorded_outcome(world: World) -> None:
    async def go() -> Any:
        async with world.running() as aos:
            act = world.act("finance", "payments.create", PAY, idempotency_key="k")
            return await aos.gate.perform(act), await aos.gate.perform(act), aos.caller.calls

    first, second, calls = run(go())
    assert len(calls) == 1
    assert (second.action_id, second.value, second.replayed) == (first.action_id, "ok", True)


def test_a_budget_is_exact_whoever_asks_at_once(world: World) -> None:
    async def go() -> Any:
        async with world.running() as one, world.running() as two:
            acts = [world.act("finance", "payments.create", PAY) for _ in range(10)]
            return await asyncio.gather(*(gate.perform(act) for act in acts for gate in (one.gate, two.gate)))

    answers = run(go())
    refused = [each for each in answers if isinstance(each, Refused)]
    assert len(answers) - len(refused) == 2
    assert {each.error for each in refused} == {"budget-spent"}
    assert world.rows("select held_nanos, settled_nanos from budget_account") == [(0, 4_000_000)]


def test_a_revocation_counts_for_every_act_after_it(world: World) -> None:
    async def go() -> Any:
        async with world.running() as aos:
            before = await aos.gate.perform(world.act("finance", "payments.create", PAY))
            world.rows("update agent set status = 'paused' where name = 'finance'")
            world.rows("update organization set epoch = epoch + 1")
            return before, await aos.gate.perform(world.act("finance", "payments.create", PAY))

    before, after = run(go())
    assert isinstance(before, Recorded)
    assert isinstance(after, Refused)
    assert "paused" in after.detail


def test_an_outcome_that_cannot_be_told_is_unknown_and_stays_charged(world: World) -> None:
    async def go() -> Any:
        lost = Caller(lambda tool, arguments: ToolOutcome(ok=False, error="connection lost", unknown=True))
        async with world.running(lost) as aos:
            return await aos.gate.perform(world.act("finance", "payments.create", PAY))

    assert run(go()).state is ActionState.UNKNOWN
    assert world.rows("select settled_nanos from budget_account") == [(2_000_000,)]
    assert world.rows("select estimated from usage_event") == [(True,)]


def test_an_act_is_concluded_even_when_its_caller_stops_waiting(world: World) -> None:
    async def go() -> None:
        caller = Caller(hold=asyncio.Event())
        async with world.running(caller) as aos:
            asked = asyncio.create_task(aos.gate.perform(world.act("finance", "payments.create", PAY)))
            while not caller.calls:
                await asyncio.sleep(0)
            asked.cancel()
            assert caller.hold is not None
            caller.hold.set()

    run(go())
    assert world.states() == [("payments.create", "performed")]
