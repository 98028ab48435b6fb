"""Signed tree heads: the C2SP checkpoint (tlog-checkpoint) inside a C2SP signed note (signed-note), Ed25519 only.

The origin names the organization's log and is also the key's name. Signing and checking signatures are callables
handed in, so nothing here holds a key. Every parser is strict: of each note, key and body exactly one spelling is
read, so that no altered byte can pass unseen.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final
from uuid import UUID

from aos.kernel.errors import AuditBroken, InvalidRequest
from aos.kernel.ledger.tree import HASH_BYTES

Sign = Callable[[bytes], bytes]
"""Signs a message with Ed25519 (RFC 8032): message to 64 bytes."""

Verify = Callable[[bytes, bytes, bytes], bool]
"""Checks an Ed25519 signature: public key (32 bytes), message, signature to yes or no."""

ED25519: Final = b"\x01"
"""The signature type of Ed25519 notes (signed-note, signature types)."""

PUBLIC_KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
KEY_ID_BYTES: Final = 4

NOTE_BYTES_MAX: Final = 65_536
"""The longest note that is read."""

SIGNATURES_MAX: Final = 16
"""How many signature lines of a note are read, the least a verifier must accept."""

_SIGNATURE_MARK: Final = "\u2014 "


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a signed tree head says: which log, how many leaves, and the root over them."""

    origin: str
    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with the name it signs under."""

    name: str
    public: bytes


def log_origin(organization_id: UUID, host: str = "aos.local") -> str:
    """Return the origin of an organization's log, `<host>/<organization id>`."""
    return f"{host}/{organization_id}"


def checkpoint_body(checkpoint: Checkpoint) -> str:
    """Write the note text of a checkpoint (tlog-checkpoint, note text), without extension lines."""
    _check_name(checkpoint.origin)
    if checkpoint.size < 0 or len(checkpoint.root) != HASH_BYTES:
        raise InvalidRequest(f"a checkpoint has a size of 0 or more and a root of {HASH_BYTES} bytes")
    return f"{checkpoint.origin}\n{checkpoint.size}\n{base64_text(checkpoint.root)}\n"


def parse_checkpoint_body(text: str) -> Checkpoint:
    """Read a checkpoint's note text; raises `InvalidRequest` saying which line is wrong.

    Extension lines are refused: AOS writes none, and no monitor could audit them.
    """
    lines = text.split("\n")
    if len(lines) != 4 or lines[3]:
        raise InvalidRequest(f"a checkpoint has three lines, each ended by a newline, not {len(lines) - 1}")
    origin, size, root = lines[:3]
    _check_name(origin)
    if not (size.isascii() and size.isdigit()) or len(size) > 18 or (size[0] == "0" and size != "0"):
        raise InvalidRequest(f"the checkpoint's second line `{size}` is not a tree size")
    return Checkpoint(origin, int(size), base64_bytes(root, "the checkpoint's root", length=HASH_BYTES))


def key_id(key: VerifierKey) -> bytes:
    """Return the four bytes that name the key in a signature line (signed-note, Ed25519 signatures)."""
    return sha256(key.name.encode() + b"\n" + ED25519 + key.public).digest()[:KEY_ID_BYTES]


def verifier_key_text(key: VerifierKey) -> str:
    """Write a public key in the form that notes' tools exchange: `<name>+<key id>+<base64 of type and key>`."""
    _check_name(key.name)
    return f"{key.name}+{key_id(key).hex()}+{base64_text(ED25519 + key.public)}"


def parse_verifier_key(text: str) -> VerifierKey:
    """Read what `verifier_key_text` wrote; raises `InvalidRequest` when the parts do not agree."""
    parts = text.split("+", 2)
    if len(parts) != 3:
        raise InvalidRequest(f"`{text}` is not a public key of the form `<name>+<key id>+<base64>`")
    encoded = base64_bytes(parts[2], "the public key", length=1 + PUBLIC_KEY_BYTES)
    if encoded[:1] != ED25519:
        raise InvalidRequest(f"the public key of `{parts[0]}` is not an Ed25519 key")
    key = VerifierKey(parts[0], encoded[1:])
    if verifier_key_text(key) != text:
        raise InvalidRequest(f"the key id `{parts[1]}` is not that of the public key beside it")
    return key


