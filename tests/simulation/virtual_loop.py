"""An event loop whose clock stands still until it is set on, and that says when nothing is left to do but to wait.

Sockets are real: a statement under way takes its time. Timers are not: they are due when the test says that time has passed.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from typing import Any

IDLE_SECONDS = 0.002
"""Real time without a word from any socket after which the loop counts as idle."""


class _Selector(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    """Waits for sockets, at most for a moment, and says when none had anything to say."""

    def __init__(self) -> None:
        super().__init__()
        self.on_idle: Callable[[], None] | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        waits = timeout is None or timeout > 0
        found: list[tuple[selectors.SelectorKey, int]] = super().select(IDLE_SECONDS if waits else 0)
        if waits and not found and self.on_idle is not None:
            self.on_idle()
        return found


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop of a simulation."""

    _ready: Any
    _scheduled: Any

    def __init__(self) -> None:
        self.now_seconds = 0.0
        self._quiet = _Selector()
        super().__init__(self._quiet)

    def time(self) -> float:
        """Return the time that was set."""
        return self.now_seconds

    def on_idle(self, call: Callable[[], None]) -> None:
        """Call when nothing can run and no socket says anything."""
        self._quiet.on_idle = call

    @property
    def has_work(self) -> bool:
        """Say whether anything else is ready to run."""
        return bool(self._ready)

    def next_timer_seconds(self) -> float | None:
        """Return when the next timer is due, None where there is none."""
        due = [handle.when() for handle in self._scheduled if not handle.cancelled()]
        return min(due, default=None)
