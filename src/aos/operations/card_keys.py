"""Whose signature a card elsewhere must bear, and where the keys are that it is checked by.

- `keys` in an agent's runtime names a set of keys: a card that none of them signed is not believed, nor is one without signature.
- A card that says itself where its keys are is checked by them, as far as that is at its own origin. Who could change such a card
  could take its signatures away as well: this finds what was broken, and is no proof of whose it is.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import msgspec

from aos.kernel.json import Json

SIGNATURES_MAX: Final = 8
"""Signatures of a card that are looked at."""
KEYS_MAX: Final = 100
"""Keys of a set; of one that holds more, none counts."""


def keys_named_by(card: Mapping[str, Json], url: str) -> str:
    """Return where a card says that its keys are, empty where it says nothing or names another origin than its own."""
    signatures = card.get("signatures")
    for each in signatures[:SIGNATURES_MAX] if isinstance(signatures, list) else ():
        named = _protected(each).get("jku")
        if isinstance(named, str) and origin_of(named) == origin_of(url):
            return named
    return ""


def keys_in(document: Json) -> list[Mapping[str, Json]]:
    """Return the keys of a JSON Web Key Set (RFC 7517), none where it is none or too large."""
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list) or len(keys) > KEYS_MAX:
        return []
    return [each for each in keys if isinstance(each, dict)]


def origin_of(url: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port of an address, empty where it is none."""
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname or "", parts.port
    except ValueError:
        return "", "", None


def _protected(signature: Json) -> Mapping[str, Json]:
    text = signature.get("protected") if isinstance(signature, dict) else None
    if not isinstance(text, str):
        return {}
    try:
        found: Json = msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError, msgspec.DecodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