def sign_note(text: str, key: VerifierKey, *, sign: Sign) -> str:
    """Return the note: the text, an empty line and one signature line (signed-note, format).

    `sign` must hold the private half of `key`. Raises `InvalidRequest` for a text that a note cannot carry.
    """
    _check_name(key.name)
    if not text.endswith("\n") or _has_control(text):
        raise InvalidRequest("a note's text ends in a newline and holds no other control character")
    signature = sign(text.encode())
    if len(signature) != SIGNATURE_BYTES:
        raise InvalidRequest(f"an Ed25519 signature has {SIGNATURE_BYTES} bytes, not {len(signature)}")
    return f"{text}\n{_SIGNATURE_MARK}{key.name} {base64_text(key_id(key) + signature)}\n"


def open_note(note: str, key: VerifierKey, *, verify: Verify) -> str:
    """Return a note's text once the signature of `key` on it holds.

    Signatures of other keys are passed over, as the specification asks. Raises `InvalidRequest` for a malformed note
    and `AuditBroken` when this key did not sign it, or signed something else.
    """
    text, signatures = _split_note(note)
    signed = False
    for name, encoded in signatures:
        raw = base64_bytes(encoded, f"the signature of `{name}`")
        if len(raw) <= KEY_ID_BYTES:
            raise InvalidRequest(f"the signature of `{name}` is too short")
        if name != key.name or raw[:KEY_ID_BYTES] != key_id(key):
            continue
        if len(raw) != KEY_ID_BYTES + SIGNATURE_BYTES or not verify(key.public, text.encode(), raw[KEY_ID_BYTES:]):
            raise AuditBroken(f"the signature of `{name}` is not one on this text")
        signed = True
    if not signed:
        raise AuditBroken(f"the note is not signed by the key `{key.name}+{key_id(key).hex()}`")
    return text


def sign_checkpoint(checkpoint: Checkpoint, public: bytes, *, sign: Sign) -> str:
    """Return the signed note of a checkpoint, under its origin as the key's name."""
    return sign_note(checkpoint_body(checkpoint), VerifierKey(checkpoint.origin, public), sign=sign)


def open_checkpoint(note: str, key: VerifierKey, *, verify: Verify) -> Checkpoint:
    """Return what a signed checkpoint says; raises as `open_note` does, and for a checkpoint of another log."""
    checkpoint = parse_checkpoint_body(open_note(note, key, verify=verify))
    if checkpoint.origin != key.name:
        raise AuditBroken(f"the checkpoint is of the log `{checkpoint.origin}`, the key is for `{key.name}`")
    return checkpoint


def base64_text(data: bytes) -> str:
    """Write bytes in standard base64 with padding (RFC 4648, section 4)."""
    return base64.b64encode(data).decode()


def base64_bytes(text: str, what: str, *, length: int | None = None) -> bytes:
    """Read standard base64 in its one exact spelling; raises `InvalidRequest` naming `what` was to be read."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest(f"{what} is not base64") from error
    # Unused bits of the last character would give one value several spellings.
    if base64_text(data) != text:
        raise InvalidRequest(f"{what} is not base64 in its exact form")
    if length is not None and len(data) != length:
        raise InvalidRequest(f"{what} has {len(data)} bytes and should have {length}")
    return data


def _split_note(note: str) -> tuple[str, list[tuple[str, str]]]:
    """Part a note at its last empty line into the signed text and (name, base64) of each signature."""
    if len(note) > NOTE_BYTES_MAX or _has_control(note):
        raise InvalidRequest(f"a note has at most {NOTE_BYTES_MAX} characters and no control character but newline")
    text, gap, rest = note.rpartition("\n\n")
    lines = rest.split("\n")
    if not gap or not text or len(lines) < 2 or lines.pop():
        raise InvalidRequest("a note is a text, an empty line and signature lines, each ended by a newline")
    if len(lines) > SIGNATURES_MAX:
        raise InvalidRequest(f"a note with {len(lines)} signatures is over the limit of {SIGNATURES_MAX}")
    signatures = list[tuple[str, str]]()
    for line in lines:
        name, space, encoded = line.removeprefix(_SIGNATURE_MARK).partition(" ")
        if not line.startswith(_SIGNATURE_MARK) or not space:
            raise InvalidRequest(f"`{line}` is not a signature line")
        _check_name(name)
        signatures.append((name, encoded))
    return text + "\n", signatures


def _check_name(name: str) -> None:
    if not name or "+" in name or any(char.isspace() for char in name) or _has_control(name):
        raise InvalidRequest(
            f"the key name or origin `{name}` is empty or holds a space, a plus or a control character"
        )


def _has_control(text: str) -> bool:
    return any(char < " " and char != "\n" for char in text)
