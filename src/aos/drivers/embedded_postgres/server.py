"""Start, adopt, restart and stop the one Postgres of a folder.

One supervisor a folder: it holds the lock from `start` to `stop`, and the lock falls with its process. A server whose
supervisor was killed runs on and is adopted by the next start when it is healthy, is ours and is what we would start.
"""

from __future__ import annotations

import subprocess
import sys
from typing import assert_never

from aos.drivers.embedded_postgres.account import Announce
from aos.drivers.embedded_postgres.adoption import adopt, end
from aos.drivers.embedded_postgres.deadlines import Deadline
from aos.drivers.embedded_postgres.endpoint import Endpoint
from aos.drivers.embedded_postgres.folders import clear_errors, disk_full
from aos.drivers.embedded_postgres.launch import Cause, Cluster, Failed, launch
from aos.drivers.embedded_postgres.layout import Layout
from aos.drivers.embedded_postgres.leftover import (
    LEFT_OVER_WAIT_SECONDS,
    Status,
    clear_the_way,
    read_postmaster,
    running_postmaster,
)
from aos.drivers.embedded_postgres.memory import SupervisorLock, read_password, read_port, take_lock, write_port
from aos.drivers.embedded_postgres.ports import choose_port, is_free, taken
from aos.drivers.embedded_postgres.preparation import START_BYTES, prepare
from aos.drivers.embedded_postgres.processes import ProcessHandle, StopMode
from aos.kernel.errors import AosError, Unavailable

START_SECONDS = 60.0
"""How long a start may take; only recovery after a crash comes near it."""

STOP_SECONDS = 30.0
LOCK_WAIT_SECONDS = 10.0
_PORT_TRIES_MAX = 5
_LOOK_AGAIN_SECONDS = 0.05
_SAID_CHARACTERS_MAX = 1_000


class RunningPostgres:
    """A server that this process supervises: as its child, or adopted (`process` is None then).

    `fileno()` turns readable when the server ends, so a supervisor can wait for it among others; `restart` then
    starts it anew under the same lock.
    """

    def __init__(self, cluster: Cluster, lock: SupervisorLock) -> None:
        """Hold the lock for a server that `start` brings up."""
        self._cluster = cluster
        self._lock = lock
        self._handle: ProcessHandle | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def layout(self) -> Layout:
        """Return where its things lie."""
        return self._cluster.layout

    @property
    def pid(self) -> int:
        """Return the postmaster's pid."""
        return self._running_handle().pid

    @property
    def adopted(self) -> bool:
        """Say whether an earlier supervisor started it."""
        return self.process is None

    @property
    def endpoint(self) -> Endpoint:
        """Return how to reach it."""
        return Endpoint(sockets=self.layout.sockets, port=self.port, password=self._cluster.password)

    def dsn(self, database: str = "postgres", *, user: str, password: str, over_tcp: bool = False) -> str:
        """Return a connection URI for a role."""
        return self.endpoint.dsn(database, user=user, password=password, over_tcp=over_tcp)

    def superuser_dsn(self, database: str = "postgres", *, over_tcp: bool = False) -> str:
        """Return a connection URI for the superuser."""
        return self.endpoint.superuser_dsn(database, over_tcp=over_tcp)

    def fileno(self) -> int:
        """Return a descriptor that turns readable when the server ends."""
        return self._running_handle().fileno()

    def is_running(self) -> bool:
        """Say whether the server's main process is there; it is reaped when it was our child and ended."""
        if self._handle is None:
            return False
        if self.process is not None:
            return self.process.poll() is None
        return not self._handle.wait(0.0)

    def wait_ready(self, deadline_seconds: float) -> None:
        """Wait until the server takes a connection. Raises Unavailable when it ended or the time is over."""
        deadline = Deadline(deadline_seconds)
        while self.is_running():
            postmaster = read_postmaster(self.layout)
            if postmaster is not None and postmaster.status is Status.READY and self.endpoint.answers():
                return
            if deadline.passed():
                raise Unavailable(f"Postgres (pid {self.pid}) is not ready after {deadline_seconds:g} s")
            self._running_handle().wait(min(_LOOK_AGAIN_SECONDS, deadline.remaining_seconds()))
        raise Unavailable(f"Postgres has ended; what it said is in `{self.layout.log}`")

    def restart(self, *, deadline_seconds: float = START_SECONDS) -> None:
        """Start the server anew after it ended, however it did; nothing acknowledged is lost.

        One that still runs is stopped first. Raises what `start` raises.
        """
        if self.is_running():
            self._end(StopMode.FAST, STOP_SECONDS)
        self._bring_up(Deadline(deadline_seconds))

    def stop(self, mode: StopMode = StopMode.FAST, *, timeout_seconds: float = STOP_SECONDS) -> None:
        """Stop the server and give the lock back; one that has ended already is no error.

        FAST ends open transactions, SMART waits for clients to leave, IMMEDIATE leaves recovery to the next start.
        Raises Unavailable when it does not end, 10 s after it was asked to stop at once.
        """
        if self.is_running():
            self._end(mode, timeout_seconds)
        self.leave_running()

    def leave_running(self) -> None:
        """Give the lock back and let the server run on, for the next start to adopt."""
        if self._handle is not None:
            self._handle.close()
            self._handle = None
        self._lock.release()

    def _end(self, mode: StopMode, timeout_seconds: float) -> None:
        end(self.layout, self._running_handle(), mode=mode, timeout_seconds=timeout_seconds)
        self._handle = None
        if self.process is not None:
            self.process.wait()

    def _running_handle(self) -> ProcessHandle:
        if self._handle is None:
            raise Unavailable("Postgres is not running under this supervisor")
        return self._handle

    def _adopt_or_bring_up(self, deadline: Deadline) -> None:
        found = adopt(self._cluster, deadline=deadline)
        if found is None:
            self._bring_up(deadline)
        else:
            self._handle, self.port = found

    def _bring_up(self, deadline: Deadline) -> None:
        if self._handle is not None:
            self._handle.close()
            self._handle = None
        with clear_errors(self.layout.folder, needed_bytes=START_BYTES):
            self.process, self.port = _launch_with_retries(self._cluster, deadline)
        self._handle = ProcessHandle(self.process.pid)


