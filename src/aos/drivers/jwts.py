"""JSON Web Tokens by the `PyJWT` package: EdDSA over Ed25519 and nothing else.

The package is asked for signatures only: times and audiences are judged by the kernel, by the database's time.
"""

from __future__ import annotations

import functools
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from jwt import PyJWS
from jwt.algorithms import OKPAlgorithm
from jwt.exceptions import PyJWTError

from aos.kernel.limits import JWT_BYTES_MAX
from aos.kernel.oauth import ALGORITHM, ALGORITHMS, Jwt

KEYS_MAX: Final = 1_024
"""Keys whose expanded form is kept, of either half."""
_UNPROVED: Final = {"verify_signature": False}


class StandardJwts:
    """The `Jwts` port."""

    def __init__(self) -> None:
        self._jws = PyJWS(algorithms=[])  # it does not even know another than these
        for name in ALGORITHMS:
            self._jws.register_algorithm(name, OKPAlgorithm())

    def read(self, token: str) -> Jwt | None:
        """Return what a token says, proved by nothing; None where it is too long or malformed."""
        return self._decode(token, options=_UNPROVED)

    def verify(self, token: str, public: bytes) -> Jwt | None:
        """Return what a token says if this Ed25519 key signed it."""
        try:
            key = _public(public)
        except ValueError:
            return None
        return self._decode(token, key=key, algorithms=list(ALGORITHMS))

    def sign(self, jwt: Jwt, private: bytes) -> str:
        """Return the signed token."""
        payload = msgspec.json.encode(jwt.claims)
        return self._jws.encode(payload, _private(private), algorithm=ALGORITHM, headers=dict(jwt.header))

    def _decode(self, token: str, **more: Any) -> Jwt | None:
        if len(token) > JWT_BYTES_MAX or not token.isascii():
            return None
        try:
            found = self._jws.decode_complete(token, **more)
            claims = msgspec.json.decode(found["payload"])
        except (PyJWTError, msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return None
        header = found["header"]
        return Jwt(header, claims) if isinstance(claims, dict) else None


@functools.lru_cache(KEYS_MAX)
def _public(public: bytes) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(public)


@functools.lru_cache(KEYS_MAX)
def _private(private: bytes) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(private)
