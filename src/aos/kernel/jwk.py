"""Ed25519 public keys as JSON Web Keys, and the names that they are known by."""

from __future__ import annotations

import base64
import hashlib
import json


def public_jwk(public: bytes) -> dict[str, str]:
    """Return an Ed25519 public key as JWK (RFC 8037)."""
    return {"kty": "OKP", "crv": "Ed25519", "x": base64url(public)}


def thumbprint_of(public: bytes) -> str:
    """Return the JWK thumbprint of an Ed25519 public key: SHA-256, base64url (RFC 7638, RFC 8037)."""
    canonical = json.dumps(public_jwk(public), sort_keys=True, separators=(",", ":")).encode()
    return base64url(hashlib.sha256(canonical).digest())


def base64url(data: bytes) -> str:
    """Return bytes as base64url without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
