"""How AOS ends, on purpose and not, and what the next start finds; who lets the first person in.

The tests share one installation and what of it runs, so that each start serves more than one of them.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
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
LINK = re.compile(r"aos login (aosl_\S+)")


@pytest.fixture(scope="module")
def initialised() -> Iterator[Installation]:
    """An installation whose database is there already: starting it again is quick."""
    with installation() as made:
        yield made


@pytest.fixture
def fresh(initialised: Installation) -> Iterator[Installation]:
    """The installation, of which nothing runs."""
    initialised.end()
    yield initialised
    initialised.end()


@pytest.fixture
def serving(initialised: Installation) -> Installation:
    """The installation, which serves; what an earlier test has left running is as good as what is started here."""
    if not initialised.runs():
        initialised.up()
    return initialised


@pytest.fixture(scope="module")
def links(initialised: Installation) -> tuple[str, str]:
    """The links that two starts of an empty store have printed; nobody has used either."""
    unused = link_in(initialised.up())
    kill(initialised.everything())
    return unused, link_in(initialised.up())


def link_in(said: str) -> str:
    found = LINK.search(said)
    assert found is not None, said
    return found[1]


def kill(there: list[int]) -> None:
    for pid in there:
        with contextlib.suppress(ProcessLookupError):  # it went with one that was killed before it
            os.kill(pid, signal.SIGKILL)
    wait_gone(there)


def names_of_organizations(made: Installation) -> list[str]:
    config = Config(home=made.home, port=made.port)
    with psycopg.connect(owner_login(config, find_paths(config, made.environment()))) as connection:
        return [row[0] for row in connection.execute("select name from organization order by name")]


def add_organization(made: Installation, name: str) -> None:
    config = Config(home=made.home, port=made.port)
    with psycopg.connect(owner_login(config, find_paths(config, made.environment()))) as connection:
        connection.execute("insert into organization (id, name) values (gen_random_uuid(), %s)", (name,))


def test_an_empty_store_lets_its_administrator_in_once_and_everything_may_be_killed_meanwhile(
    initialised: Installation, links: tuple[str, str]
) -> None:
    unused, used = links
    assert used != unused, "each start makes a link of its own until somebody came in"
    assert "signed in" in initialised.aos("login", used)
    me = json.loads(initialised.aos("whoami", "--json"))
    assert (me["email"], me["roles"]) == ("admin@localhost", ["admin"])
    assert initialised.aos("login", used, status=8).startswith("Not signed in: ")
    add_organization(initialised, "larkspur")
    kill(initialised.everything())
    assert initialised.status()["running"] is False
    assert LINK.search(initialised.up()) is None, "somebody came in: there is no other way in any more"
    assert "larkspur" in names_of_organizations(initialised), "the next start has lost nothing"


def test_processes_end_with_a_killed_supervisor_and_postgres_is_taken_over(serving: Installation) -> None:
    processes = serving.processes()
    os.kill(processes["supervisor"], signal.SIGKILL)
    wait_gone([pid for name, pid in processes.items() if name != "postgres"])
    assert is_alive(processes["postgres"])
    assert "was killed" in serving.status()["note"]
    assert "runs on from an earlier start" in serving.up()
    assert serving.processes()["postgres"] == processes["postgres"]


def test_down_ends_what_a_killed_supervisor_left(serving: Installation) -> None:
    there = serving.everything()
    os.kill(serving.processes()["supervisor"], signal.SIGKILL)
    serving.aos("down")
    assert alive(there) == []
    assert serving.aos("down") == "AOS was not running\n"


def test_a_worker_started_by_hand_is_shown_while_it_lives_and_ends_with_the_postgres_that_it_works_on(
    serving: Installation,
) -> None:
    config = Config(home=serving.home, port=serving.port)
    login = owner_login(config, find_paths(config, serving.environment()))
    first = serving.start("worker")
    name = f"worker-{first.pid}"
    wait_until(lambda: [each["ready"] for each in serving.status()["by_hand"]] == [True], "it is shown as ready")
    assert f"{name:15} pid {first.pid:<8} ready, started by hand\n" in serving.aos("status")
    with serving.start("worker") as killed:
        wait_until(lambda: len(serving.status()["by_hand"]) == 2, "both are shown")
        killed.kill()
        killed.communicate(timeout=60)
    assert [each["pid"] for each in serving.status()["by_hand"]] == [first.pid]
    other = Installation(serving.folder, serving.port, {"AOS_DATABASE_URL": login})
    with other.start("worker") as stays:
        wait_until(lambda: len(serving.status()["by_hand"]) == 2, "it is shown")
        said = serving.aos("down")
        assert f"{name}, which was started by hand, has ended too\n" in said
        assert f"`kill {stays.pid}` ends it\n" in said
        _, log = first.communicate(timeout=60)
        assert (first.returncode, "error" in log) == (0, False), log
        assert f"pid {stays.pid:<8} runs, started by hand\n" in serving.start("status").communicate(timeout=60)[0]
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
        assert json.loads(made.aos("status", "--json"))["ready"] is True
        assert {os.stat(f"/proc/{made.processes()['postgres']}").st_uid} == {NOBODY}
        made.aos("down")
