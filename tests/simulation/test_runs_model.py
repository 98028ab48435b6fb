"""Whatever workers do at once and in whatever order, every task ends once and nothing that is ready is lost."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from aos.store.sql_files import sql
from tests.databases import Database, Server, cloned
from tests.simulation.interleaving import Actor, Interleaver, Work, connect
from tests.simulation.run_world import Mutant, World

ACTORS = 4
ROUNDS = 14
SEEDS = 8
SEEDS_FOR_A_MUTANT = 40

QUICK = [
    Mutant("no fence at the end", "complete_tasks", "t.claim_token = m.claim_token", "t.state = 'running'"),
    Mutant("no locks before", "lock_tasks", leave_out=True),
]
MUTANTS = [
    Mutant("no fence at parking", "park_tasks", "t.claim_token = m.claim_token", "t.state = 'running'"),
    Mutant("no fence at giving back", "release_tasks", "t.claim_token = m.claim_token", "t.state = 'running'"),
    Mutant("no fence at spawning", "spawn_tasks", "= m.claim_token", "is not null"),
    Mutant("claims wait and take", "claim_tasks", "limit s.share for update of t skip locked", "limit s.share"),
    Mutant(
        "children counted whole", "park_tasks", "and s.state not in ('succeeded', 'failed', 'skipped', 'cancelled')"
    ),
    Mutant("spawn counts nothing", "spawn_tasks", "tasks_open = r.tasks_open + l.count, "),
    Mutant("pause before locks", "lock_run_tasks", leave_out=True),
    Mutant(
        "a join forgets its successes",
        "complete_tasks",
        "needs = case when t.needs > l.successes",
        "needs = case when t.needs > 0",
    ),
    Mutant(
        "stuck counts as ended",
        "complete_tasks",
        "where state in ('succeeded', 'failed', 'skipped')",
        "where state <> 'ready'",
    ),
    Mutant("expiry wakes nobody", "settle_approvals", "where t.state = 'waiting'", "where false"),
]


def draw(world: World) -> Work:
    """Draw what one worker does next."""
    chance = world.chance
    what = chance.random()
    if what < 0.22 or not world.held:
        return world.claim
    if what < 0.28:
        return world.lose_leases
    if what < 0.29:
        return world.renew
    if what < 0.33:
        return world.wake
    if what < 0.37:
        return world.set_paused(chance.random() < 0.5)
    if what < 0.47 and world.approvals:
        return world.answer(*world.approvals.pop(chance.randrange(len(world.approvals))))
    parents = [each for each in world.held if world.children.get(each.task_id)]
    if what < 0.58 and parents:
        world.held.remove(parents[0])
        return world.park(parents[0])
    (claim, *rest) = world.take(3)
    if claim.kind == "fan" and claim.task_id not in world.expanded:
        world.held += rest
        return world.expand(claim)
    if what < 0.70 and claim.kind == "agent":
        world.held += [claim, *rest]
        return world.spawn(claim)
    if what < 0.78 and claim.kind == "agent":
        world.held += rest
        return world.park(claim)
    if what < 0.85:
        return world.release([claim, *rest])
    return world.complete([claim, *rest])


async def play(world: World, *, machine: str, monitor: str, cancelled: bool) -> None:
    """Let several workers work in rounds, checking after each, then finish what is left."""
    connections = [await connect(machine) for _ in range(ACTORS)]
    watching = await connect(monitor)
    try:
        together = Interleaver(world.chance, [Actor(each) for each in connections], watching)
        for number in range(ROUNDS):
            works = [draw(world) for _ in range(ACTORS)]
            if cancelled and number == ROUNDS - 2:
                works[0] = world.cancel
            await together.make(works)
            world.check()
        await finish(world, together)
    finally:
        for each in (*connections, watching):
            await each.close()


async def finish(world: World, together: Interleaver) -> None:
    """Work in order until nothing is left; what is ready must be claimed, what waits must be woken."""
    await together.make([world.set_paused(False)])
    for _ in range(200):
        if world.state_of_run()["tasks_open"] == 0:
            world.check()
            return
        while world.approvals:
            await together.make([world.answer(*world.approvals.pop())])
        await together.make([world.lose_leases])
        await together.make([world.wake])
        await together.make([world.claim])
        fans = [each for each in world.held if each.kind == "fan" and each.task_id not in world.expanded]
        for fan in fans:
            world.held.remove(fan)
            await together.make([world.expand(fan)])
        if world.held:
            held, world.held = world.held, []
            await together.make([world.complete(held, states=("succeeded",))])
    raise AssertionError("tasks are left that nobody can claim: a wake-up was lost")


def play_seed(server: Server, seed: int, *, mutant: Mutant | None = None) -> None:
    """Play one seed on a database of its own."""
    with own(server) as database:
        world = World(database.owner, random.Random(seed), mutant)
        world.begin(world.chance.randint(3, 8), fans=world.chance.randint(0, 2))
        asyncio.run(play(world, machine=database.machine, monitor=server.superuser, cancelled=seed % 4 == 3))


@contextmanager
def own(server: Server) -> Iterator[Database]:
    """Yield a database whose server breaks deadlocks at once."""
    with psycopg.connect(server.superuser, autocommit=True) as connection:
        connection.execute(f"alter role {server.roles.machine} set deadlock_timeout = '20ms'")
    yield from cloned(server)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_every_task_ends_once_and_no_wake_up_is_lost(postgres_server: Server, seed: int) -> None:
    play_seed(postgres_server, seed)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1_000, 1_200))
def test_many_interleavings(postgres_server: Server, seed: int) -> None:
    play_seed(postgres_server, seed)


def is_noticed(server: Server, mutant: Mutant) -> bool:
    """Say whether some seed notices a broken statement."""
    assert mutant.leave_out or mutant.find in sql(mutant.statement), "the mutant finds nothing to break"
    for seed in range(SEEDS_FOR_A_MUTANT):
        try:
            play_seed(server, seed, mutant=mutant)
        except (AssertionError, psycopg.errors.IntegrityError):
            return True
    return False


@pytest.mark.parametrize("mutant", QUICK, ids=[mutant.name for mutant in QUICK])
def test_the_model_notices_a_broken_statement(postgres_server: Server, mutant: Mutant) -> None:
    assert is_noticed(postgres_server, mutant)


@pytest.mark.long
@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def test_the_model_notices_each_broken_statement(postgres_server: Server, mutant: Mutant) -> None:
    assert is_noticed(postgres_server, mutant)
