"""A witness of what was not the test's doing: that the machine stood still, or that somebody else stopped a process.

How soon work goes on after a fault says something of AOS only where nothing else held it up. What is lost or repeated is
judged whatever the machine did.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

LOOK_SECONDS = 0.5
LATE_SECONDS = 1.0
"""How much later than due a look may be: past it this process got no processor, and others will have fared alike."""


class Witness:
    """Looks twice a second, and keeps the times at which something stood still."""

    def __init__(self, processes: Callable[[], list[int]]) -> None:
        self.ours: frozenset[int] = frozenset()
        """Processes that the test itself stops just now."""
        self._processes = processes
        self._stood_still: list[tuple[float, float]] = []
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._look, name="witness")

    def stood_still(self, since: float, until: float) -> bool:
        """Say whether anything stood still between two times."""
        return any(began < until and ended > since for began, ended in self._stood_still)

    def _look(self) -> None:
        before = time.time()
        while not self._ending.wait(LOOK_SECONDS):
            now = time.time()
            if now - before > LOOK_SECONDS + LATE_SECONDS or any(_is_stopped(pid) for pid in self._others()):
                self._stood_still.append((before, time.time()))
            before = now

    def _others(self) -> list[int]:
        try:
            return [pid for pid in self._processes() if pid not in self.ours]
        except (OSError, ValueError, KeyError):
            return []  # the list of processes is being written, or its writer was killed

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look until the end of the block."""
        self._thread.start()
        try:
            yield
        finally:
            self._ending.set()
            self._thread.join()


def _is_stopped(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in ("T", "t")
    except OSError:
        return False
