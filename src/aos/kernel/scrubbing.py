"""Takes secrets out of what a server sent back: one that echoes what it was given must not tell it to an agent or a record."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import quote

from aos.kernel.json import Json

SCRUBBED: Final = "[secret]"
_SHORTEST: Final = 4
"""What is shorter would be found in every text."""


def spellings(secrets: Iterable[str]) -> tuple[str, ...]:
    """Return how the secrets may be written in an answer, the longest first: plain, percent-encoded, base64, and by word."""
    found: set[str] = set()
    for secret in secrets:
        for text in (secret, *(word for word in secret.split() if len(word) >= 2 * _SHORTEST)):
            encoded = base64.b64encode(text.encode()).decode()
            found |= {text, quote(text, safe=""), encoded, encoded.rstrip("=")}
    return tuple(sorted((each for each in found if len(each) >= _SHORTEST), key=len, reverse=True))


def scrub(text: str, spelled: Sequence[str]) -> str:
    """Return a text without the secrets that it repeats."""
    for each in spelled:
        text = text.replace(each, SCRUBBED)
    return text


def scrub_json(value: Json, spelled: Sequence[str]) -> Json:
    """Return a value without the secrets that its texts, names and numbers repeat; it nests no deeper than a reader allows."""
    if not spelled:
        return value
    if isinstance(value, str):
        return scrub(value, spelled)
    if isinstance(value, list):
        return [scrub_json(each, spelled) for each in value]
    if isinstance(value, dict):
        return {scrub(name, spelled): scrub_json(each, spelled) for name, each in value.items()}
    if isinstance(value, int | float) and not isinstance(value, bool):
        return SCRUBBED if str(value) in spelled else value
    return value
