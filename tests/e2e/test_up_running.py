"""What `aos up` promises while it runs: it serves, says so, heals whatever is killed, and is the only one."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx
import psycopg
import pytest

from aos.boot.config import Config
from aos.boot.owner import owner_login
from aos.boot.paths import Paths, find_paths
from tests.e2e.installation import Installation, alive, installation
from tests.store.embedded_home import wait_until


@pytest.fixture(scope="module")
def running() -> Iterator[Installation]:
    """One AOS for the module: each test leaves it serving."""
    with installation() as made:
        said = made.up()
        assert f"AOS is ready at {made.url}" in said
        yield made
        there = made.everything()
        made.aos("down")
        assert alive(there) == [], "a full stop leaves no process"


def paths_of(made: Installation) -> tuple[Config, Paths]:
    config = Config(home=made.home, port=made.port)
    return config, find_paths(config, made.environment())


def test_status_says_that_every_process_serves_and_is_governed(running: Installation) -> None:
    wait_until(lambda: running.status()["governed"], "every process was heard of")
    found = json.loads(running.aos("status", "--json"))
    assert found["ready"] is True
    assert found["state"]["url"] == running.url
    assert found["state"]["postgres"]["version"].startswith("18")
    assert {row["pid"] for row in found["heard_of"]} == {each["pid"] for each in found["state"]["processes"]}
    said = running.aos("status")
    assert "governed: every canary act was refused" in said
    assert all(name in said for name in running.processes())


def test_the_doctor_finds_nothing_bad(running: Installation) -> None:
    assert "bad " not in running.aos("doctor")


def test_state_and_passwords_are_for_the_owner_alone(running: Installation) -> None:
    for name in ("state.json", "passwords.json", "key-encryption-key"):
        assert stat.S_IMODE((running.home / "aos" / name).stat().st_mode) == 0o600
    assert stat.S_IMODE((running.home / "aos").stat().st_mode) == 0o700


def test_no_process_was_given_the_owners_login(running: Installation) -> None:
    password = (running.home / "aos/passwords.json").read_text().split('"')[3]
    for pid in running.everything():
        for name in ("cmdline", "environ"):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/{name}", "rb") as file:
                assert password.encode() not in file.read()
    config, paths = paths_of(running)
    with psycopg.connect(owner_login(config, paths)) as connection:
        rows = connection.execute("select usename from pg_stat_activity where pid <> pg_backend_pid()").fetchall()
    users = {row[0] for row in rows if row[0]}
    assert {user.rpartition("_")[2] for user in users if user != "postgres"} == {"app", "machine"}


def test_a_second_up_says_who_runs_already(running: Installation) -> None:
    pid = running.processes()["supervisor"]
    said = running.aos("up", status=6)
    assert said.startswith("Conflict: ")
    assert running.url in said
    assert f"pid {pid}" in said
    again = running.aos("up", "--detach")
    assert f"already running at {running.url}" in again
    assert "do not count" not in again
    changed = replace(running, more={**running.more, "AOS_MCP_COMMANDS": "npx -y server", "AOS_LOG_LEVEL": "debug"})
    told = changed.aos("up", "--detach")
    assert "settings that do not count until it is started again" in told
    assert "AOS_MCP_COMMANDS=npx -y server (it runs with ``)" in told
    assert "AOS_LOG_LEVEL=debug (it runs with `info`)" in told
    assert "aosl_" in again, "nobody has signed in: whoever lost the link gets another"
    assert running.processes()["supervisor"] == pid


def test_whatever_is_killed_comes_back(running: Installation) -> None:
    for name in [*running.processes()]:
        if name == "supervisor":
            continue
        former = running.processes()[name]
        os.kill(former, signal.SIGKILL)
        wait_until(lambda name=name, former=former: running.serves_again(name, former), f"{name} serves again")  # type: ignore[misc]
        wait_until(lambda: running.ask() == 401, "calls are answered")
    assert running.status()["ready"] is True


def test_one_limit_holds_for_what_either_plane_answers(running: Installation) -> None:
    with httpx.Client(base_url=running.url, headers={"x-long": "a" * 40_000}) as client:
        assert client.get("/healthz", params={"q": "a" * 20_000}).status_code == 200, "the control plane takes it too"
        answer = client.get("/healthz", params={"q": "a" * 30_000})
    assert (answer.status_code, answer.json()["type"]) == (431, "urn:aos:problem:head-too-large")


def test_a_call_made_while_the_data_plane_restarts_waits_and_is_answered(running: Installation) -> None:
    former = running.processes()["data-plane"]
    with ThreadPoolExecutor(4) as pool:
        os.kill(former, signal.SIGSTOP)
        calls = [pool.submit(running.ask) for _ in range(4)]
        os.kill(former, signal.SIGKILL)
        late = [pool.submit(running.ask) for _ in range(4)]
        assert {each.result() for each in late} == {401}
        for each in calls:
            with contextlib.suppress(OSError):  # one that the killed process had taken already is cut
                assert each.result() == 401
    wait_until(lambda: running.serves_again("data-plane", former), "the data plane serves again")


def test_a_worker_started_by_hand_is_heard_of_until_it_is_asked_to_end(running: Installation) -> None:
    def heard_of(pid: int) -> bool:
        return pid in [row["pid"] for row in running.status()["heard_of"]]

    with running.start("worker") as worker:
        wait_until(lambda: heard_of(worker.pid), "the lone worker was heard of")
        worker.send_signal(signal.SIGTERM)
        _, errors = worker.communicate(timeout=60)
        assert worker.returncode == 0, errors
    assert not heard_of(worker.pid)
