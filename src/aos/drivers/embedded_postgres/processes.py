"""What the machine says about processes, read from /proc, and how they are started and signalled.

A pid alone never identifies a process here: it is always joined by its start time or its working directory. A zombie
counts as gone: it has no memory and no files left.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
from collections.abc import Callable, Sequence
from enum import IntEnum
from pathlib import Path

from aos.drivers.embedded_postgres.account import Account
from aos.kernel.errors import Misconfigured

_PROC = Path("/proc")
_PR_SET_PDEATHSIG = 1
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_COMMAND_LENGTH_MAX = 120


class StopMode(IntEnum):
    """What Postgres does on each signal (PostgreSQL documentation, "Shutting Down the Server")."""

    SMART = signal.SIGTERM
    FAST = signal.SIGINT
    IMMEDIATE = signal.SIGQUIT


class ProcessHandle:
    """One process, held by a descriptor so that a reused pid is never mistaken for it; it need not be a child."""

    __slots__ = ("_descriptor", "pid")

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._descriptor: int = os.pidfd_open(pid)

    def fileno(self) -> int:
        """Return the descriptor, which turns readable when the process ends."""
        return self._descriptor

    def wait(self, timeout_seconds: float) -> bool:
        """Wait until the process ended; say whether it did."""
        poller = select.poll()
        poller.register(self._descriptor, select.POLLIN)
        return bool(poller.poll(max(0.0, timeout_seconds) * 1000))

    def send(self, what: StopMode) -> None:
        """StopMode the process; one that is already gone is no error."""
        try:
            signal.pidfd_send_signal(self._descriptor, what)
        except ProcessLookupError:
            return

    def close(self) -> None:
        """Give the descriptor back."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def spawn(
    arguments: Sequence[str | Path],
    account: Account,
    *,
    output: int,
    keep_open: Sequence[int] = (),
    ends_with_parent: bool = False,
) -> subprocess.Popen[bytes]:
    """Start a program as the account, in a session of its own and with a clean environment.

    Raises Misconfigured where the operating system does not let us change to the account.
    """
    switch = account.is_other
    try:
        return subprocess.Popen(
            [os.fspath(argument) for argument in arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            env={"LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/bin:/bin"},
            user=account.uid if switch else None,
            group=account.gid if switch else None,
            extra_groups=[] if switch else None,
            start_new_session=True,
            umask=0o077,
            pass_fds=keep_open,
            preexec_fn=_end_with_parent(os.getpid()) if ends_with_parent else None,  # noqa: PLW1509
        )
    except PermissionError as error:
        raise Misconfigured(
            f"cannot start `{arguments[0]}` as `{account.name}` ({error.strerror}): start AOS as an ordinary user, "
            "or set AOS_DATABASE_URL"
        ) from error


def signal_by_pid(pid: int, what: StopMode) -> None:
    """StopMode a process whose pid was just read from /proc; one that is gone is no error."""
    try:
        os.kill(pid, what)
    except ProcessLookupError:
        return


def is_alive(pid: int) -> bool:
    """Say whether a process of that pid exists and is no zombie."""
    fields = _stat_fields(pid)
    return fields is not None and fields[0] not in ("Z", "X")


def started_at_seconds(pid: int) -> float | None:
    """Return when the process began, in seconds since 1970 and exact to about a second; None when it is gone."""
    fields = _stat_fields(pid)
    if fields is None or fields[0] in ("Z", "X"):
        return None
    booted = next(line for line in (_PROC / "stat").read_text().splitlines() if line.startswith("btime "))
    return int(booted.split()[1]) + int(fields[19]) / _TICKS_PER_SECOND


def working_in(folder: Path) -> list[int]:
    """Return the pids whose working directory is the folder; processes that we may not look at are left out."""
    try:
        wanted = folder.stat()
    except FileNotFoundError:
        return []
    found: list[int] = []
    for pid in pids():
        try:
            there = os.stat(f"{_PROC}/{pid}/cwd")
        except OSError:
            continue
        if (there.st_dev, there.st_ino) == (wanted.st_dev, wanted.st_ino):
            found.append(pid)
    return found


def program_of(pid: int) -> str:
    """Return the path of the program that a process runs, empty when it is gone or not ours to see."""
    try:
        return os.readlink(f"{_PROC}/{pid}/exe")
    except OSError:
        return ""


def describe(pid: int) -> str:
    """Return a process as a person knows it: pid and command."""
    try:
        raw = (_PROC / str(pid) / "cmdline").read_bytes()
        command = raw.replace(b"\0", b" ").decode(errors="replace").strip()
        command = command or (_PROC / str(pid) / "comm").read_text().strip()
    except OSError:
        return f"pid {pid}"
    return f"pid {pid} (`{command[:_COMMAND_LENGTH_MAX]}`)"


def pids() -> list[int]:
    """Return the pid of every process that can be seen."""
    return [int(name) for name in os.listdir(_PROC) if name.isdigit()]


def _stat_fields(pid: int) -> list[str] | None:
    """Return the fields of /proc/pid/stat after the command, which may itself hold spaces and brackets."""
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    return text.rpartition(")")[2].split()


def _end_with_parent(parent: int) -> Callable[[], None]:
    """Return what a new process does so that it gets SIGQUIT when its starter dies, however that dies."""
    libc = ctypes.CDLL(None)

    def ask() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGQUIT))
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGQUIT)

    return ask
