"""Ciphers and signatures by the `cryptography` package: AES-256-GCM and Ed25519."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from aos.kernel.errors import AuditBroken

NONCE_BYTES = 12


CIPHERS_MAX = 256
"""Data keys whose expanded form is kept; one organization seals under one at a time."""


@functools.lru_cache(CIPHERS_MAX)
def _cipher(key: bytes) -> AESGCM:
    return AESGCM(key)


class StandardCrypto:
    """The `Crypto` port; `random_bytes` is where nonces come from."""

    def __init__(self, random_bytes: Callable[[int], bytes] = os.urandom) -> None:
        self._random_bytes = random_bytes

    def seal(self, key: bytes, plain: bytes, *, bound_to: bytes) -> bytes:
        """Return nonce, ciphertext and tag; the nonce is random, which is safe up to 2^32 messages a key."""
        nonce = self._random_bytes(NONCE_BYTES)
        return nonce + _cipher(key).encrypt(nonce, plain, bound_to)

    def open(self, key: bytes, sealed: bytes, *, bound_to: bytes) -> bytes:
        """Return the plain bytes; raise AuditBroken where they were changed, moved or sealed under another key."""
        try:
            return _cipher(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound_to)
        except InvalidTag as error:
            raise AuditBroken("stored content does not open under its key: it was changed or moved") from error

    def new_signing_key(self) -> tuple[bytes, bytes]:
        """Return a fresh Ed25519 key pair."""
        private = Ed25519PrivateKey.generate()
        return private.private_bytes_raw(), private.public_key().public_bytes_raw()

    def sign(self, private: bytes, message: bytes) -> bytes:
        """Return the Ed25519 signature of `message`."""
        return Ed25519PrivateKey.from_private_bytes(private).sign(message)

    def verify(self, public: bytes, message: bytes, *, signature: bytes) -> bool:
        """Say whether the signature is right; a malformed key or signature is simply not."""
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True
