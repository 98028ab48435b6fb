"""The organization's log for those who check it: its checkpoint, its records, and proofs that hold without AOS.

Everything here is read from what the integrator signed. A record that waits for its place is asked for too early.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from aos.kernel.errors import AuditBroken, NotFound, ProofTooEarly
from aos.kernel.ledger.checkpoint import VerifierKey, log_origin
from aos.kernel.ledger.proof import LogEntry, LogHeader, Proof, entry_line, header_line, proof_document
from aos.kernel.ledger.record import Record, parse_record
from aos.kernel.ledger.tree import (
    HashRange,
    StoredHashes,
    consistency_path,
    inclusion_path,
    needed_for_consistency,
    needed_for_inclusion,
)
from aos.kernel.people import Actor, Permission
from aos.operations.pages import Page, PageQuery, check_limit, decode_cursor, encode_cursor, refuse
from aos.operations.registry_records import reading, require
from aos.store.cold.connection import run_sql, tenant

EXPORT_BATCH: Final = 1_000
"""Leaves that an export reads at a time."""
RETRY_SECONDS: Final = 1
"""When to ask again for a proof that came too early."""


@dataclass(frozen=True, slots=True)
class SignedHead:
    """The newest signed checkpoint, and the key that signed it."""

    size: int
    note: str
    key: VerifierKey
    signed_at: datetime


@dataclass(frozen=True, slots=True)
class Leaf:
    """One leaf of the log; `record` is None where retention has dropped the bytes."""

    index: int
    hash: bytes
    record: Record | None


@dataclass(frozen=True, slots=True)
class Consistency:
    """The proof that the log of `new_size` leaves begins with that of `old_size`."""

    old_size: int
    new_size: int
    path: tuple[bytes, ...]
    head: SignedHead


def show_checkpoint(actor: Actor) -> SignedHead:
    """Return the newest signed checkpoint; raise ProofTooEarly while there is none."""
    with reading(actor, Permission.AUDIT_READ):
        return _head(actor.organization_id)


def list_records(actor: Actor, query: PageQuery) -> Page[Leaf]:
    """Return a page of the log's records, newest first, by `kind`, `run` or `action` where given."""
    check_limit(query)
    if query.order != "-created":
        raise refuse("order", "of the log is `-created` alone; `aos audit export` gives it from the first on")
    after = decode_cursor(query.cursor, query.order)
    if after is not None and not (after.isascii() and after.isdigit() and len(after) < 19):
        raise refuse("cursor", "is not one that this list gave out: begin again without it")
    params = {
        "kind": None,
        "run": None,
        "action": None,
        **query.filters,
        "organization_id": actor.organization_id,
        "before": None if after is None else int(after),
        "from": query.since,
        "to": query.until,
        "limit": query.limit + 1,
    }
    with reading(actor, Permission.AUDIT_READ):
        rows = run_sql("list_records", params)
    more, rows = len(rows) > query.limit, rows[: query.limit]
    following = encode_cursor(query.order, str(rows[-1]["index"])) if more else None
    return Page(tuple(_leaf(row) for row in rows), following)


def prove_record(actor: Actor, record_id: UUID) -> bytes:
    """Return the proof document (`aos-proof/1`) of one record; raise NotFound, or ProofTooEarly while it waits."""
    with reading(actor, Permission.AUDIT_READ):
        rows = run_sql("load_leaf", {"organization_id": actor.organization_id, "id": record_id})
        if not rows:
            raise NotFound(f"there is no record `{record_id}`")
        row = rows[0]
        head = _head(actor.organization_id)
        if row["index"] is None or row["index"] >= head.size:
            raise _too_early(f"record `{record_id}` is not in a signed checkpoint yet")
        if row["bytes"] is None:
            raise NotFound(
                f"the bytes of record `{record_id}` were dropped by retention; its leaf stands in the export"
            )
        hashes = _load_hashes(actor.organization_id, needed_for_inclusion(row["index"], head.size))
    path = inclusion_path(row["index"], head.size, hashes)
    return proof_document(Proof(row["bytes"], row["index"], head.size, path, head.note, head.key))


def prove_consistency(actor: Actor, old_size: int) -> Consistency:
    """Return the proof that today's log extends the log of `old_size` leaves; raise InvalidRequest past its end."""
    with reading(actor, Permission.AUDIT_READ):
        head = _head(actor.organization_id)
        if not 0 <= old_size <= head.size:
            raise refuse("from", f"must lie between 0 and the log's size, {head.size}")
        hashes = _load_hashes(actor.organization_id, needed_for_consistency(old_size, head.size))
    return Consistency(old_size, head.size, consistency_path(old_size, head.size, hashes), head)


def export_log(actor: Actor) -> Iterator[bytes]:
    """Yield the log as JSON lines (`aos-log/1`), exactly up to its newest checkpoint, read in batches.

    The permission and the checkpoint are looked at before the first line is asked for.
    """
    require(actor, Permission.AUDIT_READ)
    with tenant(actor.organization_id):
        head = _head(actor.organization_id)
    return _export(actor.organization_id, head)


def _export(organization_id: UUID, head: SignedHead) -> Iterator[bytes]:
    yield header_line(LogHeader(organization_id, head.note, head.key))
    start = 0
    while start < head.size:
        params = {"organization_id": organization_id, "start": start, "end": head.size, "limit": EXPORT_BATCH}
        with tenant(organization_id):
            rows = run_sql("list_leaves", params)
        if not rows:
            raise AuditBroken(f"leaf {start} of the log is missing")
        yield b"".join(entry_line(LogEntry(row["index"], row["hash"], row["bytes"])) for row in rows)
        start = rows[-1]["index"] + 1


def _head(organization_id: UUID) -> SignedHead:
    rows = run_sql("load_log_head", {"organization_id": organization_id})
    if not rows or rows[0]["checkpoint"] is None or rows[0]["public_key"] is None:
        raise _too_early("the log has no signed checkpoint yet")
    row = rows[0]
    key = VerifierKey(log_origin(organization_id), row["public_key"])
    return SignedHead(row["size"], row["checkpoint"], key, row["signed_at"])


def _load_hashes(organization_id: UUID, ranges: Iterable[HashRange]) -> StoredHashes:
    wanted = [{"level": each.level, "start": each.start, "count": each.count} for each in ranges]
    rows = run_sql("load_hashes", {"organization_id": organization_id, "ranges": json.dumps(wanted)})
    return {(row["level"], row["index"]): row["hash"] for row in rows}


def _too_early(detail: str) -> ProofTooEarly:
    return ProofTooEarly(detail, extra={"retry_after_seconds": RETRY_SECONDS})


def _leaf(row: dict[str, Any]) -> Leaf:
    record = None if row["bytes"] is None else parse_record(row["bytes"])
    return Leaf(row["index"], row["hash"], record)
