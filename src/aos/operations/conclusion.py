"""The second half of the gate in the store: outcomes, settlements and usage, gathered into one group commit.

A member is written once: only while its action is intended, and inside a task only under the task's claim. What is not
returned was concluded before, or its claim is gone; the gate then reads what stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from aos.kernel.budget import Hold
from aos.kernel.limits import ORIGIN_TOKENS_RUN_MAX
from aos.operations.admission import lock_of_accounts
from aos.operations.records import place
from aos.store.hot.database import Database
from aos.store.rows import (
    ConcludeRow,
    ContentRow,
    OriginRow,
    RecordRow,
    SettlementRow,
    UsageRow,
    contents_bytes,
    rows_json,
)

_ORIGIN_BYTES = 120
"""About what one row of origins has as JSON."""


@dataclass(slots=True)
class Conclusion:
    """One outcome on its way into the store. Each hold is given back, and `settled_nanos` of it charged."""

    row: ConcludeRow
    contents: list[ContentRow] = field(default_factory=list)
    records: list[RecordRow] = field(default_factory=list)
    usage: list[UsageRow] = field(default_factory=list)
    origins: list[OriginRow] = field(default_factory=list)
    settlements: list[tuple[Hold, int]] = field(default_factory=list)

    def bytes(self) -> int:
        """Return how much content it brings, and how much the origins weigh that come with it."""
        return contents_bytes(self.contents) + _ORIGIN_BYTES * len(self.origins)


class ConclusionWriter:
    """Writes batches of conclusions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def flush(self, batch: Sequence[Conclusion]) -> list[bool]:
        """Write the batch and return, for each member in order, whether it was written now."""

        statements: list[tuple[str, dict[str, object]]] = []
        tasks = [member.row for member in batch if member.row.task_id is not None]
        if tasks:
            statements.append(("lock_members", {"members": rows_json(tasks)}))
        holds = [hold for member in batch for hold, _ in member.settlements]
        if holds:
            statements.append(lock_of_accounts(holds))
        rows = await self._database.write_in_order(*statements, ("conclude", _concluded(batch)))
        written = {row["n"] for row in rows}
        return [n in written for n in range(len(batch))]


def _concluded(batch: Sequence[Conclusion]) -> dict[str, object]:
    """Return the parameters of `conclude.sql`."""
    settlements = []
    for n, member in enumerate(batch):
        member.row.n = n
        _number(n, member)
        settlements += [_settlement_row(n, hold, settled_nanos=nanos) for hold, nanos in member.settlements]
    action_ids = [member.row.action_id for member in batch]
    return {
        "members": rows_json([member.row for member in batch]),
        "first_action_id": min(action_ids),
        "last_action_id": max(action_ids),
        "contents": rows_json([row for member in batch for row in member.contents]),
        "records": rows_json(place([row for member in batch for row in member.records])),
        "usage": rows_json([row for member in batch for row in member.usage]),
        "origins": rows_json([row for member in batch for row in member.origins]),
        "settlements": rows_json(settlements),
        "origin_tokens_max": ORIGIN_TOKENS_RUN_MAX,
    }


def _number(n: int, member: Conclusion) -> None:
    for content in member.contents:
        content.n = n
    for record in member.records:
        record.n = n
    for usage in member.usage:
        usage.n = n
    for origin in member.origins:
        origin.n = n


def _settlement_row(n: int, hold: Hold, *, settled_nanos: int) -> SettlementRow:
    key = hold.account
    return SettlementRow(
        n=n,
        organization_id=key.organization_id,
        budget_id=key.budget_id,
        period_start=key.period_start,
        held_nanos=hold.nanos,
        settled_nanos=settled_nanos,
    )
