"""Signatures of A2A agent cards, by the official library: JWS over the card's canonical JSON (A2A 1.0, "Agent Card Signing").

Signed is with EdDSA over Ed25519; checked is by public keys alone, so that nobody's public key is taken for a shared secret.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from a2a.types import AgentCard
from a2a.utils.signing import (
    ProtectedHeader,
    SignatureVerificationError,
    create_agent_card_signer,
    create_signature_verifier,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from aos.kernel.json import Json

SIGNED_WITH: Final = "EdDSA"
CHECKED: Final = (SIGNED_WITH, "ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_MISFITS: Final = (ParseError, ValueError, TypeError, AttributeError, KeyError, RecursionError, OverflowError)


class StandardCards:
    """The `Cards` port."""

    def signed(self, card: Mapping[str, Json], *, key_id: str, keys_url: str, private: bytes) -> dict[str, Json]:
        """Return the card with a signature of an Ed25519 key."""
        key = Ed25519PrivateKey.from_private_bytes(private)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        header = ProtectedHeader(kid=key_id, alg=SIGNED_WITH, jku=keys_url, typ="JOSE")
        sign = create_agent_card_signer(pem, header)
        found: dict[str, Json] = MessageToDict(sign(_read(card)))
        return found

    def is_signed_by(self, card: Mapping[str, Json], keys: Sequence[Mapping[str, Json]]) -> bool:
        """Say whether one of these public keys (RFC 7517) signed the card; what cannot be read is signed by none."""

        def key_of(key_id: str | None, keys_url: str | None) -> PyJWK:
            found = [each for each in keys if key_id is not None and each.get("kid") == key_id]
            if key_id is None and len(keys) == 1:
                found = list(keys)
            if len(found) != 1:
                raise PyJWTError("no key is meant, or more than one")
            return PyJWK(dict(found[0]))

        try:
            create_signature_verifier(key_of, list(CHECKED))(_read(card))
        except (SignatureVerificationError, PyJWTError, *_MISFITS):
            return False
        return True


def _read(card: Mapping[str, Json]) -> AgentCard:
    read: Any = ParseDict(dict(card), AgentCard(), ignore_unknown_fields=True)
    found: AgentCard = read
    return found