def start(
    layout: Layout,
    *,
    announce: Announce | None = None,
    deadline_seconds: float = START_SECONDS,
    lock_wait_seconds: float = LOCK_WAIT_SECONDS,
) -> RunningPostgres:
    """Make what is missing, then adopt the server that runs on this folder or start one; return it ready.

    `announce` gets the one line that tells of a system user made. Raises Misconfigured (account, folder, version,
    port asked for), Conflict (another process supervises this folder), Unavailable (disk full, server does not start).
    """
    cluster, lock = prepare(layout, announce or _to_standard_error, lock_wait_seconds=lock_wait_seconds)
    running = RunningPostgres(cluster, lock)
    try:
        running._adopt_or_bring_up(Deadline(deadline_seconds))
    except BaseException:
        lock.release()
        raise
    return running


def find_running(layout: Layout) -> Endpoint | None:
    """Return how to reach the server that runs on this folder now, whoever supervises it; None when none does."""
    postmaster = running_postmaster(layout)
    if postmaster is None or postmaster.status is not Status.READY:
        return None
    return Endpoint(layout.sockets, postmaster.port, read_password(layout.password_file))


def stop_left_over(layout: Layout, *, lock_wait_seconds: float = 0.0, timeout_seconds: float = STOP_SECONDS) -> bool:
    """Stop a server that no supervisor watches any more; say whether there was one.

    Raises Conflict, naming the supervisor, when there is one: it is the one to be stopped.
    """
    if not layout.folder.is_dir():
        return False
    lock = take_lock(layout, wait_seconds=lock_wait_seconds)
    try:
        postmaster = running_postmaster(layout)
        if postmaster is None:
            return False
        end(layout, ProcessHandle(postmaster.pid), mode=StopMode.FAST, timeout_seconds=timeout_seconds)
        return True
    finally:
        lock.release()


def _launch_with_retries(cluster: Cluster, deadline: Deadline) -> tuple[subprocess.Popen[bytes], int]:
    """Launch until it works: while an earlier server lets go for 15 s, and past ports that were snatched from us."""
    layout = cluster.layout
    still_held = Deadline(LEFT_OVER_WAIT_SECONDS)
    ports_tried = 0
    while True:
        clear_the_way(layout)
        port = _pick_port(layout)
        answer = launch(cluster, port, deadline=deadline)
        if not isinstance(answer, Failed):
            write_port(layout, port)
            return answer, port
        if answer.cause is Cause.PORT_TAKEN and layout.port is None and ports_tried < _PORT_TRIES_MAX:
            ports_tried += 1
        elif answer.cause is Cause.STILL_HELD and not still_held.passed():
            still_held.pause(_LOOK_AGAIN_SECONDS)
        else:
            raise _error(cluster, answer, port=port, deadline=deadline)


def _pick_port(layout: Layout) -> int:
    if layout.port is None:
        return choose_port(str(layout.folder), last=read_port(layout))
    if not is_free(layout.port):
        raise taken(layout.port)
    return layout.port


def _error(cluster: Cluster, failed: Failed, *, port: int, deadline: Deadline) -> AosError:
    folder = cluster.layout.folder
    match failed.cause:
        case Cause.DISK_FULL:
            return disk_full(folder, needed_bytes=START_BYTES)
        case Cause.PORT_TAKEN:
            return taken(port)
        case Cause.TOO_SLOW:
            why = f"was not ready within {deadline.seconds:g} s"
        case Cause.STILL_HELD:
            why = f"does not start, because an earlier one has not let go for {LEFT_OVER_WAIT_SECONDS:g} s"
        case Cause.OTHER:
            why = "does not start"
        case never:
            assert_never(never)
    return Unavailable(f"Postgres in `{folder}` {why}; it said: {failed.said[-_SAID_CHARACTERS_MAX:]}")


def _to_standard_error(line: str) -> None:
    sys.stderr.write(line + "\n")
