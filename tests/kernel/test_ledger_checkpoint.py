"""Checkpoints are C2SP signed notes: vectors of other implementations hold, and each value has one spelling."""

from __future__ import annotations

import base64
from uuid import UUID

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from aos.kernel.errors import AuditBroken, InvalidRequest
from aos.kernel.ledger.checkpoint import (
    Checkpoint,
    VerifierKey,
    checkpoint_body,
    log_origin,
    open_checkpoint,
    open_note,
    parse_checkpoint_body,
    parse_verifier_key,
    sign_checkpoint,
    sign_note,
    verifier_key_text,
)

# The key, text and note that the checksum database's own note package is tested with.
NEUMANN_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
NEUMANN_SEED = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
NEUMANN_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
NEUMANN_NOTE = (
    NEUMANN_TEXT
    + "\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = PRIVATE.public_key().public_bytes_raw()
ORGANIZATION = UUID(int=7)
ORIGIN = log_origin(ORGANIZATION)
KEY = VerifierKey(ORIGIN, PUBLIC)
CHECKPOINT = Checkpoint(ORIGIN, 20_852_163, bytes(range(32)))
NOTE = sign_checkpoint(CHECKPOINT, PUBLIC, sign=PRIVATE.sign)


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def test_a_note_of_another_implementation_opens() -> None:
    assert open_note(NEUMANN_NOTE, parse_verifier_key(NEUMANN_KEY), verify=verify) == NEUMANN_TEXT


def test_signing_gives_the_note_of_another_implementation_byte_for_byte() -> None:
    key = Ed25519PrivateKey.from_private_bytes(NEUMANN_SEED)
    assert sign_note(NEUMANN_TEXT, parse_verifier_key(NEUMANN_KEY), sign=key.sign) == NEUMANN_NOTE


def test_a_key_is_written_as_other_implementations_write_it() -> None:
    assert verifier_key_text(parse_verifier_key(NEUMANN_KEY)) == NEUMANN_KEY


def test_a_checkpoint_reads_as_the_specification_shows() -> None:
    body = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    read = parse_checkpoint_body(body)
    assert (read.origin, read.size, read.root[:2].hex()) == ("example.com/behind-the-sofa", 20_852_163, "0ac5")
    assert checkpoint_body(read) == body


def test_a_signed_checkpoint_says_what_was_signed() -> None:
    assert open_checkpoint(NOTE, KEY, verify=verify) == CHECKPOINT


def test_the_origin_names_the_organization() -> None:
    assert ORIGIN == "aos.local/00000000-0000-0000-0000-000000000007"


def test_one_bit_changed_anywhere_in_a_signed_checkpoint_is_found() -> None:
    data = NOTE.encode()
    for bit in range(len(data) * 8):
        altered = bytearray(data)
        altered[bit // 8] ^= 1 << bit % 8
        with pytest.raises((AuditBroken, InvalidRequest, UnicodeDecodeError)):
            open_checkpoint(altered.decode(), KEY, verify=verify)


def test_the_signature_of_another_key_proves_nothing() -> None:
    other = Ed25519PrivateKey.from_private_bytes(bytes(32))
    with pytest.raises(AuditBroken, match="not signed by the key"):
        open_checkpoint(
            sign_checkpoint(CHECKPOINT, other.public_key().public_bytes_raw(), sign=other.sign), KEY, verify=verify
        )
    forged = sign_checkpoint(CHECKPOINT, PUBLIC, sign=other.sign)
    with pytest.raises(AuditBroken, match="not one on this text"):
        open_checkpoint(forged, KEY, verify=verify)


def test_signatures_of_unknown_keys_are_passed_over() -> None:
    witness = "— witness.example/w " + base64.b64encode(b"\x00\x01\x02\x03" + bytes(70)).decode() + "\n"
    same_name = f"— {ORIGIN} " + base64.b64encode(b"\x00\x01\x02\x03" + bytes(64)).decode() + "\n"
    assert open_checkpoint(NOTE + witness + same_name, KEY, verify=verify) == CHECKPOINT


def test_a_checkpoint_of_another_log_is_refused_even_when_the_key_signed_it() -> None:
    text = checkpoint_body(Checkpoint("aos.local/other", 1, bytes(32)))
    with pytest.raises(AuditBroken, match="aos.local/other"):
        open_checkpoint(sign_note(text, KEY, sign=PRIVATE.sign), KEY, verify=verify)


@pytest.mark.parametrize(
    "note",
    [
        "",
        NOTE[:-1],
        NOTE + "\n",
        NOTE.replace("\n\n", "\n"),
        NOTE.replace("— ", "-- "),
        NOTE.replace("— ", "—  "),
        NOTE.replace("\n", "\r\n"),
        CHECKPOINT.origin + "\n\n",
        NOTE + NOTE.splitlines(keepends=True)[-1] * 16,
        NOTE.replace("20852163", "\x00"),
        "x" * 70_000 + NOTE,
    ],
)
def test_a_malformed_note_is_refused(note: str) -> None:
    with pytest.raises(InvalidRequest):
        open_checkpoint(note, KEY, verify=verify)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "origin\n1\n",
        f"origin\n1\n{base64.b64encode(bytes(32)).decode()}",
        f"origin\n01\n{base64.b64encode(bytes(32)).decode()}\n",
        f"origin\n-1\n{base64.b64encode(bytes(32)).decode()}\n",
        f"origin\n\u0661\n{base64.b64encode(bytes(32)).decode()}\n",
        f"origin\n1\n{base64.b64encode(bytes(31)).decode()}\n",
        f"origin\n1\n{base64.b64encode(bytes(32)).decode()[:-2]}B=\n",
        f"or igin\n1\n{base64.b64encode(bytes(32)).decode()}\n",
        f"or+igin\n1\n{base64.b64encode(bytes(32)).decode()}\n",
        f"\n1\n{base64.b64encode(bytes(32)).decode()}\n",
        f"origin\n1\n{base64.b64encode(bytes(32)).decode()}\nextension\n",
    ],
)
def test_a_malformed_checkpoint_body_is_refused(body: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_checkpoint_body(body)


@pytest.mark.parametrize(
    "key", ["", "a+b", NEUMANN_KEY[:-1], NEUMANN_KEY.replace("c74f", "c74e"), NEUMANN_KEY.replace("+AR", "+BR")]
)
def test_a_malformed_key_is_refused(key: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_verifier_key(key)


@pytest.mark.parametrize("text", ["", "no newline", "control\x00\n"])
def test_a_text_that_no_note_can_carry_is_not_signed(text: str) -> None:
    with pytest.raises(InvalidRequest):
        sign_note(text, KEY, sign=PRIVATE.sign)
