"""The embedded Postgres starts closed to others, keeps its port, is supervised by one process and adopted by the next."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from aos.drivers.embedded_postgres.layout import SOCKET_PATH_BYTES_MAX, Settings, locate, user_data_home
from aos.drivers.embedded_postgres.processes import StopMode, is_alive, working_in
from aos.drivers.embedded_postgres.server import find_running, start, stop_left_over
from aos.kernel.errors import Conflict
from tests.servers import NEWEST_MAJOR, OLDEST_MAJOR, start_cluster
from tests.store.embedded_home import Home, new_home, said, started, supervisor, wait_gone


@pytest.fixture
def home() -> Iterator[Home]:
    with new_home() as made:
        yield made


def one(dsn: str, query: str) -> object:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_a_new_server_is_private_durable_and_checksummed(home: Home) -> None:
    with started(home.layout()) as running:
        expected = {
            "data_checksums": "on",
            "fsync": "on",
            "full_page_writes": "on",
            "server_encoding": "UTF8",
            "password_encryption": "scram-sha-256",
            "listen_addresses": "127.0.0.1",
            "unix_socket_permissions": "0700",
            "logging_collector": "on",
            "TimeZone": "UTC",
        }
        found = {name: one(running.superuser_dsn(), f"show {name}") for name in expected}
        assert found == expected
        provider = "select datlocprovider::text || datlocale from pg_database where datname = 'template1'"
        assert one(running.superuser_dsn(), provider) == "bC.UTF-8"


def test_pgvector_is_at_hand(home: Home) -> None:
    with started(home.layout()) as running, psycopg.connect(running.superuser_dsn()) as connection:
        connection.execute("create extension vector")
        assert connection.execute("select '[1,2]'::vector <-> '[1,4]'").fetchone() == (2.0,)


@pytest.mark.parametrize("over_tcp", [False, True])
def test_nobody_connects_without_the_password(home: Home, over_tcp: bool) -> None:
    with started(home.layout()) as running:
        assert one(running.superuser_dsn(over_tcp=over_tcp), "select 1") == 1
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(running.dsn(user="postgres", password="wrong", over_tcp=over_tcp))


def test_every_file_and_folder_is_closed_to_other_users(home: Home) -> None:
    layout = home.layout()
    with started(layout) as running:
        assert one(running.superuser_dsn(), "select 1") == 1
        for path in (layout.password_file, layout.state_file, layout.lock_file, layout.startup_log):
            assert (path.name, mode_of(path), path.stat().st_uid) == (path.name, 0o600, os.geteuid())
        for path in (layout.folder, layout.data, layout.log, layout.sockets):
            assert mode_of(path) & 0o007 == 0, path
        assert all(mode_of(path) == 0o600 for path in layout.log.iterdir())


def test_no_row_and_no_statement_reaches_the_log(home: Home) -> None:
    layout = home.layout()
    with started(layout) as running:
        with psycopg.connect(running.superuser_dsn(), autocommit=True) as connection:
            connection.execute("create table person (name text primary key)")
            connection.execute("insert into person values ('Ottilie')")
            with pytest.raises(psycopg.errors.UniqueViolation):
                connection.execute("insert into person values ('Ottilie')")
        running.stop(StopMode.FAST)
        log = "".join(path.read_text() for path in layout.log.iterdir())
    assert "duplicate key" in log
    assert "Ottilie" not in log


def test_the_port_is_kept_while_it_is_free_and_left_when_it_is_taken(home: Home) -> None:
    with started(home.layout()) as running:
        first = running.port
    with started(home.layout()) as running:
        assert running.port == first
    with socket.create_server(("127.0.0.1", first)), started(home.layout()) as running:
        assert running.port != first
        assert one(running.superuser_dsn(over_tcp=True), "select 1") == 1


def test_a_port_asked_for_is_used(home: Home) -> None:
    with started(home.layout()) as running:
        free = running.port
    with started(home.layout(port=free)) as running:
        assert running.port == free


def test_rows_outlive_a_stop_and_a_restart(home: Home) -> None:
    with started(home.layout()) as running:
        with psycopg.connect(running.superuser_dsn()) as connection:
            connection.execute("create table kept as select 42 as n")
        running.restart()
        assert one(running.superuser_dsn(), "select n from kept") == 42
    with started(home.layout()) as running:
        assert one(running.superuser_dsn(), "select n from kept") == 42


def test_a_server_that_was_killed_is_noticed_and_started_anew_under_the_same_lock(home: Home) -> None:
    with started(home.layout()) as running:
        killed = running.pid
        os.kill(killed, signal.SIGKILL)
        wait_gone([killed])
        assert not running.is_running()
        running.restart()
        assert running.pid != killed
        running.wait_ready(10)
        assert one(running.superuser_dsn(), "select 1") == 1


def test_one_process_supervises_a_folder_and_the_next_is_told_who(home: Home) -> None:
    with supervisor(home) as other:
        pid = said(other)["pid"]
        with pytest.raises(Conflict, match=f"pid {other.pid} .*supervises"):
            start(home.layout(), lock_wait_seconds=0)
        with pytest.raises(Conflict, match="supervises"):
            stop_left_over(home.layout())
        assert isinstance(pid, int)
        assert is_alive(pid)


def test_two_first_starts_at_once_make_one_server(home: Home) -> None:
    with supervisor(home) as one_of_them, supervisor(home) as other:
        answers = [said(one_of_them), said(other)]
    assert sorted(str(answer.get("error", "")) for answer in answers) == ["", "conflict"]


def test_a_server_left_over_from_a_killed_supervisor_is_adopted_and_stopped_by_pid(home: Home) -> None:
    with supervisor(home) as killed:
        left_over = said(killed)["pid"]
        killed.kill()
    running = start(home.layout())
    assert (running.pid, running.adopted, running.process) == (left_over, True, None)
    assert one(running.superuser_dsn(), "select 1") == 1
    running.wait_ready(10)
    running.stop()
    assert not running.is_running()
    assert isinstance(left_over, int)
    wait_gone([left_over])


def test_a_left_over_server_that_does_not_let_us_in_is_replaced(home: Home) -> None:
    with supervisor(home) as killed:
        left_over = said(killed)
        killed.kill()
    with psycopg.connect(str(left_over["dsn"]), autocommit=True) as connection:
        connection.execute("alter role postgres password 'another'")
    running = start(home.layout(), deadline_seconds=20)
    assert running.pid != left_over["pid"]
    running.stop()


def test_a_left_over_server_on_another_port_than_asked_for_is_replaced(home: Home) -> None:
    with supervisor(home) as killed:
        left_over = said(killed)
        killed.kill()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        free = probe.getsockname()[1]
    with started(home.layout(port=free)) as running:
        assert (running.port, running.adopted) == (free, False)
        assert running.pid != left_over["pid"]


def test_a_left_over_server_is_found_and_stopped_without_being_supervised(home: Home) -> None:
    assert find_running(home.layout()) is None
    assert stop_left_over(home.layout()) is False
    with supervisor(home) as killed:
        said(killed)
        killed.kill()
    endpoint = find_running(home.layout())
    assert endpoint is not None
    assert one(endpoint.superuser_dsn(), "select 1") == 1
    assert stop_left_over(home.layout()) is True
    assert find_running(home.layout()) is None


def test_an_interrupt_at_the_terminal_does_not_reach_the_server(home: Home) -> None:
    with started(home.layout()) as running:
        assert os.getpgid(running.pid) == running.pid
        assert os.getsid(running.pid) == running.pid


def test_a_socket_path_is_never_longer_than_the_kernel_takes(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    layout = locate(Settings(checkout=tmp_path, data_home=deep, data_dir=deep))
    assert deep not in layout.sockets.parents
    assert len(os.fsencode(layout.sockets / ".s.PGSQL.65535.lock")) <= SOCKET_PATH_BYTES_MAX


def test_a_deep_data_folder_serves_on_a_short_socket(home: Home) -> None:
    deep = home.folder / ("d" * 50) / ("e" * 50)
    settings = replace(home.settings(), data_dir=deep)
    layout = locate(settings)
    try:
        with started(layout) as running:
            assert one(running.superuser_dsn(), "select 1") == 1
            assert layout.sockets.lstat().st_mode & 0o077 == 0
    finally:
        subprocess.run(["rm", "-r", layout.sockets], check=True)


@pytest.mark.parametrize("comma", ["", ","])
def test_a_data_folder_may_have_any_name(home: Home, comma: str) -> None:
    folder = home.folder / f"""Maria's{comma} "own" 50% + \\ Daten"""
    layout = locate(replace(home.settings(), data_dir=folder))
    try:
        with started(layout) as running:
            assert one(running.superuser_dsn(), "show data_directory") == str(layout.data)
    finally:
        shutil.rmtree(layout.sockets, ignore_errors=True)


