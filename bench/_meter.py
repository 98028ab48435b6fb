"""What processes cost: CPU and resident memory, from /proc."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


class Meter:
    """CPU seconds of some processes and, where it goes deep, of all below them, ended children included."""

    def __init__(self, pids: Sequence[int], *, deep: bool = True) -> None:
        self.pids = pids
        self._deep = deep
        self.begin()

    def begin(self) -> None:
        """Count from now on."""
        self._before = self._seconds()

    def seconds(self) -> float:
        """Return the CPU seconds since the beginning."""
        return self._seconds() - self._before

    def rss_mb(self) -> float:
        """Return the resident memory of the processes now."""
        pids = _tree(self.pids) if self._deep else self.pids
        pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids]
        return round(sum(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)

    def _seconds(self) -> float:
        total = 0
        for pid in _tree(self.pids) if self._deep else self.pids:
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except FileNotFoundError:
                continue
            total += sum(int(each) for each in fields[11 : 15 if self._deep else 13])
        return total / TICKS


def _tree(pids: Sequence[int]) -> list[int]:
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
    found = dict.fromkeys(pids)
    todo = list(found)
    while todo:
        below = [child for child, parent in parents.items() if parent in todo and child not in found]
        found.update(dict.fromkeys(below))
        todo = below
    return list(found)
