"""What an outsider is given: the proof of one record, and the export of a whole log.

Both are read by a checker that shares no code with AOS, so the two forms are part of the public contract:

`aos-proof/1`, one JSON object: `format`, `record` (base64 of the canonical bytes), `leaf_index`, `tree_size`, `path`
(base64 hashes, from the leaf up), `checkpoint` (the signed note), `key` (the log's public key, as notes write it).

`aos-log/1`, JSON lines: first `{"format", "organization", "checkpoint", "key"}`, then for each leaf in order
`{"i": index, "r": base64 of the canonical bytes, "h": hex leaf hash}`; `r` is left out where retention has dropped the
bytes. `h` beside `r` may be left out; it lets a checker name the record that was altered.

The key inside serves to find mistakes; trust comes only from a key that the reader has from elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import msgspec

from aos.kernel.errors import AuditBroken, InvalidRequest
from aos.kernel.ledger.checkpoint import (
    Checkpoint,
    VerifierKey,
    Verify,
    base64_bytes,
    base64_text,
    open_checkpoint,
    parse_verifier_key,
    verifier_key_text,
)
from aos.kernel.ledger.record import Record, parse_record
from aos.kernel.ledger.tree import (
    HASH_BYTES,
    CompactRange,
    append_leaves,
    leaf_hash,
    tree_root,
    verify_inclusion,
)
from aos.kernel.misfits import misfit_text

PROOF_FORMAT: Final = "aos-proof/1"
LOG_FORMAT: Final = "aos-log/1"

PROOF_BYTES_MAX: Final = 1_048_576
"""The longest proof document, and the longest line of an export, that is read."""

PATH_MAX: Final = 64
"""How many hashes a path may have: enough for 2**64 leaves."""


@dataclass(frozen=True, slots=True)
class Proof:
    """One record's place in a log, with the signed checkpoint that it leads to."""

    record: bytes
    leaf_index: int
    tree_size: int
    path: tuple[bytes, ...]
    checkpoint: str
    key: VerifierKey


