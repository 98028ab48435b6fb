"""Signs what proves an agent to the token endpoint, for the command line: with a private key as JWK or PEM."""

from __future__ import annotations

import json
from collections.abc import Mapping

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from aos.kernel.jwk import thumbprint_of
from aos.kernel.oauth import ALGORITHM


def sign_claims(key: str, claims: Mapping[str, object]) -> str:
    """Return claims signed with an Ed25519 key; an object that holds one as `private_key`, as AOS answers, will do.

    Raises ValueError where the text is no such key.
    """
    private = _private(key)
    header = {"kid": thumbprint_of(private.public_key().public_bytes_raw())}
    return jwt.encode(dict(claims), private, algorithm=ALGORITHM, headers=header)


def _private(text: str) -> Ed25519PrivateKey:
    try:
        found = jwt.PyJWK.from_dict(_jwk(text), ALGORITHM).key if text.lstrip().startswith("{") else _pem(text)
    except (jwt.PyJWTError, TypeError, ValueError, UnsupportedAlgorithm) as error:
        raise ValueError("give the JWK that AOS showed once, or PEM without a password") from error
    if not isinstance(found, Ed25519PrivateKey):
        raise ValueError("it is another kind of key, or only its public half")
    return found


def _jwk(text: str) -> dict[str, object]:
    found = json.loads(text)
    inner = found.get("private_key")
    return inner if isinstance(inner, dict) else found


def _pem(text: str) -> object:
    return load_pem_private_key(text.encode(), None)
