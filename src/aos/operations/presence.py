"""Whether an agent outside is there: it is where it asked for its tasks, or held one, a moment ago.

Noted when it asks and when it renews a lease, at most every `NOTE_SECONDS` in each process: a waiting request is longer.
It is a reading for people. Nothing is decided by it: a task waits for its agent, whether anybody has seen it or not.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from aos.kernel.errors import AosError
from aos.kernel.limits import WAIT_SECONDS_MAX
from aos.store.hot.database import Database

NOTE_SECONDS: Final = 20.0
HERE_SECONDS: Final = WAIT_SECONDS_MAX + 2 * NOTE_SECONDS
"""How long after it was last heard of an agent counts as there: the longest wait for tasks, and what is late on top."""
_KNOWN_MAX: Final = 10_000

_LOG = logging.getLogger(__name__)


class Presence(StrEnum):
    """Whether an agent outside is there."""

    NEVER = "never"
    """It never asked for tasks."""
    HERE = "here"
    AWAY = "away"


@dataclass(frozen=True, slots=True)
class Seen:
    """When an agent outside was heard of, first and last; None where it never was."""

    presence: Presence
    first_at: datetime | None = None
    last_at: datetime | None = None


def seen_of(first_at: datetime | None, last_at: datetime | None, now: datetime) -> Seen:
    """Return whether an agent that was last heard of then is there now."""
    if first_at is None or last_at is None:
        return Seen(Presence.NEVER)
    here = now - last_at <= timedelta(seconds=HERE_SECONDS)
    return Seen(Presence.HERE if here else Presence.AWAY, first_at, last_at)


class PresenceNotes:
    """Notes in one process that agents outside were heard of."""

    def __init__(self, database: Database, seconds: Callable[[], float]) -> None:
        self._database = database
        self._seconds = seconds
        self._noted: dict[UUID, float] = {}

    async def note(self, organization_id: UUID, agent_id: UUID) -> None:
        """Write down that an agent was heard of now, unless this process did a moment ago."""
        now = self._seconds()
        last = self._noted.get(agent_id)
        if last is not None and now - last < NOTE_SECONDS:
            return
        if len(self._noted) >= _KNOWN_MAX:
            self._noted.clear()
        self._noted[agent_id] = now
        params = {"organization_id": organization_id, "agent_id": agent_id}
        try:
            async with self._database.app(organization_id) as transaction:
                await transaction.run("note_agent_presence", params)
        except AosError as error:
            _LOG.warning("could not note that an agent outside is there: %s", error.detail)
