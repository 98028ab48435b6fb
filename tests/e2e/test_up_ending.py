"""How AOS ends, on purpose and not, and what the next start finds."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import psycopg
import pytest

from aos.boot.config import Config
from aos.boot.owner import owner_login
from aos.boot.paths import find_paths
from aos.drivers.embedded_postgres.processes import is_alive
from tests.e2e.installation import Installation, alive, installation
from tests.store.embedded_home import root_only, wait_gone, wait_until

NOBODY = 65_534


@pytest.fixture(scope="module")
def initialised() -> Iterator[Installation]:
    """An installation whose database is there already: starting it again is quick."""
    with installation() as made:
        yield made


@pytest.fixture
def fresh(initialised: Installation) -> Iterator[Installation]:
    """The installation, of which nothing runs."""
    yield initialised
    initialised.end()


def names_of_organizations(made: Installation) -> list[str]:
    config = Config(home=made.home, port=made.port)
    with psycopg.connect(owner_login(config, find_paths(config, made.environment()))) as connection:
        return [row[0] for row in connection.execute("select name from organization order by name")]


def add_organization(made: Installation, name: str) -> None:
    config = Config(home=made.home, port=made.port)
    with psycopg.connect(owner_login(config, find_paths(config, made.environment()))) as connection:
        connection.execute("insert into organization (id, name) values (gen_random_uuid(), %s)", (name,))


def test_after_everything_is_killed_the_next_start_has_lost_nothing(fresh: Installation) -> None:
    fresh.up()
    add_organization(fresh, "larkspur")
    there = fresh.everything()
    for pid in there:
        with contextlib.suppress(ProcessLookupError):  # it went with one that was killed before it
            os.kill(pid, signal.SIGKILL)
    wait_gone(there)
    assert fresh.status()["running"] is False
    fresh.up()
    assert "larkspur" in names_of_organizations(fresh)


def test_processes_end_with_a_killed_supervisor_and_postgres_is_taken_over(fresh: Installation) -> None:
    fresh.up()
    processes = fresh.processes()
    os.kill(processes["supervisor"], signal.SIGKILL)
    wait_gone([pid for name, pid in processes.items() if name != "postgres"])
    assert is_alive(processes["postgres"])
    assert "was killed" in fresh.status()["note"]
    assert "runs on from an earlier start" in fresh.up()
    assert fresh.processes()["postgres"] == processes["postgres"]


def test_down_ends_what_a_killed_supervisor_left(fresh: Installation) -> None:
    fresh.up()
    there = fresh.everything()
    os.kill(fresh.processes()["supervisor"], signal.SIGKILL)
    fresh.aos("down")
    assert alive(there) == []
    assert fresh.aos("down") == "AOS was not running\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_foreground_up_ends_in_order_when_asked(fresh: Installation, number: signal.Signals) -> None:
    with fresh.start("up") as process:
        assert process.stdout is not None
        wait_until(lambda: "AOS is ready" in process.stdout.readline(), "it serves")  # type: ignore[union-attr]
        there = fresh.everything()
        process.send_signal(number)
        said, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert said.splitlines()[-1] == "AOS has ended"
    assert alive(there) == []
    assert not (fresh.home / "aos/state.json").exists()


def test_a_start_that_is_interrupted_leaves_no_process(fresh: Installation) -> None:
    with fresh.start("up") as process:
        wait_until(lambda: (fresh.home / "aos/state.json").exists(), "processes were started")
        there = fresh.everything()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 7
    assert alive(there) == []


@root_only
def test_an_ordinary_user_runs_it_in_a_folder_of_their_own() -> None:
    try:
        subprocess.run([sys.executable, "-c", "import aos"], user=NOBODY, cwd="/", capture_output=True, check=True)
    except (PermissionError, subprocess.CalledProcessError):
        pytest.skip("this interpreter or checkout cannot be read by other users: a clone below /srv or /opt runs this")
    with installation(user=NOBODY) as made:
        made.up()
        assert made.status()["ready"] is True
        assert {os.stat(f"/proc/{made.processes()['postgres']}").st_uid} == {NOBODY}
        made.aos("down")
