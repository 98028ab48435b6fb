"""Content opened for people who may read it: many pieces in two statements, and what is known of those that stay shut.

Nothing is opened without the permission `content.read`: without it every piece is simply not there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from aos.kernel.errors import AuditBroken, NotFound
from aos.kernel.json import Json
from aos.kernel.people import Actor, Permission
from aos.operations.contents import open_json
from aos.operations.data_keys import load_data_keys
from aos.operations.drivers import Drivers
from aos.store.cold.connection import run_sql

LISTED_BYTES_MAX: Final = 65_536
"""Longer content is not opened in lists; it is where the one thing it belongs to is asked for."""
ONE_BYTES_MAX: Final = 16_000_000


@dataclass(frozen=True, slots=True)
class Opened:
    """Pieces of content by id; one that was erased, is too long or may not be read is missing."""

    values: Mapping[UUID, Json] = field(default_factory=dict)

    def get(self, id: UUID | None) -> Json:
        """Return a piece, None where it is not here."""
        return None if id is None else self.values.get(id)

    def fields(self, id: UUID | None) -> Mapping[str, Json]:
        """Return a piece that is an object; empty where it is not here."""
        value = self.get(id)
        return value if isinstance(value, dict) else {}


def open_contents(
    drivers: Drivers, actor: Actor, ids: Iterable[UUID | None], *, bytes_max: int = LISTED_BYTES_MAX
) -> Opened:
    """Return the pieces of these ids, opened, in the open transaction; nothing where the actor may not read content."""
    wanted = sorted({id for id in ids if id is not None})
    if not wanted or not actor.may(Permission.CONTENT_READ):
        return Opened()
    params = {"organization_id": actor.organization_id, "ids": wanted, "bytes_max": bytes_max}
    rows = run_sql("load_contents", params)
    keys = load_data_keys(drivers, actor.organization_id)
    values: dict[UUID, Json] = {}
    for row in rows:
        try:
            values[row["id"]] = open_json(row, keys=keys, crypto=drivers.crypto)
        except (NotFound, AuditBroken):
            continue
    return Opened(values)
