"""The host's watch: ends the process when a pass outlives its signal, and tells the owner that the host lives."""

from __future__ import annotations

import faulthandler
import heapq
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Final

from aos_sdk.frames import EXIT_OVERRAN, PASS_END_SECONDS, Beat, Overran
from aos_sdk.wire import Wire

BEAT_SECONDS: Final = 5.0


class Watch:
    """One thread that waits for the nearest deadline or the next beat."""

    def __init__(self, wire: Wire, busy: Callable[[], int]) -> None:
        self._wire = wire
        self._busy = busy
        self._changed = threading.Condition()
        self._deadlines: list[tuple[float, str]] = []
        self._armed: set[str] = set()

    def start(self) -> None:
        """Start the thread; it never keeps the process alive."""
        threading.Thread(target=self._run, name="aos-watch", daemon=True).start()

    def arm(self, task_id: str) -> None:
        """Give a pass `PASS_END_SECONDS` to end."""
        with self._changed:
            self._armed.add(task_id)
            heapq.heappush(self._deadlines, (time.monotonic() + PASS_END_SECONDS, task_id))
            self._changed.notify()

    def disarm(self, task_id: str) -> None:
        """Note that a pass has ended."""
        if task_id in self._armed:
            with self._changed:
                self._armed.discard(task_id)
                self._deadlines = [entry for entry in self._deadlines if entry[1] != task_id]
                heapq.heapify(self._deadlines)

    def _run(self) -> None:
        beat_at = time.monotonic() + BEAT_SECONDS
        while True:
            with self._changed:
                nearest = min(self._deadlines[0][0] if self._deadlines else beat_at, beat_at)
                self._changed.wait(max(0.0, nearest - time.monotonic()))
                now = time.monotonic()
                overran = self._deadlines[0][1] if self._deadlines and self._deadlines[0][0] <= now else None
            if overran is not None:
                self._end(overran)
            if now >= beat_at:
                self._wire.send(Beat(self._busy(), rss_bytes()))
                beat_at = now + BEAT_SECONDS

    def _end(self, task_id: str) -> None:
        line = f"pass of task {task_id} did not end within {PASS_END_SECONDS:g} s of its signal; the host ends\n"
        os.write(2, line.encode())
        faulthandler.dump_traceback(file=sys.__stderr__ or 2, all_threads=True)
        self._wire.send(Overran(task_id), lock_seconds=0.5)
        os._exit(EXIT_OVERRAN)


def rss_bytes() -> int:
    """Return the resident memory of this process."""
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
