"""What is sealed: an organization's data keys and secrets.

A secret's value leaves this module to a driver that needs it, never to a face.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from aos.kernel.errors import Conflict, FieldError, InvalidRequest, NotFound
from aos.kernel.ledger.record import RecordKind
from aos.kernel.people import Actor, Permission
from aos.operations.data_keys import load_data_keys
from aos.operations.drivers import Drivers
from aos.operations.key_rows import RESERVED
from aos.operations.pages import Page, PageQuery, list_page
from aos.operations.registry_records import Edit, reading
from aos.store.cold.connection import run_sql, tenant

SECRET_BYTES_MAX: Final = 65_536
"""The longest value of a secret."""
HOOK_PREFIX: Final = "hook/"
"""Names of the secrets of hooks begin with this."""

_NAME_CHARACTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_.-/")


@dataclass(frozen=True, slots=True)
class Secret:
    """One secret, without its value."""

    id: UUID
    name: str
    version: int
    created_at: datetime
    updated_at: datetime


def set_secret(edit: Edit, name: str, value: bytes, *, rotate: bool = False) -> int:
    """Seal a value under a name and return its version; with `rotate` the name must exist.

    Raises InvalidRequest for a name or value that does not fit, NotFound where there is nothing to rotate.
    """
    edit.require(Permission.SECRET_WRITE)
    check_secret_name(name)
    if not 0 < len(value) <= SECRET_BYTES_MAX:
        detail = f"must have 1 to {SECRET_BYTES_MAX} bytes"
        raise InvalidRequest(f"the value of a secret {detail}", errors=[FieldError("/value", detail)])
    found = run_sql("find_secret", {"organization_id": edit.organization_id, "name": name})
    if rotate and not found:
        raise NotFound(f"there is no secret `{name}` to rotate: set it first")
    id = found[0]["id"] if found else edit.drivers.ids.new()
    keys = load_data_keys(edit.drivers, edit.organization_id)
    sealed = seal_secret(edit.drivers, edit.organization_id, id, value=value, key=keys.by_id[keys.current_id])
    params = {
        "organization_id": edit.organization_id,
        "id": id,
        "name": name,
        "data_key_id": keys.current_id,
        "sealed": sealed,
    }
    (row,) = run_sql("upsert_secret", params)
    version = int(row["version"])
    change = "secret.rotated" if found else "secret.set"
    edit.record(RecordKind.REGISTRY_CHANGED, change, subject=f"secret:{name}", version=version)
    return version


def remove_secret(edit: Edit, name: str) -> None:
    """Erase a secret's bytes; raise NotFound."""
    edit.require(Permission.SECRET_WRITE)
    check_secret_name(name)
    if not run_sql("remove_secret", {"organization_id": edit.organization_id, "name": name}):
        raise NotFound(f"there is no secret `{name}`")
    edit.record(RecordKind.REGISTRY_CHANGED, "secret.removed", subject=f"secret:{name}")


def list_secrets(actor: Actor, query: PageQuery) -> Page[Secret]:
    """Return a page of secrets: names and versions, never values."""
    with reading(actor, Permission.REGISTRY_READ):
        return list_page("list_secrets", actor.organization_id, query, read=lambda row: Secret(**row))


def read_secret(drivers: Drivers, organization_id: UUID, name: str) -> bytes:
    """Return a secret's value, for a driver that needs it now; raise NotFound."""
    with tenant(organization_id):
        rows = run_sql("find_secret", {"organization_id": organization_id, "name": name})
        keys = load_data_keys(drivers, organization_id)
    if not rows:
        raise NotFound(f"there is no secret `{name}`: set it with `aos secrets set {name}`")
    row = rows[0]
    if row["data_key_id"] not in keys.by_id:
        raise Conflict(f"secret `{name}` is sealed under a data key that is gone: set it again")
    bound_to = organization_id.bytes + row["id"].bytes
    return drivers.crypto.open(keys.by_id[row["data_key_id"]], row["sealed"], bound_to=bound_to)


def seal_secret(drivers: Drivers, organization_id: UUID, id: UUID, *, value: bytes, key: bytes) -> bytes:
    """Return a secret's value sealed so that its row cannot stand for another's."""
    return drivers.crypto.seal(key, value, bound_to=organization_id.bytes + id.bytes)


def check_secret_name(name: str) -> None:
    """Raise InvalidRequest for a name that a secret cannot have."""
    if not 0 < len(name) <= 100 or not _NAME_CHARACTERS.issuperset(name) or not name[0].isalnum():
        detail = "must have 1 to 100 lower-case letters, digits, `_`, `-`, `.` and `/`, the first a letter or digit"
    elif name.startswith((RESERVED, HOOK_PREFIX)):
        detail = f"cannot begin with `{RESERVED}` or `{HOOK_PREFIX}`: AOS keeps its own keys there"
    else:
        return
    raise InvalidRequest(f"the name of a secret {detail}", errors=[FieldError("/name", detail)])
