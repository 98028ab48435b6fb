"""The package's only clock: how long a wait may still take.

Every wait in this package is bounded by a `Deadline`; nothing else here reads the time or sleeps.
"""

from __future__ import annotations

import time


class Deadline:
    """A moment on the monotonic clock after which waiting ends."""

    __slots__ = ("_ends_at", "seconds")

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._ends_at = time.monotonic() + seconds

    def remaining_seconds(self) -> float:
        """Return what is left, never below zero."""
        return max(0.0, self._ends_at - time.monotonic())

    def elapsed_seconds(self) -> float:
        """Return what has passed since the deadline was set."""
        return self.seconds - (self._ends_at - time.monotonic())

    def passed(self) -> bool:
        """Say whether the time is over."""
        return self.remaining_seconds() <= 0.0

    def pause(self, seconds: float) -> None:
        """Wait a short while between two looks, never past the deadline."""
        time.sleep(min(seconds, self.remaining_seconds()))
