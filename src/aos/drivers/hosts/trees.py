"""Processes beneath a host: found, measured and killed together, so that nothing an agent started outlives its host.

A host adopts what its descendants leave behind, so all of them are found beneath it while it lives; after it has died they
are found by the variable `MARK` of their environment, which names the host and is handed on unless a process clears it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MARK: Final = "AGENT_HOST"
_PROC: Final = Path("/proc")
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Usage:
    """What a host and everything beneath it hold and have used."""

    rss_bytes: int = 0
    cpu_seconds: float = 0.0
    children: int = 0
    stopped: bool = False
    """Whether the host itself stands still by a signal: not one that waits, sleeps or is looked at by a debugger."""


def children_of(pid: int) -> list[int]:
    """Return the processes whose parent is `pid`; none where it is gone."""
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as children:
                found += [int(child) for child in children.read().split()]
    except FileNotFoundError:
        if not os.path.exists(f"/proc/{pid}/task/{pid}/children"):
            return [child for child in _processes() if _parent(child) == pid]
    except (ProcessLookupError, PermissionError):
        pass
    return found


def beneath(pid: int) -> list[int]:
    """Return every process beneath `pid`, parents before their children."""
    found: list[int] = []
    todo = [pid]
    while todo:
        fresh = [child for child in children_of(todo.pop()) if child not in found]
        found += fresh
        todo += fresh
    return found


def usage_of(pid: int) -> Usage:
    """Return what a process and everything beneath it hold and have used; what is gone counts for nothing."""
    rss = ticks = 0
    stopped = False
    children = beneath(pid)
    for each in (pid, *children):
        try:
            with open(f"/proc/{each}/statm", encoding="ascii") as statm:
                rss += int(statm.read().split()[1])
            with open(f"/proc/{each}/stat", encoding="utf-8", errors="replace") as stat:
                fields = stat.read().rpartition(")")[2].split()
            ticks += sum(int(field) for field in fields[11:15])
            stopped |= each == pid and fields[0] == "T"
        except (OSError, ValueError, IndexError):
            continue
    return Usage(rss * _PAGE, ticks / _TICKS, len(children), stopped)


def kill_beneath(pid: int, *, itself: bool) -> None:
    """Kill everything beneath a process, and the process `itself` where asked so.

    All are stopped before the first is killed, so that none starts another meanwhile.
    """
    _signal(pid, signal.SIGSTOP)
    stopped: list[int] = []
    while fresh := [each for each in beneath(pid) if each not in stopped]:
        for each in fresh:
            _signal(each, signal.SIGSTOP)
        stopped += fresh
    for each in stopped:
        _signal(each, signal.SIGKILL)
    _signal(pid, signal.SIGKILL if itself else signal.SIGCONT)


def kill_marked(mark: str) -> int:
    """Kill every process of this account whose environment has `MARK` beginning with `mark`; return how many."""
    wanted = f"{MARK}={mark}".encode()
    killed = 0
    for pid in _processes():
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            continue
        if pid != os.getpid() and any(entry.startswith(wanted) for entry in environment.split(b"\0")):
            killed += _signal(pid, signal.SIGKILL)
    return killed


def _processes() -> Iterator[int]:
    return (int(name) for name in os.listdir(_PROC) if name.isdigit())


def _parent(pid: int) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", errors="replace")
    except OSError:
        return None
    return int(stat.rpartition(")")[2].split()[1])


def _signal(pid: int, number: signal.Signals) -> bool:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True
