"""Ledger records as rows: made here, written by whichever statement writes what they state."""

from __future__ import annotations

from collections.abc import Sequence

from aos.kernel.ledger.record import Record, record_bytes
from aos.kernel.ledger.tree import leaf_hash
from aos.store.rows import RecordRow, hex_bytes


def record_row(record: Record) -> RecordRow:
    """Return the row of a record with its leaf hash; the batch sets `n` and `position`."""
    data = record_bytes(record)
    return RecordRow(
        n=0,
        organization_id=record.organization_id,
        id=record.id,
        kind=record.kind.value,
        bytes=hex_bytes(data),
        leaf=hex_bytes(leaf_hash(data)),
        position=0,
        run_id=record.run_id,
        action_id=record.action_id,
    )


def place(records: Sequence[RecordRow]) -> list[RecordRow]:
    """Number the records of one transaction in the order in which they shall enter the log."""
    for position, record in enumerate(records):
        record.position = position
    return list(records)
