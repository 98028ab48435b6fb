"""The forms of AOS's own tokens. Only hashes are stored; a task token is checked by its MAC and dies with its claim.

`aos_<prefix>_<secret>` agent API key · `aosp_<secret>` a person's token · `aosl_<secret>` one-time sign-in link ·
`aost_<organization, run, task, claim, MAC>` task token · `aoss_<secret>` console session ·
`aosx_<organization, run, expiry, MAC>` a console page's right to one run's events · `eyJ...` an access token, a signed JWT.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

SECRET_BYTES = 32
MAC_BYTES = 16
_TASK_BYTES = 16 * 4 + MAC_BYTES
_STREAM_BYTES = 16 * 2 + 8 + 8 + MAC_BYTES


class TokenKind(StrEnum):
    """What a bearer token is, by its prefix."""

    API_KEY = "aos_"
    PERSONAL = "aosp_"
    LINK = "aosl_"
    TASK = "aost_"
    SESSION = "aoss_"
    STREAM = "aosx_"
    ACCESS = "eyJ"


@dataclass(frozen=True, slots=True)
class TaskToken:
    """What a task token says; only its MAC makes it true."""

    organization_id: UUID
    run_id: UUID
    task_id: UUID
    claim_token: UUID


def token_kind(token: str) -> TokenKind | None:
    """Return the kind that a token's prefix names."""
    return next((kind for kind in TokenKind if token.startswith(kind.value)), None)


def token_hash(token: str) -> bytes:
    """Return what is stored and looked up in place of the token: its SHA-256, enough for 256 random bits."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def new_token(kind: TokenKind, random: bytes, *, prefix: str = "") -> str:
    """Return a token of `kind` over at least 32 random bytes."""
    return f"{kind.value}{prefix}{base64.urlsafe_b64encode(random).rstrip(b'=').decode('ascii')}"


def make_task_token(token: TaskToken, key: bytes) -> str:
    """Return the bearer form of a task token under the organization's token key."""
    plain = token.organization_id.bytes + token.run_id.bytes + token.task_id.bytes + token.claim_token.bytes
    return new_token(TokenKind.TASK, plain + _mac(key, plain))


def parse_task_token(text: str) -> tuple[TaskToken, bytes, bytes] | None:
    """Return what a task token says, the bytes it covers and its MAC; None where it has not the form of one."""
    data = _decoded(text, TokenKind.TASK, _TASK_BYTES)
    if data is None:
        return None
    ids = [UUID(bytes=data[start : start + 16]) for start in range(0, 64, 16)]
    return TaskToken(*ids), data[:64], data[64:]


@dataclass(frozen=True, slots=True)
class StreamToken:
    """What a console page may read, and until when (seconds since 1970, the database's time)."""

    organization_id: UUID
    run_id: UUID
    expires_at: int


def make_stream_token(token: StreamToken, key: bytes) -> str:
    """Return the form of a stream token that an address can carry, under the organization's token key."""
    plain = token.organization_id.bytes + token.run_id.bytes + token.expires_at.to_bytes(8, "big") + b"stream\0\0"
    return new_token(TokenKind.STREAM, plain + _mac(key, plain))


def parse_stream_token(text: str) -> tuple[StreamToken, bytes, bytes] | None:
    """Return what a stream token says, the bytes it covers and its MAC; None where it has not the form of one."""
    data = _decoded(text, TokenKind.STREAM, _STREAM_BYTES)
    if data is None or data[40:48] != b"stream\0\0":
        return None
    said = StreamToken(UUID(bytes=data[:16]), UUID(bytes=data[16:32]), int.from_bytes(data[32:40], "big"))
    return said, data[:48], data[48:]


def _decoded(text: str, kind: TokenKind, length: int) -> bytes | None:
    encoded = text.removeprefix(kind.value)
    try:
        data = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if len(data) == length else None


def is_genuine(plain: bytes, mac: bytes, *, key: bytes) -> bool:
    """Say in constant time whether the MAC is right."""
    return hmac.compare_digest(_mac(key, plain), mac)


def _mac(key: bytes, plain: bytes) -> bytes:
    return hmac.new(key, b"aos-task-token\0" + plain, hashlib.sha256).digest()[:MAC_BYTES]
