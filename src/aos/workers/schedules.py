"""Starts what schedules say, when it is due; sleeps until the next time, or until it is to look again."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime
from typing import Final
from uuid import UUID

from aos.kernel.errors import AosError
from aos.operations.due_schedules import DueSchedules, Fired

SLEEP_SECONDS: Final = 2.0
"""The longest sleep: a schedule that is filed meanwhile, or was moved, is seen after it."""
WAIT_SECONDS: Final = 5.0
"""How long a time that could not be acted on is left alone, so that it keeps none of the others waiting."""

_log = logging.getLogger(__name__)


class ScheduleDuty:
    """Starts runs by time."""

    name = "schedules"

    def __init__(self, schedules: DueSchedules) -> None:
        self.interval_seconds = SLEEP_SECONDS
        self._schedules = schedules
        self._left_alone: dict[UUID, float] = {}

    async def work_once(self, now: datetime | None) -> int:
        """Act on what is due; return how many schedules moved on."""
        clock = asyncio.get_running_loop().time
        self._left_alone = {id: until for id, until in self._left_alone.items() if until > clock()}
        done = 0
        for found in await self._schedules.due(passed_over=list(self._left_alone)):
            fired = await self._fire(found["id"], found)
            if fired is Fired.WAITS:
                self._left_alone[found["id"]] = clock() + WAIT_SECONDS
            else:
                done += 1
        until_next = await self._schedules.seconds_until_next()
        self.interval_seconds = SLEEP_SECONDS if until_next is None else min(max(until_next, 0.01), SLEEP_SECONDS)
        return done

    async def _fire(self, id: UUID, found: dict[str, object]) -> Fired:
        """Act on one; a failure concerns this one alone."""
        try:
            return await self._schedules.fire(found)
        except AosError as error:
            _log.warning("schedule %s: %s", id, error.detail)
        except Exception:  # whatever one schedule brings, the others are due
            _log.exception("schedule %s failed", id)
        return Fired.WAITS
