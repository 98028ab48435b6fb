"""Tools whose calls are held, because their MCP server offers another form than the one that was accepted: who sees it notes it.

A mark belongs to the version that was held: accepting what is offered takes it away with the version. A call that goes
through, a look at what the server offers, and a restart of the server take it away too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from aos.store.hot.database import Database

READ_SECONDS: Final = 30.0
"""How long a process believes what it read of the marks: a call that goes through looks no more often."""
HELD_MAX: Final = 1_000
_KNOWN_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class Held:
    """A tool whose calls are held, why, and since when that is known."""

    tool: str
    server: str
    why: str
    since: datetime


class HeldNotes:
    """Marks what one process sees of calls that are held, and takes marks away."""

    def __init__(self, database: Database, seconds: Callable[[], float]) -> None:
        self._database = database
        self._seconds = seconds
        self._marked: dict[UUID, tuple[float, dict[str, str]]] = {}

    async def note(self, organization_id: UUID, why: Mapping[str, str]) -> None:
        """Mark the tools whose calls are held, and take the mark from those with an empty text."""
        known = await self._known(organization_id)
        for name, told in why.items():
            if told and known.get(name) != told:
                async with self._database.app(organization_id) as transaction:
                    params = {"organization_id": organization_id, "name": name, "why": told}
                    await transaction.run("note_held_tool", params)
                known[name] = told
        free = [name for name, told in why.items() if not told and name in known]
        if free:
            async with self._database.app(organization_id) as transaction:
                await transaction.run("forget_held_tools", {"organization_id": organization_id, "names": free})
            for name in free:
                known.pop(name, None)

    async def _known(self, organization_id: UUID) -> dict[str, str]:
        now = self._seconds()
        found = self._marked.get(organization_id)
        if found is None or now - found[0] > READ_SECONDS:
            async with self._database.app(organization_id) as transaction:
                params = {"organization_id": organization_id, "limit": HELD_MAX}
                rows = await transaction.run("list_held_tools", params)
            if len(self._marked) >= _KNOWN_MAX:
                self._marked.clear()
            found = self._marked[organization_id] = now, {row["name"]: row["why"] for row in rows}
        return found[1]
