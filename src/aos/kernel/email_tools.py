"""Tools that send an e-mail: what a call says, and the checks that keep a text from becoming a header or a second recipient."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, cast

from aos.kernel.errors import FieldError, InvalidRequest
from aos.kernel.json import Json
from aos.kernel.schema import pointer
from aos.kernel.tools import Effect

COPIES_MAX: Final = 20
SUBJECT_MAX: Final = 500
TEXT_MAX: Final = 200_000
RECIPIENTS: Final = ("to", "cc")
_ADDRESS: Final = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)
"""One address and nothing else (RFC 5321 4.1.2): no name beside it, no quotes, no comma."""
_LINE: Final = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
_NAMES: Final = frozenset({"to", "cc", "subject", "text"})


class Tls(StrEnum):
    """How a connection to a mail server is kept secret."""

    STARTTLS = "starttls"
    IMPLICIT = "implicit"
    NONE = "none"
    """In the clear: to this machine alone."""


@dataclass(frozen=True, slots=True)
class MailServer:
    """How a mail server is reached; `permitted` are the hosts that may be."""

    host: str
    port: int
    tls: Tls
    username: str = ""
    password: str = field(default="", repr=False)
    permitted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Letter:
    """One message, checked: single addresses, single lines."""

    sender: str
    to: tuple[str, ...]
    cc: tuple[str, ...]
    subject: str
    text: str
    id: str
    """Its Message-ID, with the angle brackets."""
    at: datetime


def email_schema() -> dict[str, Json]:
    """Return the JSON Schema of the arguments, where a tool declares none of its own."""
    address: Json = {"type": "string", "format": "email", "maxLength": 254}
    return {
        "type": "object",
        "properties": {
            "to": {"type": "string", "format": "email", "maxLength": 254, "description": "Whom it is for: one address"},
            "cc": {"type": "array", "items": address, "maxItems": COPIES_MAX, "uniqueItems": True},
            "subject": {"type": "string", "minLength": 1, "maxLength": SUBJECT_MAX},
            "text": {"type": "string", "maxLength": TEXT_MAX, "description": "The message, plain text"},
        },
        "required": ["to", "subject", "text"],
        "additionalProperties": False,
    }


def email_problems(
    options: Mapping[str, Json], schema: Json, fixed: Mapping[str, Json], *, effect: Effect, at: str
) -> Iterator[FieldError]:
    """Yield what is wrong with the `email` of a tool, which stands at pointer `at` and has passed the manifest's schema."""
    if effect is not Effect.SEND:
        yield FieldError(at, f"an e-mail is sent: its effect is `send`, not `{effect}`")
    if not _ADDRESS.fullmatch(str(options["from"])):
        yield FieldError(pointer(at, "from"), "must be one address, without a name beside it")
    if "password" in options and "username" not in options:
        yield FieldError(pointer(at, "password"), "a password has no meaning without `username`")
    properties = schema.get("properties") if isinstance(schema, dict) else None
    known = {*(properties if isinstance(properties, dict) else {}), *fixed}
    for name in sorted(known - _NAMES):
        yield FieldError(at, f"an e-mail has no `{name[:80]}`: its arguments are `to`, `cc`, `subject` and `text`")
    for name in ("to", "subject", "text"):
        if name not in known:
            yield FieldError(at, f"an e-mail needs `{name}`: declare it under `args`, or set it under `fixed`")


def read_letter(options: Mapping[str, Json], arguments: Mapping[str, Json], *, key: str, at: datetime) -> Letter:
    """Return the message of one call; the same `key` gives the same Message-ID.

    Raises InvalidRequest where an argument is no single address or no single line.
    """
    sender = str(options["from"])
    digest = hashlib.sha256(key.encode()).hexdigest()[:40]
    subject = arguments.get("subject")
    if not isinstance(subject, str) or len(subject) > SUBJECT_MAX or _LINE.search(subject):
        raise _unfit("subject", f"must be one line of at most {SUBJECT_MAX} characters")
    text = arguments.get("text")
    if not isinstance(text, str) or len(text) > TEXT_MAX or "\0" in text:
        raise _unfit("text", f"must be a text of at most {TEXT_MAX} characters")
    to = _addresses("to", arguments.get("to"), at_least=1)
    cc = tuple(each for each in _addresses("cc", arguments.get("cc"), at_least=0) if each not in to)
    return Letter(sender, to, cc, subject, text, f"<{digest}@{sender.rpartition('@')[2]}>", at)


def read_server(text: str) -> tuple[str, int]:
    """Return host and port of a mail server's `host:port`."""
    host, _, port = text.rpartition(":")
    return host.strip("[]").lower(), int(port)


def _addresses(name: str, value: Json, *, at_least: int) -> tuple[str, ...]:
    given = [] if value is None else value if isinstance(value, list) else [value]
    if not at_least <= len(given) <= COPIES_MAX:
        raise _unfit(name, f"must be {at_least or 'none'} to {COPIES_MAX} addresses")
    for each in given:
        if not isinstance(each, str) or len(each) > 254 or not _ADDRESS.fullmatch(each):
            raise _unfit(name, "must be an address and nothing else, as `maria@larkspur.example`")
    return tuple(dict.fromkeys(cast(list[str], given)))


def _unfit(name: str, why: str) -> InvalidRequest:
    return InvalidRequest(f"the argument `{name}` {why}", errors=[FieldError(pointer("", name), why)])