@dataclass(frozen=True, slots=True)
class LogHeader:
    """The first line of an exported log."""

    organization_id: UUID
    checkpoint: str
    key: VerifierKey


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One leaf of an exported log; `record` is None where retention has dropped the bytes."""

    index: int
    hash: bytes
    record: bytes | None


class _ProofDocument(msgspec.Struct, forbid_unknown_fields=True):
    format: str
    record: str
    leaf_index: int
    tree_size: int
    path: list[str]
    checkpoint: str
    key: str


class _HeaderLine(msgspec.Struct, forbid_unknown_fields=True):
    format: str
    organization: UUID
    checkpoint: str
    key: str


class _EntryLine(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    i: int
    r: str | None = None
    h: str | None = None


_encode = msgspec.json.Encoder().encode
_decode_proof = msgspec.json.Decoder(_ProofDocument).decode
_decode_header = msgspec.json.Decoder(_HeaderLine).decode
_decode_entry = msgspec.json.Decoder(_EntryLine).decode


def proof_document(proof: Proof) -> bytes:
    """Write a proof as its JSON document, ended by a newline."""
    document = _ProofDocument(
        format=PROOF_FORMAT,
        record=base64_text(proof.record),
        leaf_index=proof.leaf_index,
        tree_size=proof.tree_size,
        path=[base64_text(step) for step in proof.path],
        checkpoint=proof.checkpoint,
        key=verifier_key_text(proof.key),
    )
    return _encode(document) + b"\n"


def parse_proof(data: bytes) -> Proof:
    """Read a proof document; raises `InvalidRequest` for anything but the closed form. Nothing is verified here."""
    if len(data) > PROOF_BYTES_MAX:
        raise InvalidRequest(f"a proof document has at most {PROOF_BYTES_MAX} bytes, not {len(data)}")
    try:
        document = _decode_proof(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"this is no proof that `aos audit prove` wrote: {misfit_text(error)}") from error
    if document.format != PROOF_FORMAT:
        raise InvalidRequest(f"the proof's format is `{document.format}`, not `{PROOF_FORMAT}`")
    if len(document.path) > PATH_MAX:
        raise InvalidRequest(f"a path has at most {PATH_MAX} hashes, not {len(document.path)}")
    return Proof(
        record=base64_bytes(document.record, "the record"),
        leaf_index=document.leaf_index,
        tree_size=document.tree_size,
        path=tuple(base64_bytes(step, "a hash of the path", length=HASH_BYTES) for step in document.path),
        checkpoint=document.checkpoint,
        key=parse_verifier_key(document.key),
    )


def check_proof(proof: Proof, key: VerifierKey, *, verify: Verify) -> Record:
    """Return the record once the proof holds under `key`, which must come from elsewhere than the proof.

    Raises `AuditBroken` naming what differs, `InvalidRequest` for a malformed part.
    """
    checkpoint = open_checkpoint(proof.checkpoint, key, verify=verify)
    if proof.key != key:
        raise AuditBroken("the key inside the proof is not the log's key")
    if checkpoint.size != proof.tree_size:
        raise AuditBroken(f"the proof is for {proof.tree_size} leaves, its checkpoint for {checkpoint.size}")
    leaf = leaf_hash(proof.record)
    if not verify_inclusion(leaf, proof.leaf_index, checkpoint.size, path=proof.path, root=checkpoint.root):
        raise AuditBroken(f"the record is not leaf {proof.leaf_index} under the checkpoint's root")
    record = parse_record(proof.record)
    _check_organization(record, checkpoint)
    return record


def header_line(header: LogHeader) -> bytes:
    """Write the first line of an exported log, ended by a newline."""
    line = _HeaderLine(LOG_FORMAT, header.organization_id, header.checkpoint, verifier_key_text(header.key))
    return _encode(line) + b"\n"


def entry_line(entry: LogEntry) -> bytes:
    """Write the line of one leaf, ended by a newline."""
    record = None if entry.record is None else base64_text(entry.record)
    return _encode(_EntryLine(entry.index, record, entry.hash.hex())) + b"\n"


def parse_header_line(line: bytes) -> LogHeader:
    """Read the first line of an exported log; raises `InvalidRequest` for anything but the closed form."""
    try:
        header = _decode_header(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(
            f"line 1 is not the header of a log that `aos audit export` wrote: {misfit_text(error)}"
        ) from error
    if header.format != LOG_FORMAT:
        raise InvalidRequest(f"the log's format is `{header.format}`, not `{LOG_FORMAT}`")
    return LogHeader(header.organization, header.checkpoint, parse_verifier_key(header.key))


def parse_entry_line(line: bytes, index: int) -> LogEntry:
    """Read the line of leaf `index`.

    Raises `InvalidRequest` for a malformed line, `AuditBroken` when it is another leaf's or its hash is not that of
    its bytes.
    """
    try:
        entry = _decode_entry(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"the line of leaf {index} does not read: {misfit_text(error)}") from error
    if entry.i != index:
        raise AuditBroken(f"leaf {index} is missing: leaf {entry.i} stands in its place")
    record = None if entry.r is None else base64_bytes(entry.r, f"the record of leaf {index}")
    stated = None if entry.h is None else _hash_bytes(entry.h, index)
    found = stated if record is None else leaf_hash(record)
    if found is None:
        raise InvalidRequest(f"the line of leaf {index} has neither a record nor a hash")
    if stated is not None and stated != found:
        raise AuditBroken(f"the record of leaf {index} does not have the hash beside it: it was altered")
    return LogEntry(index, found, record)


def check_log(lines: Iterable[bytes], key: VerifierKey, *, verify: Verify) -> Checkpoint:
    """Return the checkpoint once the exported lines are exactly the log that it signs.

    Streams: memory does not grow with the log. Raises `AuditBroken` naming the first leaf that differs where the
    lines allow it.
    """
    stream = iter(lines)
    header = parse_header_line(next(stream, b""))
    checkpoint = open_checkpoint(header.checkpoint, key, verify=verify)
    if header.key != key or not checkpoint.origin.endswith(f"/{header.organization_id}"):
        raise AuditBroken("the key or organization in the log's header is not the checkpoint's")
    leaves = (parse_entry_line(line, index).hash for index, line in enumerate(stream))
    tree, _ = append_leaves(CompactRange(), leaves)
    if tree.size != checkpoint.size:
        raise AuditBroken(f"the export has {tree.size} leaves, its checkpoint signs {checkpoint.size}")
    if tree_root(tree) != checkpoint.root:
        raise AuditBroken(f"the root over the {tree.size} leaves is not the one that the checkpoint signs")
    return checkpoint


def _hash_bytes(text: str, index: int) -> bytes:
    try:
        data = bytes.fromhex(text)
    except ValueError:
        data = b""
    if len(data) != HASH_BYTES or data.hex() != text:
        raise InvalidRequest(f"the hash of leaf {index} is not {HASH_BYTES} bytes in lower-case hex")
    return data


def _check_organization(record: Record, checkpoint: Checkpoint) -> None:
    """A log holds the records of one organization, which its origin names."""
    if not checkpoint.origin.endswith(f"/{record.organization_id}"):
        raise AuditBroken(f"the record belongs to another organization than the log `{checkpoint.origin}`")
