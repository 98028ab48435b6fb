"""A `for_each` task: it expands into one task for each item, waits for all of them, and collects what they returned."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from aos.kernel.errors import TooLarge
from aos.kernel.json import Json
from aos.kernel.limits import TASKS_PER_RUN_MAX
from aos.kernel.workflow.outcome import EndedTask, fan_failure
from aos.kernel.workflow.passes import Fail, Succeed
from aos.kernel.workflow.plan import child_work
from aos.kernel.workflow.spec import work_spec
from aos.kernel.workflow.states import TaskState
from aos.operations.claimed import ClaimedTask
from aos.operations.contents import open_json
from aos.operations.drivers import Drivers
from aos.operations.ends import seal
from aos.operations.facts import OrganizationFacts
from aos.store.hot.database import Database, MachineTransaction, Row
from aos.store.rows import ContentRow, rows_json
from aos.store.task_rows import ItemRow, TaskKey


class Fans:
    """Expands and collects."""

    def __init__(self, database: Database, drivers: Drivers) -> None:
        self._database = database
        self._drivers = drivers

    async def expand(self, task: ClaimedTask, inputs: Sequence[Json], facts: OrganizationFacts) -> bool:
        """Insert one task for each input and park the task until all have ended; False where its claim is gone.

        Raises TooLarge where the run would have more than TASKS_PER_RUN_MAX tasks.
        """
        if task.run.tasks_total + len(inputs) > TASKS_PER_RUN_MAX:
            raise TooLarge(f"{len(inputs)} items would make more than {TASKS_PER_RUN_MAX} tasks in one run")
        items: list[ItemRow] = []
        contents: list[ContentRow] = []
        for index, value in enumerate(inputs):
            item = ItemRow(id=self._drivers.ids.new(), index=index)
            if value is not None:
                sealed = seal(value, "input", facts, self._drivers)
                item.input_content_id = sealed.row.id
                contents.append(sealed.row)
            items.append(item)
        params = {
            "organization_id": task.organization_id,
            "task_id": task.id,
            "claim_token": task.token,
            "items": rows_json(items),
            "count": len(items),
            "spec": msgspec.json.encode(work_spec(child_work(task.work))).decode(),
            "contents": rows_json(contents),
            "tasks_max": TASKS_PER_RUN_MAX,
        }

        async def work(transaction: MachineTransaction) -> list[Row]:
            key = TaskKey(organization_id=task.organization_id, id=task.id)
            await transaction.run("lock_tasks", {"tasks": rows_json([key])})
            return await transaction.run("expand_fan", params)

        return bool(await self._database.write(work))

    async def collect(self, task: ClaimedTask, facts: OrganizationFacts) -> Succeed | Fail | None:
        """Return what a task came to whose items have ended, None where it was never expanded."""
        where = {"organization_id": task.organization_id, "task_id": task.id}
        rows = await self._database.read("load_fan_items", where)
        if not rows:
            return None
        failure = fan_failure([EndedTask(row["label"], TaskState(row["state"]), row["error_code"]) for row in rows])
        if failure is not None:
            return Fail("items-failed", failure)
        keys, crypto = facts.data_keys, self._drivers.crypto
        return Succeed([None if row["sealed"] is None else open_json(row, keys=keys, crypto=crypto) for row in rows])
