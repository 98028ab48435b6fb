"""The writing of runs that start: many at once in one statement and one commit, and what is read of workflows, kept.

A run brings its rows in one document. What must be alone in its transaction is written alone: a run with more beside it, one
that uses an approval, one that takes over from another, and one of so many tasks that others would wait for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias
from uuid import UUID

from psycopg.errors import UniqueViolation

from aos.kernel.errors import Conflict
from aos.kernel.ports import Ticker
from aos.operations.facts import OrganizationFacts
from aos.operations.group_commit import GroupCommit
from aos.operations.open_tasks import OpenTasks
from aos.operations.plans import PLAN_BYTES_MAX, PLANS_MAX
from aos.operations.run_rows import RunRows, start_params
from aos.store.hot.database import AppTransaction, Database, Row
from aos.store.rows import contents_bytes

SHARED_TASKS_MAX: Final = 200
"""Tasks of a run that is written together with others, at most: one takes about 40 us in the database."""
_TASK_BYTES: Final = 400
"""About how long the document of a task with its edges is."""

Besides: TypeAlias = Callable[[AppTransaction, UUID], Awaitable[None]]
"""What else is written in the transaction that starts a run of this id; what it raises undoes the start."""


class RunStarts:
    """Writes the starts of one process's runs. `room` bounds how many tasks they may have open."""

    def __init__(self, database: Database, ticker: Ticker) -> None:
        self.room = OpenTasks(database, ticker)
        self._database = database
        self._workflows: dict[tuple[UUID, str], tuple[int, Row | None]] = {}
        self._reading: dict[tuple[UUID, str, int], asyncio.Task[Row | None]] = {}
        self._commits: GroupCommit[RunRows, bool] = GroupCommit(
            self._flush, name="run-starts", weigh=_bytes_of, whose=lambda rows: rows.run.organization_id
        )

    async def workflow(self, facts: OrganizationFacts, name: str) -> Row | None:
        """Return the workflow of this name as of the facts' epoch or later, None where there is none.

        Each change of a workflow raises its organization's epoch, and a start is written only at the epoch that it was decided
        at: what was read before is good while the epoch stands. Who asks while it is being read waits for that.
        """
        kept = self._workflows.get((facts.id, name))
        if kept is not None and kept[0] == facts.epoch:
            return kept[1]
        key = facts.id, name, facts.epoch
        reading = self._reading.get(key)
        if reading is None:
            reading = self._reading[key] = asyncio.create_task(self._read(facts, name), name="workflow")
            reading.add_done_callback(lambda done: self._has_read(key, done))
        return await asyncio.shield(reading)

    def _has_read(self, key: tuple[UUID, str, int], done: asyncio.Task[Row | None]) -> None:
        del self._reading[key]
        if not done.cancelled():
            done.exception()  # told to whoever waits, if somebody still does

    async def _read(self, facts: OrganizationFacts, name: str) -> Row | None:
        rows = await self._database.app_read(facts.id, "load_workflow", {"organization_id": facts.id, "name": name})
        row = rows[0] if rows else None
        if row is not None and len(row["spec"]) <= PLAN_BYTES_MAX:
            if len(self._workflows) >= PLANS_MAX:
                self._workflows.clear()
            self._workflows[facts.id, name] = facts.epoch, row
        return row

    async def write(self, rows: RunRows, *, besides: Besides | None = None) -> bool:
        """Write a run; return False where what it was decided on no longer holds, and nothing was written.

        Raises Conflict where somebody else starts the same run at this moment, and what `besides` raises.
        """
        run = rows.run
        if besides is not None:
            return await self._with(rows, besides)
        if run.approval_id is not None or run.origins_from_id is not None or len(rows.tasks) > SHARED_TASKS_MAX:
            return (await self._flush([rows]))[0]
        return await self._commits.submit(rows)

    async def drain(self) -> None:
        """Return when nothing that was submitted is still unwritten."""
        await self._commits.drain()

    async def _flush(self, members: Sequence[RunRows]) -> Sequence[bool]:
        try:
            written = await self._database.write_in_order(("start_run", start_params(members)))
        except UniqueViolation as error:
            if len(members) > 1:
                raise  # each is written by itself then
            raise _same_run() from error
        ids = {row["id"] for row in written}
        return [rows.run_id in ids for rows in members]

    async def _with(self, rows: RunRows, besides: Besides) -> bool:
        try:
            async with self._database.app(rows.run.organization_id) as transaction:
                if not await transaction.run("start_run", start_params([rows])):
                    return False
                await besides(transaction, rows.run_id)
                return True
        except UniqueViolation as error:
            raise _same_run() from error


def _same_run() -> Conflict:
    return Conflict("the same run was started by somebody else at this moment: ask again")


def _bytes_of(rows: RunRows) -> int:
    return contents_bytes(rows.contents) + _TASK_BYTES * len(rows.tasks)
