"""A process is killed at every step between intent and answer: nothing is lost, nothing is done twice."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from aos.kernel.acts import ActionState, Pending, Recorded
from aos.kernel.errors import StillRunning
from aos.kernel.money import Money
from aos.kernel.policy.values import Outcome, Rule
from aos.kernel.tools import Repeat
from aos.operations.abandon import Abandonment
from aos.operations.integrate import integrate_all
from tests.databases import Database
from tests.simulation.gate_child import ARGUMENTS, KeyedFile
from tests.worlds import World, agent, make_world, payments

DEADLINE_SECONDS = 30.0


@pytest.fixture
def world(database: Database) -> World:
    return make_world(
        database,
        agents=[agent("finance", "payments.create")],
        tools=[payments()],
        budgets=[("company", "organization", Money(50_000_000, "EUR"))],
    )


def until(condition: Callable[[], Any]) -> Any:
    """Return the condition's first true value; fail after the deadline."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.01)  # a poll of another process, bounded by the deadline
    raise AssertionError("the other process did not get there")


@contextlib.contextmanager
def child(world: World, folder: Path, stop: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start the act in a process of its own; it is killed at the end whatever happened."""
    file = folder / "world"
    file.write_bytes(pickle.dumps(world))
    command = [sys.executable, "-m", "tests.simulation.gate_child", str(file), str(folder / "effects"), stop]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[2])
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        process.wait()


def kill_when_stopped(world: World, folder: Path, stop: str) -> None:
    """Run the act until it stops at `stop`, and kill it there."""
    with child(world, folder, stop):
        until((folder / f"effects.{stop}").exists)


def kill_when_blocked(world: World, folder: Path, table: str) -> None:
    """Run the act until a statement of it waits for `table`, and kill it there."""
    with psycopg.connect(world.test_database.owner) as holder:
        holder.execute(f"lock table {table} in access exclusive mode")
        with child(world, folder, "never"):
            query = "select 1 from pg_locks l join pg_class c on c.oid = l.relation where not granted and relname = %s"
            until(lambda: world.rows(query, table))
        holder.rollback()
    until(
        lambda: not world.rows("select 1 from pg_stat_activity where state <> 'idle' and usename like 'aos_%%machine'")
    )


def effects(folder: Path) -> list[str]:
    """Return the lines that the tool wrote."""
    return (folder / "effects").read_text("ascii").split() if (folder / "effects").exists() else []


def repeat(world: World, folder: Path) -> Any:
    """Ask again under the same key in another process's place."""

    async def go() -> Any:
        async with world.running(KeyedFile(folder / "effects", "never")) as aos:
            act = world.act("finance", "payments.create", ARGUMENTS, idempotency_key="one")
            done = await aos.gate.perform(act)
            await integrate_all(aos.database, aos.facts, aos.drivers)
            return done

    return asyncio.run(go())


def test_killed_while_the_intent_is_written_nothing_was_done_and_the_repeat_does_it(
    world: World, tmp_path: Path
) -> None:
    kill_when_blocked(world, tmp_path, "idempotency")
    assert world.states() == []
    assert effects(tmp_path) == []
    assert repeat(world, tmp_path).state is ActionState.PERFORMED
    assert len(effects(tmp_path)) == 1


@pytest.mark.parametrize("stop", ["before-effect", "after-effect"])
def test_killed_around_the_effect_the_intent_stands_and_nobody_repeats_it_unasked(
    world: World, tmp_path: Path, stop: str
) -> None:
    kill_when_stopped(world, tmp_path, stop)
    assert world.states() == [("payments.create", "intended")]
    assert world.rows("select held_nanos from budget_account") == [(2_000_000,)]
    with pytest.raises(StillRunning):
        repeat(world, tmp_path)
    assert len(effects(tmp_path)) == (stop == "after-effect")


def test_killed_while_the_outcome_is_written_the_effect_happened_once(world: World, tmp_path: Path) -> None:
    kill_when_blocked(world, tmp_path, "usage_event")
    # Where its end was sent already, the server completes the transaction, whoever has gone; else nothing of it stands.
    assert world.states() in ([("payments.create", "intended")], [("payments.create", "performed")])
    assert len(effects(tmp_path)) == 1


def test_killed_before_the_answer_the_repeat_is_told_what_was_recorded(world: World, tmp_path: Path) -> None:
    kill_when_stopped(world, tmp_path, "before-answer")
    done = repeat(world, tmp_path)
    assert isinstance(done, Recorded)
    assert (done.state, done.value, done.replayed) == (ActionState.PERFORMED, "paid", True)
    assert len(effects(tmp_path)) == 1
    assert world.rows("select held_nanos, settled_nanos from budget_account") == [(0, 2_000_000)]


@pytest.mark.parametrize(
    ("repeat_rule", "state", "lines"),
    [(Repeat.KEYED, ActionState.PERFORMED, 1), (Repeat.NEVER, ActionState.UNKNOWN, 1)],
)
def test_after_the_sweep_a_keyed_tool_is_asked_again_and_a_never_tool_waits_for_a_person(
    database: Database, tmp_path: Path, repeat_rule: Repeat, state: ActionState, lines: int
) -> None:
    world = make_world(database, agents=[agent("finance", "payments.create")], tools=[payments(repeat=repeat_rule)])
    kill_when_stopped(world, tmp_path, "after-effect")
    world.rows("update action set deadline = aos_now() - interval '1 second'")
    sweep(world)
    assert world.states() == [("payments.create", "unknown")]
    done = repeat(world, tmp_path)
    assert done.state is state
    assert len(effects(tmp_path)) == lines


def test_a_payment_that_a_person_allowed_is_asked_again_of_the_tool_and_not_of_the_person(
    database: Database, tmp_path: Path
) -> None:
    asks = Rule("asks", 1, Outcome.ESCALATE, (), ("tool:payments.create",))
    world = make_world(database, agents=[agent("finance", "payments.create")], tools=[payments()], rules=[asks])
    assert isinstance(repeat(world, tmp_path), Pending)
    world.rows("update approval set status = 'approved'")
    kill_when_stopped(world, tmp_path, "after-effect")
    world.rows("update action set deadline = aos_now() - interval '1 second'")
    sweep(world)
    assert repeat(world, tmp_path).state is ActionState.PERFORMED
    assert len(effects(tmp_path)) == 1
    assert world.rows("select status from approval") == [("used",)]


def sweep(world: World) -> None:
    """Run the sweep's duty once."""

    async def go() -> None:
        async with world.running() as aos:
            await Abandonment(aos.database, aos.facts, aos.drivers).overdue()

    asyncio.run(go())
