"""What an earlier start may have left: a running server to adopt, processes without a server, a stale lock file.

`postmaster.pid` is removed only when the process of that pid began at another time (or is a zombie, which holds
nothing) **and** no process works in the data folder. In every other case Postgres itself decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from aos.drivers.embedded_postgres.deadlines import Deadline
from aos.drivers.embedded_postgres.layout import Layout
from aos.drivers.embedded_postgres.processes import (
    StopMode,
    describe,
    program_of,
    signal_by_pid,
    started_at_seconds,
    working_in,
)
from aos.kernel.errors import Unavailable

LEFT_OVER_WAIT_SECONDS = 15.0
_GRACE_SECONDS = 1.0
_LAST_WAIT_SECONDS = 5.0
_LOOK_AGAIN_SECONDS = 0.01
_STATUS_LINE = 7
_SAME_START_SECONDS = 3.0
"""How far two statements of one start time may lie apart: both clocks count whole seconds."""


class Status(StrEnum):
    """What a postmaster writes about itself in the last line of its pid file (Postgres, `pidfile.h`)."""

    STARTING = "starting"
    STOPPING = "stopping"
    READY = "ready"
    STANDBY = "standby"


@dataclass(frozen=True, slots=True)
class Postmaster:
    """What `postmaster.pid` says."""

    pid: int
    started_at_seconds: int
    port: int
    sockets: str
    status: Status | None


def read_postmaster(layout: Layout) -> Postmaster | None:
    """Return what the pid file says; None when there is none or it is still being written."""
    try:
        lines = (layout.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        status = lines[_STATUS_LINE].strip() if len(lines) > _STATUS_LINE else ""
        return Postmaster(
            pid=int(lines[0]),
            started_at_seconds=int(lines[2]),
            port=int(lines[3]),
            sockets=lines[4].strip(),
            status=Status(status) if status else None,
        )
    except (FileNotFoundError, IndexError, ValueError):
        return None


def running_postmaster(layout: Layout) -> Postmaster | None:
    """Return the postmaster that runs on the data folder now, whoever started it."""
    postmaster = read_postmaster(layout)
    if postmaster is None or postmaster.pid not in working_in(layout.data):
        return None
    return postmaster


def clear_the_way(layout: Layout) -> None:
    """Make sure that nothing of a dead server hinders a new one.

    Backends whose postmaster was killed end by themselves; those that do not within a second get SIGQUIT, which is
    what the postmaster would send them. Raises Unavailable, naming them, when some are there after 15 s.
    """
    deadline = Deadline(LEFT_OVER_WAIT_SECONDS)
    asked = False
    while there := working_in(layout.data):
        if deadline.passed():
            names = ", ".join(describe(pid) for pid in there)
            raise Unavailable(f"the data folder `{layout.data}` is still used by {names}: end that and start again")
        if not asked and deadline.elapsed_seconds() > _GRACE_SECONDS:
            asked = True
            for pid in _servers(there):
                signal_by_pid(pid, StopMode.IMMEDIATE)
        deadline.pause(_LOOK_AGAIN_SECONDS)
    _remove_stale_pid_file(layout)


def wait_for_the_last(layout: Layout) -> None:
    """Wait until the processes of a server that was stopped are gone: its logger ends a moment after all others.

    What is still there after 5 s is left to the next start.
    """
    deadline = Deadline(_LAST_WAIT_SECONDS)
    while _servers(working_in(layout.data)) and not deadline.passed():
        deadline.pause(_LOOK_AGAIN_SECONDS)


def _servers(there: Sequence[int]) -> list[int]:
    """Return those that run Postgres, or are just ending and show no program any more; somebody's shell may work there too."""
    programs = ((pid, program_of(pid).rpartition("/")[2]) for pid in there)
    return [pid for pid, program in programs if not program or program.startswith("postgres")]


def _remove_stale_pid_file(layout: Layout) -> None:
    postmaster = read_postmaster(layout)
    if postmaster is None or working_in(layout.data):
        return
    began = started_at_seconds(postmaster.pid)
    if began is not None and abs(began - postmaster.started_at_seconds) <= _SAME_START_SECONDS:
        return
    (layout.data / "postmaster.pid").unlink(missing_ok=True)
    (layout.sockets / f".s.PGSQL.{postmaster.port}.lock").unlink(missing_ok=True)
