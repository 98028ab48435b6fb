"""The JSON Schemas of runtimes that are elsewhere, as parts of the manifest's own."""

from __future__ import annotations

from typing import Final

from aos.kernel.json import Json
from aos.kernel.limits import NAME_LENGTH_MAX

CARD_DIGEST_PATTERN: Final = "^sha256:[0-9a-f]{64}$"
_ADDRESS: Final = "^https?://[^/?#@ ]+(/[^?# ]*)?$"
_KEYS_ADDRESS: Final = r"^https?://[^/?#@ ]+(/[^?# ]*)?(\?[^# ]*)?$"
_SECRET: Final = "^[a-z][a-z0-9]*([/._-][a-z0-9]+)*$"


def a2a_runtime_schema() -> Json:
    """Return the schema of an agent that is reached by A2A."""
    return {
        "type": "object",
        "description": "An agent elsewhere that speaks A2A 1.0: each task is sent to it as a message",
        "properties": {
            "url": _address("Where its card is, without `/.well-known/agent-card.json`"),
            "card": {
                "type": "string",
                "pattern": CARD_DIGEST_PATTERN,
                "description": "The digest of its card: once it shows another, nothing is sent to it",
            },
            "keys": _address(
                "The JSON Web Key Set, one of whose keys must have signed its card", pattern=_KEYS_ADDRESS
            ),
            "secret": _secret(),
        },
        "required": ["url"],
        "additionalProperties": False,
    }


def http_runtime_schema() -> Json:
    """Return the schema of an agent that is sent each task by one POST."""
    return {
        "type": "object",
        "description": "An agent elsewhere that takes a task as JSON and answers with its output as JSON",
        "properties": {"url": _address("Where tasks are sent"), "secret": _secret()},
        "required": ["url"],
        "additionalProperties": False,
    }


def _address(description: str, *, pattern: str = _ADDRESS) -> Json:
    return {
        "type": "string",
        "description": description + "; its host must stand in `organization.hosts`",
        "maxLength": 2_000,
        "pattern": pattern,
        "examples": ["https://agents.larkspur.example/a2a/reviews"],
    }


def _secret() -> Json:
    return {
        "type": "string",
        "description": "The name of the secret that it is sent as `Authorization: Bearer`",
        "maxLength": NAME_LENGTH_MAX,
        "pattern": _SECRET,
    }
