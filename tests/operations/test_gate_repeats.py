"""A call that was cut off is made again by itself where that cannot do anything twice, and nowhere else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from aos.kernel.acts import ActionState, Permit
from aos.kernel.json import Json
from aos.kernel.limits import REPEATS_MAX
from aos.kernel.ports import ToolOutcome
from aos.kernel.tools import Repeat
from aos.operations.abandon import Abandonment
from tests.databases import Database
from tests.worlds import Caller, World, agent, make_world, payments

PAY: dict[str, Json] = {"iban": "DE89370400440532013000", "amount": "12.50", "currency": "EUR"}
CUT_OFF = ToolOutcome(ok=False, error="the tool's process ended", unknown=True)


def perform(database: Database, *, repeat: Repeat, cut_off: int, key: str | None) -> tuple[Any, Caller, World]:
    """Perform a payment whose tool is cut off so many times; return what came of it and what was called."""
    world = make_world(database, agents=[agent("finance", "payments.create")], tools=[payments(repeat=repeat)])
    left = [CUT_OFF] * cut_off
    caller = Caller(lambda tool, arguments: left.pop() if left else ToolOutcome(ok=True, value="paid"))

    async def go() -> Any:
        async with world.running(caller) as aos:
            return await aos.gate.perform(world.act("finance", "payments.create", PAY, idempotency_key=key))

    return asyncio.run(go()), caller, world


@pytest.mark.parametrize(("repeat", "key"), [(Repeat.KEYED, "k-1"), (Repeat.SAFE, "k-1"), (Repeat.SAFE, None)])
def test_a_call_that_was_cut_off_is_made_again_where_its_tool_allows_it(
    database: Database, repeat: Repeat, key: str | None
) -> None:
    done, caller, world = perform(database, repeat=repeat, cut_off=1, key=key)
    assert (done.state, done.value) == (ActionState.PERFORMED, "paid")
    assert len(caller.calls) == 2
    assert sorted(state for _, state in world.states()) == ["performed", "unknown"]
    if key is not None:
        assert len({asked_under for _, _, asked_under in caller.calls}) == 1


@pytest.mark.parametrize(("repeat", "key"), [(Repeat.NEVER, "k-1"), (Repeat.NEVER, None), (Repeat.KEYED, None)])
def test_a_call_that_might_do_something_twice_is_never_made_again(
    database: Database, repeat: Repeat, key: str | None
) -> None:
    done, caller, world = perform(database, repeat=repeat, cut_off=1, key=key)
    assert done.state is ActionState.UNKNOWN
    assert len(caller.calls) == 1
    assert world.states() == [("payments.create", "unknown")]


def test_a_call_that_is_cut_off_each_time_is_given_up_and_said_to_be_unknown(database: Database) -> None:
    done, caller, _ = perform(database, repeat=Repeat.KEYED, cut_off=100, key="k-1")
    assert done.state is ActionState.UNKNOWN
    assert len(caller.calls) == 1 + REPEATS_MAX
    assert len({asked_under for _, _, asked_under in caller.calls}) == 1


@pytest.mark.parametrize("late", [ToolOutcome(ok=True, value="paid"), ToolOutcome(ok=False, error="no such account")])
@pytest.mark.parametrize("key", [None, "k-1"])
def test_an_outcome_that_comes_after_the_sweep_is_answered_as_the_ledger_has_it(
    database: Database, key: str | None, late: ToolOutcome
) -> None:
    world = make_world(database, agents=[agent("finance", "payments.create")], tools=[payments(repeat=Repeat.NEVER)])

    async def go() -> list[Any]:
        caller = Caller(lambda tool, arguments: late, hold=asyncio.Event())
        async with world.running(caller) as aos:
            act = world.act("finance", "payments.create", PAY, idempotency_key=key)
            performing = asyncio.create_task(aos.gate.perform(act))
            while not caller.calls:
                await asyncio.sleep(0)
            world.rows("update action set deadline = aos_now() - interval '1 second'")
            assert await Abandonment(aos.database, aos.facts, aos.drivers).overdue() == 1
            assert caller.hold is not None
            caller.hold.set()
            again = [act] if key is not None else []
            return [await performing, *[await aos.gate.perform(each) for each in again]]

    for answer in asyncio.run(go()):
        assert (answer.state, answer.error, answer.value) == (ActionState.UNKNOWN, "outcome-unknown", None)
        assert "not known" in answer.detail
    assert world.states() == [("payments.create", "unknown")]
    kinds = [kind for (kind,) in world.rows("select kind from record order by id")]
    assert kinds == ["act.intended", "act.unknown"]


def test_a_second_conclusion_is_answered_with_the_first(database: Database) -> None:
    world = make_world(database, agents=[agent("finance", "payments.create")], tools=[payments()])

    async def go() -> list[Any]:
        async with world.running() as aos:
            permit = await aos.gate.admit(world.act("finance", "payments.create", PAY))
            assert isinstance(permit, Permit)
            outcomes = [ToolOutcome(ok=True, value="first"), ToolOutcome(ok=False, error="second")]
            return [await aos.gate.conclude(permit, each) for each in outcomes]

    assert [(each.state, each.value) for each in asyncio.run(go())] == [(ActionState.PERFORMED, "first")] * 2
