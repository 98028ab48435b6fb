"""What an outsider is given verifies as it stands, and stops verifying when one bit of it changes."""

from __future__ import annotations

import json
from uuid import UUID

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from aos.kernel.errors import AosError, AuditBroken, InvalidRequest
from aos.kernel.ledger.checkpoint import Checkpoint, VerifierKey, log_origin, sign_checkpoint
from aos.kernel.ledger.proof import (
    LogEntry,
    LogHeader,
    Proof,
    check_log,
    check_proof,
    entry_line,
    header_line,
    parse_proof,
    proof_document,
)
from aos.kernel.ledger.record import Record, RecordKind, record_bytes
from aos.kernel.ledger.tree import CompactRange, append_leaves, inclusion_path, leaf_hash, tree_root

ORGANIZATION = UUID(int=7)
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = VerifierKey(log_origin(ORGANIZATION), PRIVATE.public_key().public_bytes_raw())
SIZE, INDEX = 11, 6


def a_record(number: int, organization: UUID = ORGANIZATION) -> bytes:
    at = "2026-11-23T02:42:00.000001Z"
    kind = RecordKind.ACT_PERFORMED
    return record_bytes(
        Record(id=UUID(int=number), organization_id=organization, kind=kind, at=at, action_id=UUID(int=1))
    )


RECORDS = [a_record(number) for number in range(SIZE)]


def a_note(records: list[bytes]) -> str:
    tree, _ = append_leaves(CompactRange(), map(leaf_hash, records))
    return sign_checkpoint(Checkpoint(KEY.name, tree.size, tree_root(tree)), KEY.public, sign=PRIVATE.sign)


def a_proof(records: list[bytes], index: int) -> Proof:
    stored = {(0, at): leaf_hash(record) for at, record in enumerate(records)}
    path = inclusion_path(index, len(records), stored)
    return Proof(records[index], index, len(records), path, a_note(records), KEY)


def a_log(records: list[bytes]) -> list[bytes]:
    lines = [entry_line(LogEntry(at, leaf_hash(record), record)) for at, record in enumerate(records)]
    return [header_line(LogHeader(ORGANIZATION, a_note(records), KEY)), *lines]


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


PROOF = a_proof(RECORDS, INDEX)
DOCUMENT = proof_document(PROOF)


def test_a_proof_reads_back_and_yields_the_record() -> None:
    assert parse_proof(DOCUMENT) == PROOF
    assert check_proof(parse_proof(DOCUMENT), KEY, verify=verify).id == UUID(int=INDEX)


def test_one_bit_changed_anywhere_in_a_proof_document_is_found() -> None:
    for bit in range(len(DOCUMENT) * 8):
        altered = bytearray(DOCUMENT)
        altered[bit // 8] ^= 1 << bit % 8
        with pytest.raises(AosError):
            check_proof(parse_proof(bytes(altered)), KEY, verify=verify)


def test_a_proof_by_another_key_is_refused_although_it_agrees_with_itself() -> None:
    other = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw()
    with pytest.raises(AuditBroken, match="not signed by the key"):
        check_proof(PROOF, VerifierKey(KEY.name, other), verify=verify)


def test_a_record_of_another_organization_is_refused_although_the_log_signed_it() -> None:
    with pytest.raises(AuditBroken, match="another organization"):
        check_proof(a_proof([*RECORDS, a_record(1, UUID(int=8))], SIZE), KEY, verify=verify)


@pytest.mark.parametrize(
    "change",
    [{"format": "aos-proof/2"}, {"path": ["AA=="]}, {"path": ["A" * 43 + "="] * 65}, {"leaf_index": "6"}, {"more": 1}],
)
def test_a_document_outside_the_closed_form_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest):
        parse_proof(json.dumps(json.loads(DOCUMENT) | change).encode())


@pytest.mark.parametrize("size", [0, 1, 2, 11])
def test_an_exported_log_verifies(size: int) -> None:
    assert check_log(a_log(RECORDS[:size]), KEY, verify=verify).size == size


def test_an_exported_log_verifies_where_retention_dropped_bytes() -> None:
    lines = a_log(RECORDS)
    lines[4] = entry_line(LogEntry(3, leaf_hash(RECORDS[3]), None))
    assert json.loads(lines[4]) == {"i": 3, "h": leaf_hash(RECORDS[3]).hex()}
    assert check_log(lines, KEY, verify=verify).size == SIZE


def test_one_bit_changed_anywhere_in_an_exported_log_is_found() -> None:
    lines = a_log(RECORDS[:3])
    for at, line in enumerate(lines):
        for bit in range(len(line) * 8 - 8):
            altered = bytearray(line)
            altered[bit // 8] ^= 1 << bit % 8
            with pytest.raises(AosError):
                check_log([*lines[:at], bytes(altered), *lines[at + 1 :]], KEY, verify=verify)


def test_an_altered_record_is_named() -> None:
    lines = a_log(RECORDS)
    lines[5] = entry_line(LogEntry(4, leaf_hash(RECORDS[4]), RECORDS[3]))
    with pytest.raises(AuditBroken, match="the record of leaf 4"):
        check_log(lines, KEY, verify=verify)


def test_a_leaf_dropped_moved_added_or_replaced_is_found() -> None:
    lines = a_log(RECORDS)
    swapped = a_log([*RECORDS[:2], RECORDS[3], RECORDS[2], *RECORDS[4:]])[1:]
    extra = entry_line(LogEntry(SIZE, leaf_hash(RECORDS[0]), RECORDS[0]))
    with pytest.raises(AuditBroken, match="leaf 3 is missing"):
        check_log(lines[:4] + lines[5:], KEY, verify=verify)
    with pytest.raises(AuditBroken, match="signs 11"):
        check_log(lines[:-1], KEY, verify=verify)
    with pytest.raises(AuditBroken, match="signs 11"):
        check_log([*lines, extra], KEY, verify=verify)
    with pytest.raises(AuditBroken, match="root"):
        check_log([lines[0], *swapped], KEY, verify=verify)
