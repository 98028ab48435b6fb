"""Whoever sends and whoever waits, in whatever order: no signal is lost, none is taken twice, nobody sleeps past one."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import dict_row

from aos.operations.passes import signal_source
from aos.store.rows import hex_bytes, rows_json
from aos.store.sql_files import sql
from aos.store.task_rows import NameRow, ParkRow, SignalRow, TakeRow, WaitRow
from tests.databases import Database, Server
from tests.simulation.interleaving import Actor, Interleaver, Work, connect
from tests.simulation.run_world import IDS, Mutant, World
from tests.simulation.test_runs_model import own

NAME = "go"
SEEDS = 12
SEEDS_FOR_A_MUTANT = 60
MUTANTS = [
    Mutant("names are not locked", "lock_signals", leave_out=True),
    Mutant("those who wait are not told", "send_signal", "t.state = 'waiting'", "false"),
    Mutant("taken or not", "take_signal", "where s.taken_by is null and", "where"),
    Mutant("no fence", "take_signal", "t.claim_token = m.claim_token", "t.claim_token is distinct from m.key::uuid"),
]


@dataclass
class Listeners:
    """The tasks of a run that wait for one name, each under its claim, and what each has taken."""

    world: World
    claims: dict[UUID, UUID] = field(default_factory=dict)
    took: dict[UUID, list[UUID]] = field(default_factory=dict)
    sent: int = 0

    def begin(self, tasks: int) -> None:
        """Make a run whose tasks are all at work."""
        self.world.begin(tasks, fans=0)
        with psycopg.connect(self.world.dsn, autocommit=True) as owner:
            owner.execute("delete from edge")
            rows = owner.execute(
                "update task set state = 'running', blockers = 0, claim_token = gen_random_uuid(),"
                " lease_until = aos_now() + '1 h' returning id, claim_token"
            )
            self.claims = dict(rows.fetchall())

    def names(self) -> str:
        return rows_json([NameRow(run_id=self.world.run_id, name=NAME)])

    def send(self) -> Work:
        """Send one signal."""
        world = self.world
        self.sent += 1
        source = signal_source(world.run_id, NAME)
        row = SignalRow(
            organization_id=world.organization_id,
            epoch=1,
            id=IDS.new(),
            run_id=world.run_id,
            name=NAME,
            sender=[],
            content_id=IDS.new(),
            source_id=source,
            action_id=IDS.new(),
            outcome="allow",
            rules=[],
            chain=[],
            digest=hex_bytes(b"d"),
            outcome_content_id=IDS.new(),
        )

        async def work(actor: Actor) -> None:
            await world.run(actor, "lock_signals", {"signals": self.names()})
            where = {"organization_id": world.organization_id, "source_id": source}
            await world.run(actor, "lock_targets", where)
            empty = dict.fromkeys(("origins", "contents", "records"), "[]")
            params = {"members": rows_json([row]), "origin_tokens_max": 9, "open_max": 1_000, **empty}
            assert await world.run(actor, "send_signal", params)

        return work

    def take(self, task_id: UUID, token: UUID, number: int) -> Work:
        """Ask for the next signal of a task's, as one pass of it does."""
        world = self.world
        row = TakeRow(
            organization_id=world.organization_id,
            task_id=task_id,
            claim_token=token,
            run_id=world.run_id,
            key=str(UUID(int=number)),
            attempt=1,
            tries=0,
            name=NAME,
        )

        async def work(actor: Actor) -> None:
            await world.run(actor, "lock_signals", {"signals": self.names()})
            await world.run(actor, "lock_tasks", {"tasks": world.keys(task_id)})
            if await world.run(actor, "take_signal", {"members": rows_json([row]), "contents": "[]"}):
                (held,) = await actor.run("select claim_token from task where id = %(id)s", {"id": task_id})
                assert held["claim_token"] == token, "a stale claim took a signal"

        return work

    def park(self, task_id: UUID, token: UUID) -> Work:
        """Park a task that found none."""
        world = self.world
        row = ParkRow(
            n=0, organization_id=world.organization_id, task_id=task_id, claim_token=token, waits_for="signal"
        )
        wait = WaitRow(n=0, source_id=signal_source(world.run_id, NAME), kind="signal", name=NAME)

        async def work(actor: Actor) -> None:
            await world.run(actor, "lock_signals", {"signals": self.names()})
            await world.run(actor, "lock_tasks", {"tasks": world.keys(task_id)})
            await world.run(actor, "park_tasks", {"members": rows_json([row]), "waits": rows_json([wait])})

        return work

    def rows(self, query: str) -> list[dict[str, Any]]:
        with psycopg.connect(self.world.dsn, autocommit=True, row_factory=dict_row) as owner:
            return owner.execute(query.encode()).fetchall()

    def draw(self) -> Work:
        """Draw what happens next: a signal, or one more step of a task that is at work."""
        chance = self.world.chance
        waiting = {row["task_id"] for row in self.rows("select task_id from call where state = 'waiting'")}
        at_work = [(task, token) for task, token in self.claims.items() if token is not None]
        if not at_work or chance.random() < 0.35:
            return self.send()
        task_id, token = chance.choice(at_work)
        if task_id in waiting and chance.random() < 0.6:
            return self.park(task_id, token)
        return self.take(task_id, token, len(self.took.get(task_id, [])))

    def settle(self) -> None:
        """Look at every row, then claim what is ready again."""
        signals = self.rows("select id, taken_by from signal order by id")
        performed = self.rows("select task_id, outcome_content_id from call where state = 'performed'")
        assert len(performed) == sum(row["taken_by"] is not None for row in signals), "calls and taken signals differ"
        assert len({row["outcome_content_id"] for row in performed}) == len(performed), "a signal was taken twice"
        open_signals = [row for row in signals if row["taken_by"] is None]
        asleep = self.rows("select id from task where state = 'waiting'")
        assert not (open_signals and asleep), "a task waits for a signal that is there"
        with psycopg.connect(self.world.dsn, autocommit=True) as owner:
            fresh = owner.execute(
                "update task set state = 'running', claim_token = gen_random_uuid() where state = 'ready'"
                " returning id, claim_token"
            ).fetchall()
        for row in asleep:
            self.claims.pop(row["id"], None)
        self.claims.update(dict(fresh))
        self.took = {task_id: [] for task_id in self.claims}
        for row in performed:
            self.took.setdefault(row["task_id"], []).append(row["outcome_content_id"])


