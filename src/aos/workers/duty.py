"""A duty: something a worker does again and again. One method does one step; only the loop around it waits.

Every duty is level-triggered: it reads what is true and makes one step towards what should be, so that a bell that was lost,
or a step that failed, costs one interval and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from datetime import datetime
from typing import Protocol

from aos.kernel.errors import AosError

_log = logging.getLogger(__name__)

STEPS_AT_ONCE_MAX = 1_000
"""Steps of a duty that always finds work before it lets an interval pass, as a bound and not as a rate."""


class Duty(Protocol):
    """One thing that a worker does."""

    name: str
    interval_seconds: float

    async def work_once(self, now: datetime | None) -> int:
        """Make one step and return how much was done; 0 when there was nothing to do. `now` is the database's time."""
        ...


class Clock(Protocol):
    """Tells the database's time, where it is known."""

    def now(self) -> datetime:
        """Return the database's time; raise Unavailable before it is known."""
        ...


class Loop:
    """Works on one duty until it is stopped: at once when woken, else after its interval."""

    def __init__(self, duty: Duty, clock: Clock) -> None:
        self.duty = duty
        self._clock = clock
        self._woken = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run(), name=f"duty-{self.duty.name}")

    def wake(self) -> None:
        """Work now and not only after the interval."""
        self._woken.set()

    def ring(self, _payload: str) -> None:
        """Work now, whatever a bell says."""
        self._woken.set()

    async def stop(self) -> None:
        """End after the step under way."""
        self._stopping = True
        self._woken.set()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while not self._stopping:
            self._woken.clear()
            if not await self._step():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._woken.wait(), self.duty.interval_seconds)

    async def _step(self) -> bool:
        """Work until there is nothing to do; return False then, and after a failure."""
        for _ in range(STEPS_AT_ONCE_MAX):
            if self._stopping:
                return False
            try:
                done = await self.duty.work_once(self._now())
            except AosError as error:
                _log.warning("duty %s: %s", self.duty.name, error.detail)
                return False
            except Exception:  # a duty outlives whatever one step brings
                _log.exception("duty %s failed", self.duty.name)
                return False
            if not done:
                return False
        return True

    def _now(self) -> datetime | None:
        try:
            return self._clock.now()
        except AosError:
            return None
