"""The integrator: gives written records their places in the organization's log and signs what stands.

It locks the head first and then takes the lowest (transaction, position) in one statement, so it waits for nothing and
consults no snapshot. A record acknowledged before another's transaction began has the lower index.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

import msgspec

from aos.kernel.ledger.checkpoint import Checkpoint, log_origin, sign_checkpoint
from aos.kernel.ledger.tree import append_leaves, parse_peaks, peaks_bytes, tree_root
from aos.operations.drivers import Drivers
from aos.operations.facts import FactsCache, OrganizationFacts
from aos.store.hot.database import Database, MachineTransaction, Row
from aos.store.rows import hex_bytes, rows_json

LEAVES_MAX: Final = 5_000
"""Records that one transaction integrates."""


class _NodeRow(msgspec.Struct):
    level: int
    index: int
    hash: str


@dataclass(frozen=True, slots=True)
class Integrated:
    """What one step did to one organization's log."""

    organization_id: UUID
    leaves: int
    size: int


async def integrate_once(
    database: Database, facts: FactsCache, drivers: Drivers, *, organization_id: UUID | None = None
) -> Integrated | None:
    """Integrate what waits in one organization's log, at most `LEAVES_MAX` records; None where nothing waits."""

    async def work(transaction: MachineTransaction) -> Integrated | None:
        heads = await transaction.run("lock_head", {"organization_id": organization_id})
        if not heads:
            return None
        known = await facts.of(heads[0]["organization_id"])
        return await _integrate(transaction, heads[0], known, drivers)

    return await database.write(work)


async def integrate_all(
    database: Database, facts: FactsCache, drivers: Drivers, *, organization_id: UUID | None = None
) -> int:
    """Integrate until nothing waits; return how many records were placed."""
    placed = 0
    while (done := await integrate_once(database, facts, drivers, organization_id=organization_id)) is not None:
        placed += done.leaves
    return placed


async def _integrate(
    transaction: MachineTransaction, head: Row, facts: OrganizationFacts, drivers: Drivers
) -> Integrated:
    rows = await transaction.run("integrate", {"organization_id": facts.id, "size": head["size"], "limit": LEAVES_MAX})
    if not rows:  # another integrator placed what waited between our look and our lock
        return Integrated(facts.id, 0, head["size"])
    tree, stored = append_leaves(parse_peaks(head["size"], bytes(head["peaks"])), [bytes(row["leaf"]) for row in rows])
    key = facts.key("checkpoint")
    assert key.public is not None
    note = sign_checkpoint(
        Checkpoint(log_origin(facts.id), tree.size, tree_root(tree)),
        key.public,
        sign=lambda message: drivers.crypto.sign(key.private, message),
    )
    await transaction.run(
        "advance_head",
        {
            "organization_id": facts.id,
            "size": tree.size,
            "peaks": peaks_bytes(tree),
            "note": note,
            "key_id": key.id,
            "nodes": rows_json(
                [_NodeRow(each.level, each.index, hex_bytes(each.hash)) for each in stored if each.level]
            ),
        },
    )
    return Integrated(facts.id, len(rows), tree.size)
