"""Rows of fresh signing keys: Ed25519 where others check what is signed, 32 random bytes where only AOS does; sealed."""

from __future__ import annotations

from typing import Final
from uuid import UUID

import msgspec

from aos.operations.drivers import Drivers
from aos.store.rows import hex_bytes

KEY_BYTES: Final = 32
RESERVED: Final = "signing/"
"""Names of the secrets of signing keys begin with this."""
ACCESS: Final = "access"
"""The purpose of the keys that sign access tokens."""
_SYMMETRIC: Final = frozenset({"token"})


class SigningKeyRow(msgspec.Struct, kw_only=True):
    """One signing key with its private half, sealed."""

    organization_id: UUID
    id: UUID
    purpose: str
    state: str
    public_key: bytes | None
    secret_id: UUID
    secret_name: str
    data_key_id: UUID
    sealed: bytes


def new_signing_key(
    drivers: Drivers, organization_id: UUID, purpose: str, *, state: str, data_key_id: UUID, key: bytes
) -> SigningKeyRow:
    """Return a fresh signing key's row, its private part sealed under the data key `key`."""
    id, secret_id = drivers.ids.new(), drivers.ids.new()
    if purpose in _SYMMETRIC:
        private, public = drivers.ids.random_bytes(KEY_BYTES), None
    else:
        private, public = drivers.crypto.new_signing_key()
    return SigningKeyRow(
        organization_id=organization_id,
        id=id,
        purpose=purpose,
        state=state,
        public_key=public,
        secret_id=secret_id,
        secret_name=f"{RESERVED}{purpose}/{id}",
        data_key_id=data_key_id,
        sealed=drivers.crypto.seal(key, private, bound_to=organization_id.bytes + secret_id.bytes),
    )


def key_document(row: SigningKeyRow) -> dict[str, object]:
    """Return a row as a hot statement reads it."""
    public = None if row.public_key is None else hex_bytes(row.public_key)
    return {**msgspec.structs.asdict(row), "public_key": public, "sealed": hex_bytes(row.sealed)}
