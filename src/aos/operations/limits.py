"""Limits on agents, tools and models: how many tasks or calls may be under way at once.

A limit belongs to the version in force and is written in that version's own transaction; the limits of a version that waits
count once it is published. Queues have their limits in `queues`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from aos.kernel.people import Actor, Permission
from aos.operations.registry_records import Edit, reading
from aos.store.cold.connection import run_sql


@dataclass(frozen=True, slots=True)
class Limit:
    """How many may be under way at once, and how many are."""

    at_most: int
    under_way: int


def set_limit(edit: Edit, kind: Literal["agent", "tool", "model"], name: str, at_most: int | None) -> None:
    """Set the limit on an agent's tasks, or on a tool's or a model's calls; None takes it away. The caller has asked for its permission."""
    where = {"organization_id": edit.organization_id, "kind": kind, "name": name}
    if at_most is None:
        run_sql("remove_limit", where)
    else:
        run_sql("set_limit", {**where, "id": edit.drivers.ids.new(), "at_most": at_most})


def list_limits(actor: Actor) -> Mapping[tuple[str, str], Limit]:
    """Return the limits on agents, tools and models, by kind and name."""
    with reading(actor, Permission.REGISTRY_READ):
        rows = run_sql("list_limits", {"organization_id": actor.organization_id})
    return {(row["kind"], row["name"]): Limit(row["at_most"], row["under_way"]) for row in rows}
