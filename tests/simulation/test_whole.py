"""Whatever dies, is lost, jumps or is ordered: every run ends, nothing is done twice, and the books agree.

The same is played on builds that are broken on purpose, each of which some seed must notice.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from aos.store.sql_files import sql
from tests.databases import Server, cloned
from tests.simulation.run_world import Mutant
from tests.simulation.stepper import Broken
from tests.simulation.whole_theatre import Played, Theatre

SEEDS = 12
LONG = range(1_000, 3_000)
SEEDS_A_TEST = 6
SEEDS_A_LONG_TEST = 50
SEEDS_FOR_A_MUTANT = 60
SEEDS_FOR_A_RARE_MUTANT = 400
SEED = os.environ.get("AOS_SEED")
SAME = (2, 6, 8)
REPLAYS = 3
"""Times that a seed is replayed: which of two that wait for one lock gets it first is the server's to say."""

QUICK = [
    (
        Mutant("no fence at the end", "complete_tasks", "t.claim_token = m.claim_token", "t.state = 'running'"),
        (30, 89),
    ),
    (Mutant("no state check at the outcome", "conclude", "and a.state = 'intended'"), (0,)),
    (
        Mutant(
            "no intent before the effect",
            "admit",
            "  from granted\n  on conflict",
            "  from granted where false\n  on conflict",
        ),
        (2, 3),
    ),
    (Mutant("an end counts twice", "complete_tasks", "l.count", "2 * l.count"), (0, 4)),
]
"""Broken builds, and the seeds that noticed each when this was written: they are played first. Once a change has made
others of these seeds, the mutant is still noticed, only later: then write down which seed it was."""
MUTANTS = [
    Mutant("no fence at the intent", "admit", "and t.claim_token = m.claim_token"),
    Mutant("no fence at the outcome", "conclude", "t.claim_token = m.claim_token", "t.claim_token is not null"),
    Mutant("no fence at parking", "park_tasks", "t.claim_token = m.claim_token", "t.state = 'running'"),
    Mutant("no record of an intent", "admit", "(r.n in (select n from granted)) is true", "false"),
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


@contextmanager
def theatre(server: Server) -> Iterator[Theatre]:
    """Yield a stage on a database of its own."""
    for database in cloned(server):
        opened = Theatre(server, database)
        try:
            yield opened
        finally:
            opened.close()


def play(opened: Theatre, seed: int) -> Played:
    """Play one seed; a failure names the command that plays it again."""
    try:
        return opened.play(seed)
    except BaseException as error:
        error.add_note(f'AOS_SEED={seed} make test PYTEST_ARGS="tests/simulation/test_whole.py -k replay"')
        raise


@pytest.mark.parametrize("first", range(0, SEEDS, SEEDS_A_TEST))
def test_every_run_ends_nothing_is_done_twice_and_the_books_agree(postgres_server: Server, first: int) -> None:
    with theatre(postgres_server) as opened:
        for seed in range(first, first + SEEDS_A_TEST):
            play(opened, seed)


@pytest.mark.long
@pytest.mark.parametrize("first", range(LONG.start, LONG.stop, SEEDS_A_LONG_TEST))
def test_thousands_of_seeds(postgres_server: Server, first: int) -> None:
    with theatre(postgres_server) as opened:
        for seed in range(first, first + SEEDS_A_LONG_TEST):
            play(opened, seed)


@pytest.mark.skipif(SEED is None, reason="no seed to replay: `AOS_SEED=7 make test` runs this")
@pytest.mark.parametrize("time", range(REPLAYS))
def test_replay(postgres_server: Server, time: int) -> None:
    with theatre(postgres_server) as opened:
        play(opened, int(str(SEED)))


def test_a_seed_plays_the_same_again_whatever_was_played_before(postgres_server: Server) -> None:
    with theatre(postgres_server) as opened:
        first = [play(opened, seed) for seed in SAME]
        again = [play(opened, seed) for seed in reversed(SAME)][::-1]
    assert sum(one == other for one, other in zip(first, again, strict=True)) >= len(SAME) - 1


def is_noticed(server: Server, mutant: Mutant, seeds: Iterable[int]) -> bool:
    """Say whether some seed notices a broken build."""
    assert mutant.leave_out or mutant.find in sql(mutant.statement), "the mutant finds nothing to break"
    with theatre(server) as opened:
        for seed in seeds:
            try:
                opened.play(seed, mutant=mutant)
            except (Broken, psycopg.errors.IntegrityError):
                return True
    return False


@pytest.mark.parametrize(("mutant", "first"), QUICK, ids=[mutant.name for mutant, _ in QUICK])
def test_a_broken_build_is_noticed(postgres_server: Server, mutant: Mutant, first: tuple[int, ...]) -> None:
    assert is_noticed(postgres_server, mutant, dict.fromkeys((*first, *range(SEEDS_FOR_A_MUTANT))))


@pytest.mark.long
@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def test_each_broken_build_is_noticed(postgres_server: Server, mutant: Mutant) -> None:
    assert is_noticed(postgres_server, mutant, range(SEEDS_FOR_A_RARE_MUTANT))
