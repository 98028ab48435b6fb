"""Ended runs leave the hot tables: their tasks move to daily partitions, and what only replay needed is dropped."""

from __future__ import annotations

from collections.abc import Mapping

from aos.store.hot.database import Database, MachineTransaction, Row

AFTER_SECONDS = 600
"""How long an ended run's tasks stay where they are, so that what has just ended is read from one table."""
UNDO_SECONDS = 7 * 86_400
"""How long a failed run that is to be undone is kept from the archive while its undoing has not begun."""
TASKS_MAX = 2_000
RUNS_MAX = 20
IDEMPOTENCY_SECONDS = 86_400
"""How long an Idempotency-Key is promised to be known."""
IDEMPOTENCY_MAX = 5_000
ASSERTIONS_MAX = 5_000


class Housekeeping:
    """Keeps the hot tables small and the partitions ahead of time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def archive_runs(self, *, after_seconds: float = AFTER_SECONDS) -> int:
        """Archive up to RUNS_MAX runs that ended `after_seconds` ago; return how many tasks were moved."""
        limits = {"after_seconds": after_seconds, "undo_seconds": UNDO_SECONDS, "runs_max": RUNS_MAX}
        moved = 0
        for run in await self._database.read("list_archivable_runs", limits):
            where = {"organization_id": run["organization_id"], "run_id": run["id"]}
            while (count := await self._archive_tasks(where)) > 0:
                moved += count
            await self._write("archive_run", where)
        return moved

    async def forget_idempotency(self) -> int:
        """Forget stored answers that are older than promised, up to IDEMPOTENCY_MAX; return how many."""
        limits = {"after_seconds": IDEMPOTENCY_SECONDS, "rows_max": IDEMPOTENCY_MAX}
        return len(await self._write("drop_idempotency", limits))

    async def forget_assertions(self) -> int:
        """Forget used assertions that have expired, up to ASSERTIONS_MAX; return how many."""
        return len(await self._write("drop_assertions", {"rows_max": ASSERTIONS_MAX}))

    async def make_partitions(self) -> int:
        """Make the partitions of the days ahead that do not exist; return how many."""
        return int((await self._write("make_partitions", {}))[0]["made"])

    async def _archive_tasks(self, where: Mapping[str, object]) -> int:
        rows = await self._write("archive_tasks", {**where, "tasks_max": TASKS_MAX})
        return int(rows[0]["moved"])

    async def _write(self, statement: str, params: Mapping[str, object]) -> list[Row]:
        async def work(transaction: MachineTransaction) -> list[Row]:
            return await transaction.run(statement, params)

        return await self._database.write(work)
