"""Content: arguments, answers and reasons, encrypted in one table and referred to by id and salted digest.

Each piece has its own 32-byte salt, which is erased with the bytes: a digest in the ledger then says nothing more.
The ciphertext is bound to its organization and id, so that a row cannot be moved to stand for another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import msgspec

from aos.kernel.acts import salted_digest
from aos.kernel.errors import NotFound
from aos.kernel.json import Json
from aos.kernel.ports import Crypto, Ids
from aos.store.rows import ContentRow, hex_bytes

SALT_BYTES = 32

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class DataKeys:
    """An organization's data keys, unwrapped: the one new content is sealed under, and all by id."""

    current_id: UUID
    by_id: Mapping[UUID, bytes]


@dataclass(frozen=True, slots=True)
class Sealed:
    """A row to write, and the digest that may stand in a ledger record."""

    row: ContentRow
    digest: str


def seal_content(
    value: Json | bytes, *, purpose: str, organization_id: UUID, keys: DataKeys, crypto: Crypto, ids: Ids
) -> Sealed:
    """Return `value` encrypted under the organization's current data key."""
    plain = value if isinstance(value, bytes) else _encode(value)
    content_id, salt = ids.new(), ids.random_bytes(SALT_BYTES)
    sealed = crypto.seal(keys.by_id[keys.current_id], plain, bound_to=organization_id.bytes + content_id.bytes)
    row = ContentRow(
        n=0,
        organization_id=organization_id,
        id=content_id,
        purpose=purpose,
        data_key_id=keys.current_id,
        salt=hex_bytes(salt),
        sealed=hex_bytes(sealed),
    )
    return Sealed(row, salted_digest(salt, plain).hex())


def open_content(row: Mapping[str, object], *, keys: DataKeys, crypto: Crypto) -> bytes:
    """Return the plain bytes of a row with organization_id, id, data_key_id and sealed; NotFound where it was erased."""
    sealed, key_id = row["sealed"], row["data_key_id"]
    organization_id, content_id = row["organization_id"], row["id"]
    assert isinstance(organization_id, UUID)
    assert isinstance(content_id, UUID)
    if not isinstance(sealed, bytes) or not isinstance(key_id, UUID):
        raise NotFound(f"content `{content_id}` was erased")
    if key_id not in keys.by_id:
        raise NotFound(f"content `{content_id}` is sealed under a data key that is gone")
    return crypto.open(keys.by_id[key_id], sealed, bound_to=organization_id.bytes + content_id.bytes)


def open_json(row: Mapping[str, object], *, keys: DataKeys, crypto: Crypto) -> Json:
    """Return the JSON value of a content row."""
    value: Json = _decode(open_content(row, keys=keys, crypto=crypto))
    return value
