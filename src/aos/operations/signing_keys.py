"""An organization's signing keys: what they are for, which one signs, and how the next one takes its place.

Each purpose has a key that signs (current) and one that will (next), which verifiers know long before. A key that was retired
is still known until the last thing that it signed has expired. Private halves never leave their secrets here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from msgspec import structs

from aos.kernel.ledger.record import RecordKind
from aos.kernel.people import Actor, Permission
from aos.operations.data_keys import load_data_keys
from aos.operations.key_rows import ACCESS, new_signing_key
from aos.operations.pages import Page, PageQuery, list_page
from aos.operations.registry_records import Edit, reading
from aos.store.cold.connection import run_sql


@dataclass(frozen=True, slots=True)
class SigningKeyDetail:
    """One signing key, without its private half."""

    id: UUID
    purpose: str
    state: str
    public_key: bytes | None
    created_at: datetime
    retired_at: datetime | None = None


def rotate_access_key(edit: Edit) -> UUID:
    """Let the next key sign access tokens, retire the one that did, make another next one; return the id of the new current.

    Counts at once, in every process; what the retired one signed counts until it expires.
    """
    edit.require(Permission.KEY_ROTATE)
    which = {"organization_id": edit.organization_id, "purpose": ACCESS}
    for row in run_sql("retire_signing_key", which):
        edit.record(RecordKind.KEY_CHANGED, "signing_key.retired", subject=f"signing_key:{row['id']}")
    promoted = run_sql("promote_signing_key", which)
    current = promoted[0]["id"] if promoted else _make(edit, state="current")
    _make(edit, state="next")
    edit.record(RecordKind.KEY_CHANGED, "signing_key.rotated", subject=f"signing_key:{current}")
    return current


def list_signing_keys(actor: Actor, query: PageQuery) -> Page[SigningKeyDetail]:
    """Return a page of the organization's signing keys."""
    with reading(actor, Permission.REGISTRY_READ):
        return list_page(
            "list_signing_keys",
            actor.organization_id,
            query,
            read=lambda row: SigningKeyDetail(**row),
            **{"purpose": None, "state": None, **query.filters},
        )


def _make(edit: Edit, *, state: str) -> UUID:
    keys = load_data_keys(edit.drivers, edit.organization_id)
    current = keys.current_id
    row = new_signing_key(
        edit.drivers, edit.organization_id, ACCESS, state=state, data_key_id=current, key=keys.by_id[current]
    )
    run_sql("insert_signing_key", structs.asdict(row))
    return row.id