async def play(listeners: Listeners, *, machine: str, monitor: str) -> None:
    """Let signals and listeners meet in rounds, then send until nobody sleeps."""
    connections = [await connect(machine) for _ in range(3)]
    watching = await connect(monitor)
    try:
        together = Interleaver(listeners.world.chance, [Actor(each) for each in connections], watching)
        for _ in range(12):
            await together.make([listeners.draw() for _ in range(3)])
            listeners.settle()
        assert len(listeners.rows("select id from signal")) == listeners.sent, "a signal was lost"
    finally:
        for each in (*connections, watching):
            await each.close()


def play_seed(server: Server, seed: int, *, mutant: Mutant | None = None) -> None:
    """Play one seed on a database of its own."""
    with own(server) as database:
        assert isinstance(database, Database)
        listeners = Listeners(World(database.owner, random.Random(seed), mutant))
        listeners.begin(3)
        asyncio.run(play(listeners, machine=database.machine, monitor=server.superuser))


@pytest.mark.parametrize("seed", range(SEEDS))
def test_no_signal_is_lost_or_taken_twice(postgres_server: Server, seed: int) -> None:
    play_seed(postgres_server, seed)


@pytest.mark.long
@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def test_the_model_notices_a_broken_signal(postgres_server: Server, mutant: Mutant) -> None:
    assert mutant.leave_out or mutant.find in sql(mutant.statement), "the mutant finds nothing to break"
    for seed in range(SEEDS_FOR_A_MUTANT):
        try:
            play_seed(postgres_server, seed, mutant=mutant)
        except (AssertionError, psycopg.errors.IntegrityError):
            return
    raise AssertionError("no seed noticed")
