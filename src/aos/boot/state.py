"""What runs now, in one private file that the supervisor replaces whenever it changes; and the one supervisor's lock.

A pid alone names no process: it stands beside the time at which that process began.
"""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass, field

import msgspec

from aos.boot.files import read_private, write_private
from aos.boot.paths import Paths
from aos.drivers.embedded_postgres.processes import started_at_seconds
from aos.kernel.errors import Conflict

_SAME_START_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class ProcessState:
    """One process: `began_seconds` since 1970, `restarts` since `aos up`."""

    name: str
    kind: str
    pid: int
    began_seconds: float
    ready: bool = False
    restarts: int = 0
    log: str = ""

    @property
    def alive(self) -> bool:
        """Say whether exactly this process is still there."""
        began = started_at_seconds(self.pid) if self.pid else None
        return began is not None and abs(began - self.began_seconds) <= _SAME_START_SECONDS


@dataclass(frozen=True, slots=True)
class PostgresState:
    """The database as `aos status` shows it; `pid` is 0 where it is not ours."""

    version: str
    address: str
    embedded: bool
    pid: int = 0


@dataclass(frozen=True, slots=True)
class State:
    """What one supervisor runs."""

    version: str
    installation: str
    supervisor: ProcessState
    host: str
    port: int
    url: str
    logs: str
    ready: bool
    postgres: PostgresState | None
    processes: tuple[ProcessState, ...] = ()
    agent_path: tuple[str, ...] = ()
    grpc: str = ""
    """Where gRPC is served, empty where it is not."""
    settings: dict[str, str] = field(default_factory=dict)
    """The settings that it was started with, as they are written; of a secret one, its digest."""


def process_state(
    name: str, kind: str, pid: int, *, ready: bool = False, restarts: int = 0, log: str = ""
) -> ProcessState:
    """Return the state of a process that was just started; one that is gone already has no beginning."""
    return ProcessState(name, kind, pid, started_at_seconds(pid) or 0.0, ready, restarts, log)


def write_state(paths: Paths, state: State) -> None:
    """Replace the state file."""
    write_private(paths.state_file, msgspec.json.format(msgspec.json.encode(state), indent=2) + b"\n")


def read_state(paths: Paths) -> State | None:
    """Return what the last supervisor wrote, None where there is nothing or a version of AOS wrote it that we cannot read."""
    content = read_private(paths.state_file)
    return None if content is None else decode_state(content)


def decode_state(content: bytes) -> State | None:
    """Return the state that a file's content says, None where it says none."""
    try:
        return msgspec.json.decode(content, type=State)
    except msgspec.MsgspecError:
        return None


def remove_state(paths: Paths) -> None:
    """Say that nothing runs."""
    paths.state_file.unlink(missing_ok=True)


class InstallationLock:
    """The right to run this installation; it falls with its process, however that ends, and its file is never removed."""

    def __init__(self, paths: Paths) -> None:
        """Take the lock. Raises Conflict, naming the supervisor that holds it."""
        self._descriptor = os.open(paths.lock_file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            raise Conflict(_running_already(paths)) from None

    def release(self) -> None:
        """Give the lock back."""
        os.close(self._descriptor)


def is_supervised(paths: Paths) -> bool:
    """Say whether a supervisor runs this installation now."""
    if not paths.lock_file.is_file():
        return False
    try:
        InstallationLock(paths).release()
    except Conflict:
        return True
    return False


def _running_already(paths: Paths) -> str:
    state = read_state(paths)
    if state is None or not state.supervisor.alive:
        return f"another `aos up` is starting or stopping AOS of `{paths.installation}`: wait, then `aos status`"
    return f"AOS of `{paths.installation}` is already running at {state.url} (pid {state.supervisor.pid}): `aos down` stops it"
