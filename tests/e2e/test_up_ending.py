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


def test_a_worker_started_by_hand_is_shown_and_ends_with_the_postgres_that_it_works_on(fresh: Installation) -> None:
    fresh.up()
    with fresh.start("worker") as worker:
        wait_until(lambda: [each["ready"] for each in fresh.status()["by_hand"]] == [True], "it is shown as ready")
        name = f"worker-{worker.pid}"
        assert f"{name:15} pid {worker.pid:<8} ready, started by hand\n" in fresh.aos("status")
        assert f"{name}, which was started by hand, has ended too\n" in fresh.aos("down")
        _, log = worker.communicate(timeout=60)
    assert (worker.returncode, "error" in log) == (0, False), log


def test_a_worker_by_hand_that_was_killed_is_shown_no_more_and_one_on_another_database_runs_on(
    fresh: Installation,
) -> None:
    fresh.up()
    config = Config(home=fresh.home, port=fresh.port)
    login = owner_login(config, find_paths(config, fresh.environment()))
    first = fresh.start("worker")
    with fresh.start("worker") as killed:
        wait_until(lambda: len(fresh.status()["by_hand"]) == 2, "both are shown")
        killed.kill()
        killed.communicate(timeout=60)
    assert [each["pid"] for each in fresh.status()["by_hand"]] == [first.pid]
    other = Installation(fresh.folder, fresh.port, {"AOS_DATABASE_URL": login})
    with other.start("worker") as stays:
        wait_until(lambda: len(fresh.status()["by_hand"]) == 2, "it is shown")
        said = fresh.aos("down")
        assert f"worker-{first.pid}, which was started by hand, has ended too\n" in said
        assert f"`kill {stays.pid}` ends it\n" in said
        first.communicate(timeout=60)
        assert first.returncode == 0
        assert f"pid {stays.pid:<8} runs, started by hand\n" in fresh.start("status").communicate(timeout=60)[0]
        stays.kill()
        stays.communicate(timeout=60)


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
