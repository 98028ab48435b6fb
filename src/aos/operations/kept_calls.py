"""Calls that no gate decides, kept for replay: steps, reports, timers, and what spawned children came to.

Each is written under its task's claim, once for a key, attempt and try; nothing of it enters the log but an observer's
finding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from aos.operations.group_commit import GroupCommit
from aos.operations.records import place
from aos.store.hot.database import Database
from aos.store.rows import ContentRow, RecordRow, contents_bytes, rows_json
from aos.store.task_rows import CallRow, TaskKey, TimerRow


@dataclass(slots=True)
class KeptCall:
    """One such call on its way into the store."""

    row: CallRow
    contents: list[ContentRow] = field(default_factory=list)
    records: list[RecordRow] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Timed:
    """How a timer stands: over, or due at a time."""

    over: bool
    due_at: datetime


class KeptCalls:
    """Writes batches of calls."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._commits = GroupCommit(self._flush, name="calls", weigh=lambda member: contents_bytes(member.contents))
        self._timers = GroupCommit(self._flush_timers, name="timers")

    async def keep(self, member: KeptCall) -> bool:
        """Write the call; False where its task's claim is gone, or the same call was written before."""
        return await self._commits.submit(member)

    async def time(self, row: TimerRow) -> Timed | None:
        """Begin a timer, or look whether it is over; None where its task's claim is gone."""
        return await self._timers.submit(row)

    async def drain(self) -> None:
        """Return when nothing is unwritten."""
        await self._commits.drain()
        await self._timers.drain()

    async def _flush(self, batch: Sequence[KeptCall]) -> list[bool]:
        for n, member in enumerate(batch):
            member.row.n = n
            for content in member.contents:
                content.n = n
            for record in member.records:
                record.n = n
        keys = [TaskKey(organization_id=member.row.organization_id, id=member.row.task_id) for member in batch]
        params = {
            "members": rows_json([member.row for member in batch]),
            "contents": rows_json([row for member in batch for row in member.contents]),
            "records": rows_json(place([row for member in batch for row in member.records])),
        }

        rows = await self._database.write_in_order(("lock_tasks", {"tasks": rows_json(keys)}), ("append_calls", params))
        written = {row["n"] for row in rows}
        return [n in written for n in range(len(batch))]

    async def _flush_timers(self, batch: Sequence[TimerRow]) -> list[Timed | None]:
        for n, row in enumerate(batch):
            row.n = n
        keys = [TaskKey(organization_id=row.organization_id, id=row.task_id) for row in batch]
        params = {"members": rows_json(batch)}

        rows = await self._database.write_in_order(("lock_tasks", {"tasks": rows_json(keys)}), ("time_calls", params))
        found = {row["n"]: Timed(row["state"] == "performed", row["due_at"]) for row in rows}
        return [found.get(n) for n in range(len(batch))]
