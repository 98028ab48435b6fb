"""A private place for one embedded Postgres in a test, and what is needed to kill it and look at it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from aos.drivers.embedded_postgres.layout import Layout, Settings, locate
from aos.drivers.embedded_postgres.processes import ProcessHandle, StopMode, is_alive, working_in
from aos.drivers.embedded_postgres.server import RunningPostgres, start
from tests.folders import new_folder

ROOT = Path(__file__).resolve().parents[2]
SUPERVISOR = Path(__file__).with_name("embedded_supervisor.py")
DEADLINE_SECONDS = 120.0
LAST_SECONDS = 10.0

AS_ROOT = os.geteuid() == 0
root_only = pytest.mark.skipif(not AS_ROOT, reason="needs root: `sudo make test` runs this")


@dataclass
class Home:
    """One folder that a test may fill, break and start a Postgres in; everything in it ends with the test."""

    folder: Path

    def layout(self, *, port: int | None = None) -> Layout:
        """Return the layout of the Postgres in this home."""
        return locate(self.settings(port=port))

    def settings(self, *, port: int | None = None) -> Settings:
        """Return what a caller would pass in."""
        return Settings(
            checkout=self.folder / "checkout", data_home=self.folder, data_dir=self.folder / "postgres", port=port
        )

    def kill_everything(self) -> None:
        """Kill -9 every process of this home's Postgres, and wait until the last is gone."""
        for pid in working_in(self.layout().data):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not working_in(self.layout().data), "killed processes are gone")


def end_server(data: Path) -> None:
    """End the Postgres of a data folder that nobody needs any more, so that it gives its shared memory back.

    What does not end so is killed: the machine then keeps a segment of it until it restarts.
    """
    with contextlib.suppress(OSError, ValueError, IndexError):
        server = int((data / "postmaster.pid").read_text().splitlines()[0])
        if server in working_in(data):
            with contextlib.closing(ProcessHandle(server)) as handle:
                handle.send(StopMode.IMMEDIATE)
                handle.wait(LAST_SECONDS)
    for pid in working_in(data):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not working_in(data), "killed processes are gone")


@contextlib.contextmanager
def new_home() -> Iterator[Home]:
    """Yield a home below /tmp that the system user may pass."""
    folder = new_folder("home")
    home = Home(folder)
    try:
        yield home
    finally:
        end_server(home.layout().data)
        shutil.rmtree(folder)
        shutil.rmtree(home.layout().sockets, ignore_errors=True)


@contextlib.contextmanager
def started(layout: Layout) -> Iterator[RunningPostgres]:
    """Yield the Postgres of a layout, ended with the test process, and stop it."""
    running = start(replace(layout, ends_with_parent=True))
    try:
        yield running
    finally:
        running.stop()


@contextlib.contextmanager
def supervisor(home: Home, *extra: str, user: int | None = None) -> Iterator[subprocess.Popen[str]]:
    """Yield another process that calls `start` on this home and then supervises until its input is closed."""
    with (
        subprocess.Popen(
            [sys.executable, SUPERVISOR, os.fspath(home.folder), *extra],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/", user=user, group=user,
            extra_groups=[] if user is not None else None, env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}"},
        ) as process,
    ):  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> dict[str, object]:
    """Return what the supervisor says when `start` has come back: the server's pid and DSN, or the error."""
    assert process.stdout is not None
    readable, _, _ = select.select([process.stdout], [], [], DEADLINE_SECONDS)
    assert readable, "the supervisor says nothing"
    answer: dict[str, object] = json.loads(process.stdout.readline())
    return answer


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Look again and again until the condition holds; fail when it does not within the deadline."""
    ends_at = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < ends_at, f"not within {DEADLINE_SECONDS:g} s: {what}"
        select.select([], [], [], 0.005)


def wait_gone(pids: Sequence[int]) -> None:
    """Wait until none of the processes is alive."""
    wait_until(lambda: not any(is_alive(pid) for pid in pids), f"{pids} are gone")
