"""One attempt to start the server: write its settings, start it, watch until it is ready or has ended.

An attempt answers with a value; which of them are tried again is decided in `server`.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from aos.drivers.embedded_postgres.account import Account
from aos.drivers.embedded_postgres.binaries import Binaries
from aos.drivers.embedded_postgres.configuration import ACCESS, configuration_text, server_settings
from aos.drivers.embedded_postgres.deadlines import Deadline
from aos.drivers.embedded_postgres.folders import write_private
from aos.drivers.embedded_postgres.layout import Layout
from aos.drivers.embedded_postgres.leftover import Status, read_postmaster, wait_for_the_last
from aos.drivers.embedded_postgres.processes import StopMode, spawn

_LOOK_AGAIN_SECONDS = 0.01
_SAID_BYTES_MAX = 16_384
_STOP_SECONDS = 10


class Cause(StrEnum):
    """Why an attempt failed, as far as what to do next depends on it."""

    STILL_HELD = "still-held"
    PORT_TAKEN = "port-taken"
    DISK_FULL = "disk-full"
    TOO_SLOW = "too-slow"
    OTHER = "other"


_SAYINGS = (
    ("No space left on device", Cause.DISK_FULL),
    ("Disk quota exceeded", Cause.DISK_FULL),
    ("could not create any TCP/IP sockets", Cause.PORT_TAKEN),
    ("pre-existing shared memory block", Cause.STILL_HELD),
    ('" already exists', Cause.STILL_HELD),
)


@dataclass(frozen=True, slots=True)
class Cluster:
    """What every attempt needs: where, as whom, with which programs, and the superuser's password."""

    layout: Layout
    account: Account
    binaries: Binaries
    password: str


@dataclass(frozen=True, slots=True)
class Failed:
    """An attempt that did not lead to a ready server, with what the server said."""

    cause: Cause
    said: str


def launch(cluster: Cluster, port: int, *, deadline: Deadline) -> subprocess.Popen[bytes] | Failed:
    """Start the server on the port and return it when it takes connections."""
    layout = cluster.layout
    write_private(layout.access_file, ACCESS, account=cluster.account)
    settings = configuration_text(server_settings(layout, port))
    write_private(layout.configuration_file, settings, account=cluster.account)
    before = _log_sizes(layout)
    output = os.open(layout.startup_log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        process = spawn(
            [
                cluster.binaries.program("postgres"),
                "-D",
                layout.data,
                "-c",
                f"config_file={layout.configuration_file}",
            ],
            cluster.account,
            output=output,
            ends_with_parent=layout.ends_with_parent,
        )
    finally:
        os.close(output)
    try:
        ready = _wait_until_ready(cluster, process, deadline)
    except BaseException:
        _end(process)
        raise
    if ready:
        return process
    too_slow = process.poll() is None
    if too_slow:
        _end(process)
    wait_for_the_last(layout)
    said = _said_since(layout, before)
    return Failed(cause=Cause.TOO_SLOW if too_slow else _cause(said), said=said)


def _wait_until_ready(cluster: Cluster, process: subprocess.Popen[bytes], deadline: Deadline) -> bool:
    while not deadline.passed():
        postmaster = read_postmaster(cluster.layout)
        if postmaster is not None and postmaster.pid == process.pid and postmaster.status is Status.READY:
            return True
        try:
            process.wait(timeout=_LOOK_AGAIN_SECONDS)
        except subprocess.TimeoutExpired:
            continue
        return False
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    """Stop a server that nobody will use; recovery at the next start makes good what it had begun."""
    if process.poll() is None:
        process.send_signal(StopMode.IMMEDIATE)
        try:
            process.wait(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _cause(said: str) -> Cause:
    return next((cause for saying, cause in _SAYINGS if saying in said), Cause.OTHER)


def _log_sizes(layout: Layout) -> dict[Path, int]:
    return {path: path.lstat().st_size for path in layout.log.glob("*.log")}


def _said_since(layout: Layout, before: dict[Path, int]) -> str:
    """Return what this attempt wrote, to its own output and to the rotating log."""
    parts = [_tail(layout.startup_log, 0)]
    parts += [_tail(path, before.get(path, 0)) for path in sorted(layout.log.glob("*.log"))]
    return "\n".join(part for part in parts if part)


def _tail(path: Path, start: int) -> str:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb") as file:
        size = os.fstat(descriptor).st_size
        file.seek(max(start if start <= size else 0, size - _SAID_BYTES_MAX))
        return file.read().decode(errors="replace").strip()
