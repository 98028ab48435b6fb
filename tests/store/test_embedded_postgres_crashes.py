"""After any kill the next start comes up by itself, with every row that was ever acknowledged."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from aos.drivers.embedded_postgres.layout import Layout
from aos.drivers.embedded_postgres.leftover import clear_the_way, read_postmaster
from aos.drivers.embedded_postgres.processes import is_alive, started_at_seconds, working_in
from aos.drivers.embedded_postgres.server import start
from tests.store.embedded_home import (
    AS_ROOT,
    DEADLINE_SECONDS,
    Home,
    new_home,
    said,
    started,
    supervisor,
    wait_gone,
    wait_until,
)

WRITER = Path(__file__).with_name("embedded_writer.py")
LANES = 2
ROWS_BEFORE_THE_KILL = 200


@pytest.fixture
def home() -> Iterator[Home]:
    with new_home() as made:
        yield made


def write_until_killed(dsn: str, home: Home, other: subprocess.Popen[str]) -> list[int]:
    """Return, for each lane, how many rows were acknowledged before everything was killed in the middle of writing."""
    writers = [
        subprocess.Popen([sys.executable, WRITER, dsn, str(lane)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for lane in range(LANES)
    ]
    counts = [0] * LANES
    for writer in writers:
        assert writer.stdout is not None
        readable, _, _ = select.select([writer.stdout], [], [], DEADLINE_SECONDS)
        assert readable
    while min(counts) < ROWS_BEFORE_THE_KILL:
        for lane, writer in enumerate(writers):
            assert writer.stdout is not None
            assert writer.stdout.readline()
            counts[lane] += 1
    other.kill()
    home.kill_everything()
    for lane, writer in enumerate(writers):
        assert writer.stdout is not None
        counts[lane] += len(writer.stdout.readlines())
        writer.stdout.close()
        writer.wait()
    return counts


def test_nothing_acknowledged_is_lost_when_everything_is_killed_during_writes(home: Home) -> None:
    for round_number in range(2):
        with supervisor(home) as other:
            dsn = str(said(other)["dsn"])
            with psycopg.connect(dsn, autocommit=True) as connection:
                connection.execute("drop table if exists acknowledged")
                connection.execute("create table acknowledged (lane int, number int, primary key (lane, number))")
            counts = write_until_killed(dsn, home, other)
        with started(home.layout()) as running, psycopg.connect(running.superuser_dsn()) as connection:
            for lane, count in enumerate(counts):
                rows = connection.execute("select number from acknowledged where lane = %s", (lane,)).fetchall()
                assert {number for (number,) in rows} >= set(range(count)), f"round {round_number}, lane {lane}"


def test_a_backend_that_outlives_its_killed_server_is_ended_and_the_next_start_succeeds(home: Home) -> None:
    with supervisor(home) as other:
        answer = said(other)
        with contextlib.closing(psycopg.connect(str(answer["dsn"]))) as busy:
            busy.execute("create table kept as select 1 as n")
            busy.commit()
            backend = busy.info.backend_pid
            busy.pgconn.send_query(b"select sum(a * b) from generate_series(1, 100000) a, generate_series(1, 100000) b")
            busy.pgconn.flush()
            other.kill()
            postmaster = answer["pid"]
            assert isinstance(postmaster, int)
            os.kill(postmaster, signal.SIGKILL)
            wait_gone([postmaster])
            assert backend in working_in(home.layout().data)
            with started(home.layout()) as running:
                assert not is_alive(backend)
                with psycopg.connect(running.superuser_dsn()) as connection:
                    assert connection.execute("select n from kept").fetchone() == (1,)


def stopped_cluster(home: Home) -> Layout:
    with started(home.layout()):
        pass
    return home.layout()


def write_pid_file(layout: Layout, pid: int, *, began_at_seconds: int) -> Path:
    """Leave the pid file of a server that was killed, as a later process of the same pid would find it."""
    path = layout.data / "postmaster.pid"
    path.write_text(f"{pid}\n{layout.data}\n{began_at_seconds}\n20000\n{layout.sockets}\n127.0.0.1\n\nready\n")
    os.chown(path, layout.data.stat().st_uid, layout.data.stat().st_gid)
    return path


def sleeper(layout: Layout, *, cwd: str = "/") -> subprocess.Popen[bytes]:
    """Return a process of the account that Postgres runs under, which is why Postgres takes it for a rival."""
    account = layout.data.stat()
    return subprocess.Popen(
        ["/bin/sleep", "60"],
        cwd=cwd,
        user=account.st_uid if AS_ROOT else None,
        group=account.st_gid if AS_ROOT else None,
    )


def test_a_pid_file_whose_pid_now_belongs_to_another_process_does_not_hinder_a_start(home: Home) -> None:
    layout = stopped_cluster(home)
    with sleeper(layout) as other:
        write_pid_file(layout, other.pid, began_at_seconds=1_000_000_000)
        with started(layout) as running:
            assert running.pid != other.pid
            assert other.poll() is None
        other.kill()


def test_a_pid_file_whose_process_is_a_zombie_does_not_hinder_a_start(home: Home) -> None:
    layout = stopped_cluster(home)
    with sleeper(layout) as other:
        began = started_at_seconds(other.pid)
        assert began is not None
        other.kill()
        wait_gone([other.pid])
        write_pid_file(layout, other.pid, began_at_seconds=int(began))
        with started(layout) as running:
            assert running.pid != other.pid


def test_a_pid_file_is_not_removed_when_its_process_began_when_it_says(home: Home) -> None:
    layout = stopped_cluster(home)
    with sleeper(layout) as other:
        began = started_at_seconds(other.pid)
        assert began is not None
        path = write_pid_file(layout, other.pid, began_at_seconds=int(began))
        clear_the_way(layout)
        assert path.exists()
        other.kill()


def test_a_pid_file_is_not_removed_while_any_process_works_in_the_data_folder(home: Home) -> None:
    layout = stopped_cluster(home)
    with sleeper(layout) as other, sleeper(layout, cwd=os.fspath(layout.data)) as inside:
        path = write_pid_file(layout, other.pid, began_at_seconds=1_000_000_000)
        waiting = subprocess.Popen([sys.executable, "-c", CLEAR, os.fspath(home.folder)], stdout=subprocess.PIPE)
        with waiting:
            assert waiting.stdout is not None
            assert waiting.stdout.readline() == b"waits\n"
            assert path.exists()
            inside.kill()
            inside.wait()
            assert waiting.wait(DEADLINE_SECONDS) == 0
        assert not path.exists()
        other.kill()


CLEAR = """
import sys, threading
from pathlib import Path
from aos.drivers.embedded_postgres.leftover import clear_the_way
from aos.drivers.embedded_postgres.layout import Settings, locate
folder = Path(sys.argv[1])
clearing = threading.Thread(target=clear_the_way, args=[locate(Settings(folder, folder, data_dir=folder / "postgres"))])
clearing.start()
clearing.join(2)
assert clearing.is_alive()
print("waits", flush=True)
clearing.join()
"""


def test_an_initialisation_killed_in_the_middle_is_begun_anew(home: Home) -> None:
    layout = home.layout()
    with supervisor(home) as other:
        wait_until((layout.initialising / "PG_VERSION").exists, "initdb has begun")
        other.kill()
        assert not layout.data.exists()
    with started(layout) as running, psycopg.connect(running.superuser_dsn()) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    assert not layout.initialising.exists()
    assert not (layout.folder / "password.initdb").exists()


def test_a_half_initialised_folder_is_removed_and_made_anew(home: Home) -> None:
    layout = stopped_cluster(home)
    layout.data.rename(layout.initialising)
    (layout.initialising / "global" / "pg_control").unlink()
    with started(layout) as running:
        assert read_postmaster(layout) is not None
        assert running.is_running()
    assert not layout.initialising.exists()


def test_a_start_that_is_broken_off_leaves_no_server_and_no_lock(home: Home) -> None:
    layout = stopped_cluster(home)
    with pytest.raises(Exception, match="not ready within"):
        start(layout, deadline_seconds=0.0)
    assert working_in(layout.data) == []
    with started(layout) as running:
        assert running.is_running()
