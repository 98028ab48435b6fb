"""Signals as something to wait on: a descriptor turns readable and the number of calls to end is counted."""

from __future__ import annotations

import os
import signal
from types import FrameType


class Wakeup:
    """Catches SIGTERM, SIGINT and SIGHUP for as long as the process runs."""

    def __init__(self) -> None:
        self.asked = 0
        self._reading, writing = os.pipe()
        for descriptor in (self._reading, writing):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._ask)

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._reading

    def clear(self) -> None:
        """Take what was written, so that the next signal is noticed."""
        try:
            os.read(self._reading, 512)
        except BlockingIOError:
            return

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked += 1
