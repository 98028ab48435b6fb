"""`aos status`: what of this installation runs, as the state file, /proc and the table of processes say."""

from __future__ import annotations

import socket
from dataclasses import dataclass, replace
from typing import Any

from aos.boot.by_hand import workers_by_hand
from aos.boot.config import Config
from aos.boot.connections import OPTIONAL
from aos.boot.owner import owner_login
from aos.boot.paths import Paths
from aos.boot.state import ProcessState, State, read_state
from aos.drivers.embedded_postgres.processes import is_alive
from aos.drivers.embedded_postgres.server import find_running
from aos.kernel.errors import AosError


@dataclass(frozen=True, slots=True)
class Status:
    """What is shown; `governed` is true only where every process that was heard of lately saw its canaries refused."""

    running: bool
    ready: bool
    governed: bool
    state: State | None
    heard_of: tuple[dict[str, Any], ...] = ()
    note: str = ""
    by_hand: tuple[ProcessState, ...] = ()
    """Workers of this installation that `aos worker` started."""

    @property
    def elsewhere(self) -> tuple[dict[str, Any], ...]:
        """Return who works on the same database and is none of ours: on other machines, or of another folder here."""
        known = {each.pid for each in (*(self.state.processes if self.state else ()), *self.by_hand)}
        here = socket.gethostname()
        return tuple(
            row for row in self.heard_of if row["host"] != here or (row["pid"] not in known and is_alive(row["pid"]))
        )


def read_status(config: Config, paths: Paths) -> Status:
    """Return how this installation stands; a database that does not answer is a note, not an error."""
    state = read_state(paths)
    by_hand = tuple(each.process for each in workers_by_hand(paths))
    if state is None or not state.supervisor.alive:
        return _not_running(paths, state, by_hand)
    needed = [each for each in state.processes if each.kind not in OPTIONAL]
    ready = state.ready and all(each.ready and each.alive for each in needed)
    status = Status(running=True, ready=ready, governed=False, state=state, by_hand=by_hand)
    try:
        # Django-free: the owner's login is used by this short command alone.
        from aos.store.server import list_processes

        seen = list_processes(owner_login(config, paths))
    except AosError as error:
        return replace(status, note=error.detail)
    here = {each.pid for each in needed}
    heard = {each.pid for each in seen if each.host == socket.gethostname()}
    governed = bool(seen) and here <= heard and all(each.governed for each in seen)
    ready_by_hand = tuple(replace(each, ready=each.pid in heard) for each in by_hand)
    return replace(status, governed=governed, heard_of=tuple(map(_row, seen)), by_hand=ready_by_hand)


def _not_running(paths: Paths, state: State | None, by_hand: tuple[ProcessState, ...]) -> Status:
    left = [each.pid for each in state.processes if each.alive] if state is not None else []
    if find_running(paths.postgres) is not None:
        left.append(state.postgres.pid if state is not None and state.postgres is not None else 0)
    note = ""
    if left:
        pids = ", ".join(str(pid) for pid in left if pid) or "its Postgres"
        note = f"its supervisor was killed; still there: {pids}; `aos up` goes on with it, `aos down` ends it"
    return Status(running=False, ready=False, governed=False, state=None, note=note, by_hand=by_hand)


def _row(each: Any) -> dict[str, Any]:
    return {
        "kind": each.kind,
        "host": each.host,
        "pid": each.pid,
        "version": each.version,
        "governed": each.governed,
        "detail": each.detail,
        "started_at": each.started_at.isoformat(),
        "seen_at": each.seen_at.isoformat(),
        "silent_seconds": round(each.silent_seconds, 1),
    }


def status_lines(status: Status) -> list[str]:
    """Return the status for a person to read."""
    state = status.state
    if not status.running or state is None:
        by_hand = [f"  {each.name:15} pid {each.pid:<8} runs, started by hand" for each in status.by_hand]
        return ["AOS is not running", *([status.note] if status.note else []), *by_hand]
    governed = "governed: every canary act was refused" if status.governed else "NOT governed"
    lines = [f"AOS {state.version} at {state.url}, {'ready' if status.ready else 'not ready'}, {governed}"]
    if state.postgres is not None:
        whose = f"embedded, pid {state.postgres.pid}" if state.postgres.embedded else "not ours"
        lines.append(f"  {'postgres':15} {state.postgres.version} at {state.postgres.address} ({whose})")
    if state.grpc:
        lines.append(f"  {'gRPC':15} at {state.grpc}")
    lines += [_line(each) for each in (state.supervisor, *state.processes)]
    lines += [f"{_line(each)}, started by hand" for each in status.by_hand]
    lines += [_other_line(row) for row in status.elsewhere]
    lines.append(f"  logs in {state.logs}")
    lines += [
        f"  refused too little: {failure}" for row in status.heard_of for failure in row["detail"].get("failures", ())
    ]
    return lines + ([f"  {status.note}"] if status.note else [])


def _other_line(row: dict[str, Any]) -> str:
    name = row["detail"].get("name") or row["kind"]
    return f"  {name:15} pid {row['pid']:<8} on {row['host']}, heard of {row['silent_seconds']:.0f} s ago"


def _line(each: ProcessState) -> str:
    how = "ready" if each.ready and each.alive else "starting" if each.alive else "ended"
    again = f", started again {each.restarts} times" if each.restarts > 1 else ""
    again = ", started again once" if each.restarts == 1 else again
    return f"  {each.name:15} pid {each.pid:<8} {how}{again}"
