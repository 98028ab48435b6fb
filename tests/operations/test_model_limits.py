"""How many calls of a model are under way at once: they wait their turn for a while, and are then told to ask again."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest

from aos.kernel.acts import Act, ActKind, ModelAsk, Permit
from aos.kernel.dialects.values import Dialect
from aos.kernel.errors import RateLimited
from aos.kernel.models.values import Model, Price, Provider
from aos.kernel.money import Money
from aos.kernel.ports import Line, ToolOutcome
from tests.databases import Database
from tests.worlds import IDS, Running, World, agent, make_world

NOTHING = Money(0, "EUR")
DONE = ToolOutcome(ok=True, value={}, lines=(Line("", "calls", 1, NOTHING),))


def model(name: str, **more: Any) -> Model:
    """Return a model that nobody is going to ask; its answers cost 0.01 EUR at most."""
    prices = (Price("EUR", 0, 1_000_000_000),)
    usual: dict[str, Any] = {"prices": prices, "output_tokens_max": 10_000, "dialects": (Dialect.CHAT,)}
    return Model(IDS.new(), name, 1, Provider.COMPATIBLE, name, "http://127.0.0.1:1/v1", **{**usual, **more})


def company(database: Database, *, at_most: int | None = 3, **more: Any) -> World:
    """Return a company with a limited model and a free one."""
    models = [model("gpt", concurrency=at_most), model("spare")]
    return make_world(database, agents=[agent("asker", models=("gpt", "spare"))], models=models, **more)


def ask(world: World, *names: str, **more: Any) -> Act:
    """Return a call of the first of these models, which the others may answer in its place."""
    wanted = names or ("gpt",)
    asked = ModelAsk(wanted, asked=wanted[0], input_tokens_max=10, **more)
    return Act(world.principal("asker"), ActKind.MODEL, wanted[0], {}, model=asked)


@dataclass
class Calls:
    """Calls under way, and the most that there were at once."""

    now: Counter[str] = field(default_factory=Counter)
    most: Counter[str] = field(default_factory=Counter)

    async def make(self, aos: Running, act: Act, *, pause_seconds: float = 0.005) -> None:
        """Make one call that takes a moment."""
        permit = await aos.gate.admit(act)
        assert isinstance(permit, Permit)
        self.now[act.name] += 1
        self.most[act.name] = max(self.most[act.name], self.now[act.name])
        await asyncio.sleep(pause_seconds)
        self.now[act.name] -= 1
        await aos.gate.conclude(permit, DONE)


async def permitted(aos: Running, act: Act) -> Permit:
    """Return the permit of an act that gets one at once."""
    permit = await aos.gate.admit(act)
    assert isinstance(permit, Permit)
    return permit


async def counted(world: World, count: int) -> None:
    """Return once so many acts are under way."""
    async with asyncio.timeout(20):
        while world.rows("select count(*) from action where state = 'intended'") != [(count,)]:
            await asyncio.sleep(0.005)


def changed(world: World, statement: str) -> None:
    """Change a limit and raise the epoch, as the registry does."""
    world.rows(statement)
    world.rows("update organization set epoch = epoch + 1")


def test_64_callers_in_two_processes_never_pass_a_models_limit_and_all_get_their_turn(database: Database) -> None:
    world, calls = company(database), Calls()

    async def story() -> None:
        async with world.running() as one, world.running() as two:
            every = [calls.make(aos, ask(world)) for aos in (one, two) for _ in range(32)]
            every += [calls.make(one, ask(world, "spare")) for _ in range(8)]
            await asyncio.gather(*every)

    asyncio.run(story())
    assert calls.most["gpt"] == 3
    assert calls.most["spare"] > 3
    assert Counter(world.states()) == {("gpt", "performed"): 64, ("spare", "performed"): 8}


def test_who_gets_no_turn_for_a_while_is_told_when_to_ask_again_and_leaves_no_trace(database: Database) -> None:
    world = company(database, at_most=1, budgets=[("company", "organization", Money(1_000_000_000, "EUR"))])

    async def story() -> None:
        async with world.running() as aos:
            aos.gate._rooms.turn_wait_seconds = 0.1
            permit = await permitted(aos, ask(world))
            held = world.rows("select held_nanos from budget_account")
            with pytest.raises(RateLimited, match=r"1 call is under way of `gpt`") as refused:
                await aos.gate.admit(ask(world))
            assert refused.value.extra == {"retry_after_seconds": 1}
            assert world.rows("select count(*) from action") == [(1,)]
            assert world.rows("select held_nanos from budget_account") == held
            await aos.gate.conclude(permit, DONE)
            await aos.gate.conclude(await permitted(aos, ask(world)), DONE)

    asyncio.run(story())


@pytest.mark.parametrize(
    "statement",
    ["update concurrency_limit set at_most = 2 where kind = 'model'", "delete from concurrency_limit"],
    ids=["raised", "removed"],
)
def test_a_limit_that_is_raised_or_removed_frees_those_who_wait(database: Database, statement: str) -> None:
    world = company(database, at_most=1)

    async def story() -> None:
        async with world.running() as aos:
            first = await permitted(aos, ask(world))
            waiting = asyncio.create_task(permitted(aos, ask(world)))
            await asyncio.sleep(0)
            while not aos.gate._rooms._lines:
                await asyncio.sleep(0.005)
            await asyncio.to_thread(changed, world, statement)  # which waits for who counts just now
            async with asyncio.timeout(5):
                second = await waiting
            for permit in (first, second):
                await aos.gate.conclude(permit, DONE)
            assert world.states() == [("gpt", "performed"), ("gpt", "performed")]

    asyncio.run(story())


def test_a_call_counts_under_its_first_model_whoever_may_answer_it(database: Database) -> None:
    world = company(database, at_most=1)

    async def story() -> None:
        async with world.running() as aos:
            aos.gate._rooms.turn_wait_seconds = 0.05
            await permitted(aos, ask(world, "gpt", "spare"))
            await permitted(aos, ask(world, "spare", "gpt"))
            with pytest.raises(RateLimited):
                await aos.gate.admit(ask(world, "gpt", "spare"))
            await permitted(aos, ask(world, "spare", "gpt"))
            await permitted(aos, ask(world, free=True))

    asyncio.run(story())


def test_who_waits_for_a_turn_keeps_nobody_from_the_budget_that_both_need(database: Database) -> None:
    # Each call may cost 0.01; there is room for two at once.
    world = company(database, at_most=1, budgets=[("company", "organization", Money(25_000_000, "EUR"))])

    async def story() -> None:
        async with world.running() as aos:
            sized = {"output_limit": 10_000}
            limited = await permitted(aos, ask(world, **sized))
            free = await permitted(aos, ask(world, "spare", **sized))
            for_turn = asyncio.create_task(permitted(aos, ask(world, **sized)))
            while not aos.gate._rooms._lines:
                await asyncio.sleep(0.005)
            for_room = asyncio.create_task(permitted(aos, ask(world, "spare", **sized)))
            while len(aos.gate._rooms._lines) < 2:
                await asyncio.sleep(0.005)
            await aos.gate.conclude(free, DONE)
            async with asyncio.timeout(5):
                free = await for_room
            assert not for_turn.done()
            await aos.gate.conclude(limited, DONE)
            async with asyncio.timeout(5):
                limited = await for_turn
            for permit in (free, limited):
                await aos.gate.conclude(permit, DONE)
            assert world.rows("select held_nanos from budget_account") == [(0,)]

    asyncio.run(story())
