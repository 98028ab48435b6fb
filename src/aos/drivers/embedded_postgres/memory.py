"""What is remembered between starts beside the data: the port, the superuser's password, and who supervises.

The lock is held for a supervisor's whole life and falls with it, however it ends; its file is never removed.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from pathlib import Path

from aos.drivers.embedded_postgres.deadlines import Deadline
from aos.drivers.embedded_postgres.folders import write_private
from aos.drivers.embedded_postgres.layout import Layout
from aos.drivers.embedded_postgres.processes import describe, is_alive
from aos.kernel.errors import Conflict, Misconfigured

_LOOK_AGAIN_SECONDS = 0.05
_PASSWORD_BYTES = 24
_PORT_MAX = 65_535


class SupervisorLock:
    """The right to start and stop the Postgres of one folder, held by one process at a time."""

    __slots__ = ("_descriptor",)

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        """Return the descriptor; a child that keeps it open keeps the lock."""
        return self._descriptor

    def release(self) -> None:
        """Give the lock back; doing so twice is no error."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def take_lock(layout: Layout, *, wait_seconds: float) -> SupervisorLock:
    """Take the folder's lock. Raises Conflict, naming the process that holds it, when it is not free in time."""
    descriptor = os.open(layout.lock_file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    deadline = Deadline(wait_seconds)
    while not _try_lock(descriptor):
        if deadline.passed():
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
            os.close(descriptor)
            raise Conflict(f"{_holder_in_words(holder)} supervises the Postgres in `{layout.folder}`: stop it first")
        deadline.pause(_LOOK_AGAIN_SECONDS)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return SupervisorLock(descriptor)


def read_port(layout: Layout) -> int | None:
    """Return the port of the last start; None when there was none or the file is not readable as such."""
    try:
        port = json.loads(layout.state_file.read_text(encoding="utf-8"))["port"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return port if isinstance(port, int) and 0 < port <= _PORT_MAX else None


def write_port(layout: Layout, port: int) -> None:
    """Remember the port for the next start."""
    write_private(layout.state_file, json.dumps({"format": 1, "port": port}) + "\n")


def make_password() -> str:
    """Return a new password that nobody can guess."""
    return secrets.token_urlsafe(_PASSWORD_BYTES)


def read_password(path: Path) -> str:
    """Return the superuser's password. Raises Misconfigured when its file is gone."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise Misconfigured(
            f"the data folder is there but its superuser's password, file `{path}`, is not: restore the file, "
            "or move the folder away to begin anew"
        ) from None


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder_in_words(holder: str) -> str:
    if holder.isdigit() and is_alive(int(holder)):
        return describe(int(holder))
    return "another process"
