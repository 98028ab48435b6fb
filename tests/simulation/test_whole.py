"""Whatever dies, is lost, jumps or is ordered: every run ends, nothing is done twice, and the books agree.

The same is played on builds that are broken on purpose, each of which some seed must notice.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import psycopg
import pytest

from aos.store.sql_files import sql
from tests.databases import Database, Server, cloned
from tests.simulation.run_world import Mutant
from tests.simulation.stepper import Broken
from tests.simulation.whole_play import Played, play_seed, prepare

SEEDS = 24
LONG = range(1_000, 3_000)
SEEDS_A_DATABASE = 20
SEEDS_FOR_A_MUTANT = 60
SEED = os.environ.get("AOS_SEED")
REPLAYS = 3
"""Times that a seed is replayed: which of two that wait for one lock gets it first is the server's to say."""

QUICK = [
    Mutant("no fence at the end", "complete_tasks", "t.claim_token = m.claim_token", "t.state = 'running'"),
    Mutant("no state check at the outcome", "conclude", "and a.state = 'intended'"),
    Mutant(
        "no intent before the effect",
        "admit",
        "  from granted\n  on conflict",
        "  from granted where false\n  on conflict",
    ),
    Mutant("an end counts twice", "complete_tasks", "l.count", "2 * l.count"),
]
MUTANTS = [
    Mutant("no fence at the intent", "admit", "and t.claim_token = m.claim_token"),
    Mutant("no fence at the outcome", "conclude", "t.claim_token = m.claim_token", "t.claim_token is not null"),
    Mutant("no fence at parking", "park_tasks", "t.claim_token = m.claim_token", "t.state = 'running'"),
    Mutant("no record of an intent", "admit", "join granted g on g.n = r.n", "join granted g on g.n = r.n where false"),
    Mutant("a hold is kept", "conclude", "a.held_nanos - s.held,", "a.held_nanos,"),
    Mutant("a signal is taken twice", "take_signal", "s.taken_by is null", "true"),
    Mutant("nobody sweeps", "sweep_leases", "lease_until < aos_now()", "false"),
    Mutant("answers wake nobody", "settle_approvals", "where t.state = 'waiting'", "where false"),
    Mutant("timers wake nobody", "wake_tasks", leave_out=True),
    Mutant("calls never hear", "abandon_calls", leave_out=True),
    Mutant(
        "doubts outlive a history", "continue_tasks", "k.task_id = g.id", "k.task_id = g.id and k.state <> 'unknown'"
    ),
    Mutant("an approval is used again", "admit", "a.status = 'approved'", "a.status <> 'pending'"),
]


def play(database: Database, server: Server, seed: int, *, mutant: Mutant | None = None) -> Played:
    """Play one seed; a failure names the command that plays it again."""
    try:
        return play_seed(server, database, seed, mutant=mutant)
    except BaseException as error:
        error.add_note(f'AOS_SEED={seed} make test PYTEST_ARGS="tests/simulation/test_whole.py -k replay"')
        raise


@pytest.fixture
def stage(postgres_server: Server) -> Iterator[Database]:
    """A database of its own, which writes down every move of a task."""
    for database in cloned(postgres_server):
        prepare(postgres_server, database)
        yield database


@pytest.mark.parametrize("seed", range(SEEDS))
def test_every_run_ends_nothing_is_done_twice_and_the_books_agree(
    postgres_server: Server, stage: Database, seed: int
) -> None:
    play(stage, postgres_server, seed)


@pytest.mark.long
@pytest.mark.parametrize("first", range(LONG.start, LONG.stop, SEEDS_A_DATABASE))
def test_thousands_of_seeds(postgres_server: Server, stage: Database, first: int) -> None:
    for seed in range(first, first + SEEDS_A_DATABASE):
        play(stage, postgres_server, seed)


@pytest.mark.skipif(SEED is None, reason="AOS_SEED names no seed to replay")
@pytest.mark.parametrize("time", range(REPLAYS))
def test_replay(postgres_server: Server, stage: Database, time: int) -> None:
    play(stage, postgres_server, int(str(SEED)))


def test_a_seed_plays_the_same_again(postgres_server: Server) -> None:
    played = []
    for _ in range(2):
        for database in cloned(postgres_server):
            prepare(postgres_server, database)
            played.append(play(database, postgres_server, 2))
    assert played[0] == played[1]


def is_noticed(server: Server, mutant: Mutant) -> bool:
    """Say whether some seed notices a broken build."""
    assert mutant.leave_out or mutant.find in sql(mutant.statement), "the mutant finds nothing to break"
    for seed in range(SEEDS_FOR_A_MUTANT):
        for database in cloned(server):
            prepare(server, database)
            try:
                play_seed(server, database, seed, mutant=mutant)
            except (Broken, psycopg.errors.IntegrityError):
                return True
    return False


@pytest.mark.parametrize("mutant", QUICK, ids=[mutant.name for mutant in QUICK])
def test_a_broken_build_is_noticed(postgres_server: Server, mutant: Mutant) -> None:
    assert is_noticed(postgres_server, mutant)


@pytest.mark.long
@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def test_each_broken_build_is_noticed(postgres_server: Server, mutant: Mutant) -> None:
    assert is_noticed(postgres_server, mutant)
