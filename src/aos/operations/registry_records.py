"""How the registry is changed: one transaction that raises the epoch, makes the changes and records each of them.

Every operation that writes takes an open `Edit`: it asks `edit.require` for its permission first, and ends in
`edit.record`. Several operations share an edit where they must stand or fall together. Operations that read open their
own transaction with `reading`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from uuid import UUID

from aos.kernel.errors import Forbidden
from aos.kernel.ledger.record import Record, RecordKind, record_time
from aos.kernel.people import Actor, Permission
from aos.operations.drivers import Drivers
from aos.operations.records import place, record_row
from aos.operations.registry import Registry, read_registry
from aos.store.cold.connection import run_sql, tenant
from aos.store.rows import RecordRow, rows_json


class Undone(Exception):
    """Rolls the transaction of a dry run back."""


@dataclass
class Edit:
    """One open change of an organization's registry: who makes it, under which epoch, at what time of the database."""

    drivers: Drivers
    actor: Actor
    epoch: int
    now: datetime
    records: list[RecordRow] = field(default_factory=list)
    waiting: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    """What was stored and does not count yet, by kind and name, with the reasons."""

    @property
    def organization_id(self) -> UUID:
        """Return the organization that is changed."""
        return self.actor.organization_id

    @cached_property
    def registry(self) -> Registry:
        """Return what the organization's registry holds, read once; operations keep its entries true as they write."""
        return read_registry(self.organization_id, self.drivers)

    def require(self, permission: Permission) -> None:
        """Raise Forbidden where none of the actor's roles has this permission."""
        require(self.actor, permission)

    def must_wait(self, kind: str, name: str, gains: Sequence[str] = ()) -> bool:
        """Say whether this change is stored as a draft, and note it: it gives something, and the actor may not publish."""
        waits = not self.actor.may(Permission.POLICY_PUBLISH) and (kind == "policy" or bool(gains))
        if waits:
            self.waiting[kind, name] = tuple(gains)
        return waits

    def record(
        self, kind: RecordKind, change: str, *, subject: str, version: int | None = None, digest: bytes | None = None
    ) -> None:
        """Note one change for the ledger; all are written when the edit ends. `subject` names no person but by id."""
        record = Record(
            at=record_time(self.now),
            change=change,
            epoch=self.epoch,
            id=self.drivers.ids.new(),
            kind=kind,
            organization_id=self.organization_id,
            principal=(f"person:{self.actor.person_id}",),
            subject=subject,
            subject_digest=None if digest is None else digest.hex(),
            subject_version=version,
        )
        self.records.append(record_row(record))

    def write_records(self) -> None:
        """Write what was noted, in one statement."""
        if self.records:
            run_sql("append_record", {"records": rows_json(place(self.records))})


@contextmanager
def edit_registry(drivers: Drivers, actor: Actor, *, dry_run: bool = False) -> Iterator[Edit]:
    """Open a transaction in which operations change the registry; a dry run does everything and undoes it."""
    try:
        with tenant(actor.organization_id):
            edit = open_edit(drivers, actor)
            yield edit
            edit.write_records()
            if dry_run:
                raise Undone
    except Undone:
        return


def open_edit(drivers: Drivers, actor: Actor) -> Edit:
    """Begin a change in the open transaction: raises the epoch, which also makes changes of one organization queue."""
    (row,) = run_sql("begin_change", {"organization_id": actor.organization_id})
    return Edit(drivers, actor, row["epoch"], row["now"])


@contextmanager
def reading(actor: Actor, permission: Permission) -> Iterator[None]:
    """Open a transaction that reads the actor's organization; raise Forbidden without the permission."""
    require(actor, permission)
    with tenant(actor.organization_id):
        yield


def require(actor: Actor, permission: Permission) -> None:
    """Raise Forbidden where none of the actor's roles has this permission."""
    if not actor.may(permission):
        roles = ", ".join(sorted(actor.roles)) or "none"
        raise Forbidden(f"this needs the permission `{permission}`, which your roles ({roles}) do not give")