def test_nothing_of_the_server_is_left_when_stop_comes_back(home: Home) -> None:
    for mode in StopMode:
        running = start(home.layout())
        running.stop(mode)
        assert working_in(home.layout().data) == []


def test_a_throwaway_server_ends_with_a_test_run_that_was_killed(home: Home) -> None:
    code = (
        "import sys; from pathlib import Path; from aos.drivers.embedded_postgres.throwaway import throwaway_cluster\n"
        f"with throwaway_cluster(Path({str(home.folder)!r})) as running: print(running.pid, running.layout.folder, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        pid, folder = run.stdout.readline().split()
        assert is_alive(int(pid))
        run.kill()
    wait_gone([int(pid)])
    shutil.rmtree(folder.decode())


def test_two_checkouts_have_two_folders_and_one_checkout_has_one(tmp_path: Path) -> None:
    folders = {
        locate(Settings(checkout=tmp_path / name, data_home=tmp_path)).folder for name in ("a", "b", "a", "x/../a")
    }
    assert len(folders) == 2


def test_a_relative_data_home_is_ignored(tmp_path: Path) -> None:
    assert user_data_home(tmp_path, "relative") == tmp_path / ".local" / "share"
    assert user_data_home(tmp_path, "") == tmp_path / ".local" / "share"
    assert user_data_home(tmp_path, "/elsewhere") == Path("/elsewhere")


@pytest.mark.parametrize("major", [OLDEST_MAJOR, NEWEST_MAJOR])
def test_tests_get_a_server_of_the_oldest_and_of_the_newest_version(major: int) -> None:
    dsn = start_cluster(major)
    version = one(dsn, "show server_version_num")
    assert str(version).startswith(str(major))
    assert start_cluster(major) == dsn
