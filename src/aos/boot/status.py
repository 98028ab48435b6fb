"""`aos status`: what of this installation runs, as the state file, /proc and the table of processes say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aos.boot.config import Config
from aos.boot.owner import owner_login
from aos.boot.paths import Paths
from aos.boot.state import ProcessState, State, read_state
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


def read_status(config: Config, paths: Paths) -> Status:
    """Return how this installation stands; a database that does not answer is a note, not an error."""
    state = read_state(paths)
    if state is None or not state.supervisor.alive:
        return _not_running(paths, state)
    ready = state.ready and all(each.ready and each.alive for each in state.processes)
    try:
        # Django-free: the owner's login is used by this short command alone.
        from aos.store.server import list_processes

        seen = list_processes(owner_login(config, paths))
    except AosError as error:
        return Status(running=True, ready=ready, governed=False, state=state, note=error.detail)
    rows = tuple(_row(each) for each in seen)
    here = {each.pid for each in state.processes}
    ours = [each for each in seen if each.pid in here]
    governed = bool(seen) and len(ours) >= len(here) and all(each.governed for each in seen)
    return Status(running=True, ready=ready, governed=governed, state=state, heard_of=rows)


def _not_running(paths: Paths, state: State | None) -> Status:
    left = [each.pid for each in state.processes if each.alive] if state is not None else []
    if find_running(paths.postgres) is not None:
        left.append(state.postgres.pid if state is not None and state.postgres is not None else 0)
    if not left:
        return Status(running=False, ready=False, governed=False, state=None)
    pids = ", ".join(str(pid) for pid in left if pid) or "its Postgres"
    note = f"its supervisor was killed; still there: {pids}; `aos up` goes on with it, `aos down` ends it"
    return Status(running=False, ready=False, governed=False, state=state, note=note)


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
        return ["AOS is not running", *([status.note] if status.note else [])]
    governed = "governed: every canary act was refused" if status.governed else "NOT governed"
    lines = [f"AOS {state.version} at {state.url}, {'ready' if status.ready else 'not ready'}, {governed}"]
    if state.postgres is not None:
        whose = f"embedded, pid {state.postgres.pid}" if state.postgres.embedded else "not ours"
        lines.append(f"  {'postgres':15} {state.postgres.version} at {state.postgres.address} ({whose})")
    lines += [_line(each) for each in (state.supervisor, *state.processes)]
    lines.append(f"  logs in {state.logs}")
    lines += [
        f"  refused too little: {failure}" for row in status.heard_of for failure in row["detail"].get("failures", ())
    ]
    return lines + ([f"  {status.note}"] if status.note else [])


def _line(each: ProcessState) -> str:
    how = "ready" if each.ready and each.alive else "starting" if each.alive else "ended"
    again = f", started again {each.restarts} times" if each.restarts > 1 else ""
    again = ", started again once" if each.restarts == 1 else again
    return f"  {each.name:15} pid {each.pid:<8} {how}{again}"
