"""Whatever dies, is lost, jumps or is ordered: every run ends, nothing is done twice, and the books agree."""

from __future__ import annotations

import psycopg
import pytest

from tests.databases import Server, cloned
from tests.simulation.run_world import Mutant
from tests.simulation.whole_play import play_seed, prepare

SEEDS = 24
SEEDS_LONG = 2_000
SEEDS_FOR_A_MUTANT = 40
COMMAND = 'AOS_SEED={} make test PYTEST_ARGS="tests/simulation/test_whole.py -k replay"'


def play(server: Server, seed: int, *, mutant: Mutant | None = None) -> tuple[int, int]:
    """Play one seed on a database of its own; a failure names the command that plays it again."""
    databases = cloned(server)
    database = next(databases)
    try:
        with psycopg.connect(server.superuser, autocommit=True) as connection:
            connection.execute("alter role aos_test set deadlock_timeout = '20ms'")
        prepare(database)
        return play_seed(server, database, seed, mutant=mutant)
    except Exception as error:
        error.add_note(f"play it again: {COMMAND.format(seed)}")
        raise
    finally:
        next(databases, None)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_every_run_ends_nothing_is_done_twice_and_the_books_agree(postgres_server: Server, seed: int) -> None:
    play(postgres_server, seed)
