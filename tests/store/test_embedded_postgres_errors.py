"""What the embedded Postgres cannot mend it names: the folder, the process, the version, and what to do."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from aos.drivers.embedded_postgres.layout import Layout
from aos.drivers.embedded_postgres.processes import working_in
from aos.drivers.embedded_postgres.server import start
from aos.kernel.errors import Misconfigured, Unavailable
from tests.store.embedded_home import AS_ROOT, Home, new_home, root_only, started

NOBODY = 65_534


@pytest.fixture
def home() -> Iterator[Home]:
    with new_home() as made:
        yield made


@contextlib.contextmanager
def small_disk(home: Home, options: str) -> Iterator[Layout]:
    """Yield a layout on a disk of its own, with few bytes or few files."""
    disk = home.folder / "disk"
    disk.mkdir(mode=0o755)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"mode=0755,{options}", "tmpfs", disk], capture_output=True, text=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"cannot mount a small disk ({mounted.stderr.strip()}): run as root with CAP_SYS_ADMIN")
    layout = replace(home.layout(), folder=disk / "postgres", sockets=disk / "postgres" / "run")
    try:
        yield layout
    finally:
        assert working_in(layout.data) == []
        subprocess.run(["umount", disk], check=True)


def fill_up(path: Path) -> None:
    """Write a file until the disk takes no more of it."""
    with contextlib.suppress(OSError), open(path, "wb", buffering=0) as file:
        while True:
            file.write(bytes(1024 * 1024))


@root_only
def test_a_first_start_on_a_full_disk_says_where_how_much_is_free_and_how_much_is_needed(home: Home) -> None:
    with small_disk(home, "size=40m") as layout:
        with pytest.raises(Unavailable, match="full") as caught:
            start(layout)
        assert re.search(rf"`{layout.folder}` is full: free are (39|40) MiB, needed are 128 MiB", caught.value.detail)
        assert not layout.data.exists()
        assert not layout.initialising.exists()


@root_only
def test_a_disk_that_fills_up_while_initialising_leaves_nothing_half_made(home: Home) -> None:
    with small_disk(home, "size=400m,nr_inodes=300") as layout:
        with pytest.raises(Unavailable, match=r"is full: free are \d+ MiB and no room for another file"):
            start(layout)
        assert not layout.data.exists()
        assert not layout.initialising.exists()
        subprocess.run(["mount", "-o", "remount,nr_inodes=3000", layout.folder.parent], check=True)
        with started(layout) as running:
            assert running.is_running()


@root_only
def test_a_start_on_a_disk_filled_later_says_so_and_loses_nothing(home: Home) -> None:
    with small_disk(home, "size=200m") as layout:
        with started(layout) as running, psycopg.connect(running.superuser_dsn()) as connection:
            connection.execute("create table kept as select 42 as n")
        filler = layout.folder.parent / "filler"
        fill_up(filler)
        with pytest.raises(Unavailable, match=rf"`{layout.folder}` is full: free are 0 MiB, needed are 32 MiB"):
            start(layout)
        filler.unlink()
        with started(layout) as running, psycopg.connect(running.superuser_dsn()) as connection:
            assert connection.execute("select n from kept").fetchone() == (42,)


def test_a_taken_port_that_was_asked_for_is_named_with_the_process_that_holds_it(home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Misconfigured, match=rf"port `{port}`.* pid {os.getpid()} \(`.*python"):
            start(home.layout(port=port))
    assert working_in(home.layout().data) == []


def test_a_port_taken_on_every_address_is_named_too(home: Home) -> None:
    listen = "import socket; s = socket.create_server(('', 0)); print(s.getsockname()[1], flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", listen], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        port = int(other.stdout.readline())
        with pytest.raises(Misconfigured, match=rf"port `{port}`.* pid {other.pid} "):
            start(home.layout(port=port))
        other.kill()


def test_a_folder_of_another_version_is_refused_with_both_versions_and_what_to_do(home: Home) -> None:
    layout = home.layout()
    with started(layout):
        pass
    (layout.data / "PG_VERSION").write_text("16\n")
    with pytest.raises(Misconfigured) as caught:
        start(layout)
    for part in (f"`{layout.data}` is of Postgres `16`", "brings Postgres 18", "pg_dumpall", "AOS_DATABASE_URL"):
        assert part in caught.value.detail
    (layout.data / "PG_VERSION").write_text("18\n")
    with started(layout) as running:
        assert running.is_running()


def test_a_data_folder_that_is_something_else_is_refused_and_not_touched(home: Home) -> None:
    layout = home.layout()
    with started(layout):
        pass
    shutil.rmtree(layout.data)
    layout.data.mkdir(mode=0o700)
    (layout.data / "thesis.txt").write_text("years of work")
    with pytest.raises(Misconfigured, match=r"neither empty nor a whole Postgres data folder: move it away"):
        start(layout)
    assert (layout.data / "thesis.txt").read_text() == "years of work"


def test_a_folder_that_others_may_read_is_refused_with_the_command_that_closes_it(home: Home) -> None:
    layout = home.layout()
    layout.folder.mkdir(mode=0o700)
    layout.folder.chmod(0o755)
    (layout.folder / "something").touch()
    with pytest.raises(Misconfigured, match=r"open to other users \(mode 0755\) and not empty: close it with `chmod"):
        start(layout)
    assert layout.folder.stat().st_mode & 0o777 == 0o755


def test_a_link_in_place_of_the_folder_is_refused(home: Home) -> None:
    elsewhere = home.folder / "elsewhere"
    elsewhere.mkdir()
    home.layout().folder.symlink_to(elsewhere)
    with pytest.raises(Misconfigured, match="is not a folder"):
        start(home.layout())
    assert list(elsewhere.iterdir()) == []


@root_only
def test_a_folder_of_another_owner_is_refused_with_the_owner(home: Home) -> None:
    layout = home.layout()
    layout.folder.mkdir(mode=0o700)
    os.chown(layout.folder, NOBODY, NOBODY)
    with pytest.raises(Misconfigured, match=rf"`{layout.folder}` belongs to uid {NOBODY} and not to uid 0"):
        start(layout)
    assert list(layout.folder.iterdir()) == []


@root_only
def test_a_socket_folder_prepared_by_another_user_is_refused(home: Home) -> None:
    layout = home.layout()
    prepared = home.folder / "prepared"
    prepared.mkdir()
    os.chown(prepared, NOBODY, NOBODY)
    with pytest.raises(Misconfigured, match=f"belongs to uid {NOBODY}"):
        start(replace(layout, sockets=prepared))
    (home.folder / "linked").symlink_to(home.folder)
    with pytest.raises(Misconfigured, match="is not a folder"):
        start(replace(layout, sockets=home.folder / "linked"))


@root_only
def test_a_folder_under_a_private_home_is_refused_and_the_home_stays_as_it_was(home: Home) -> None:
    private = home.folder / "private"
    private.mkdir(mode=0o700)
    layout = replace(home.layout(), folder=private / "postgres")
    with pytest.raises(Misconfigured, match=rf"`aos-postgres` may not enter `{private}`.*AOS_DATABASE_URL"):
        start(layout)
    assert private.stat().st_mode & 0o777 == 0o700
    assert list(private.iterdir()) == []


@pytest.mark.skipif(AS_ROOT, reason="root may write anywhere: `make test` as an ordinary user runs this")
def test_a_place_that_may_not_be_written_is_named(home: Home) -> None:
    home.folder.chmod(0o500)
    try:
        with pytest.raises(Misconfigured, match=rf"cannot use `{home.layout().folder}`.*AOS_DATABASE_URL"):
            start(home.layout())
    finally:
        home.folder.chmod(0o711)


def test_a_lost_password_file_is_named(home: Home) -> None:
    layout = home.layout()
    with started(layout):
        pass
    layout.password_file.unlink()
    with pytest.raises(Misconfigured, match=rf"`{layout.password_file}`, is not: restore"):
        start(layout)


def test_a_server_that_does_not_start_tells_what_it_said(home: Home) -> None:
    layout = replace(home.layout(), overrides={"shared_preload_libraries": "no_such_library"})
    with pytest.raises(Unavailable, match=r"does not start; it said: .*no_such_library"):
        start(layout)


def test_an_inner_folder_of_ours_is_closed_again(home: Home) -> None:
    layout = home.layout()
    with started(layout):
        pass
    layout.log.chmod(0o755)
    with started(layout):
        assert layout.log.stat().st_mode & 0o777 == 0o700
