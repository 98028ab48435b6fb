"""The tools whose calls are held, as people read them."""

from __future__ import annotations

from uuid import UUID

from aos.kernel.people import Actor, Permission
from aos.operations.held_tools import HELD_MAX, Held
from aos.operations.registry_records import reading
from aos.store.cold.connection import run_sql


def list_held(actor: Actor) -> tuple[Held, ...]:
    """Return the tools whose calls are held, by name."""
    with reading(actor, Permission.REGISTRY_READ):
        return find_held(actor.organization_id)


def find_held(organization_id: UUID) -> tuple[Held, ...]:
    """Return them in the open transaction."""
    rows = run_sql("list_held_tools", {"organization_id": organization_id, "limit": HELD_MAX})
    return tuple(Held(row["name"], row["server"] or "", row["why"], row["first_at"]) for row in rows)
