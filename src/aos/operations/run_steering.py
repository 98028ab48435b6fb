"""What open runs are told: stop, wait, go on, go first, try that task again; each with all the runs nested in it.

What is legal stands in `kernel.workflow.states`; the statements only guard it. Rules a reader must not break:
- A run and what is nested in it change in one transaction: a server that dies leaves all of it as it was, or none.
- A run that is already as it is told to be is no error: the answer is how it stands, and nothing is recorded again.
- Tasks are locked before runs. A nested run is started by the statement that parks its parent's task, so that once a
  level's tasks are locked, the next level is all there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from aos.kernel.errors import Conflict, InvalidRequest, NotFound, TooLarge
from aos.kernel.identity import Principal
from aos.kernel.ledger.record import Record, RecordKind, Usage, principal_ids, record_time
from aos.kernel.limits import RUNS_PER_TREE_MAX, TASK_PRIORITY_MAX
from aos.kernel.workflow.states import RUN_FINAL, RunEvent, RunState, step_run
from aos.operations.drivers import Drivers
from aos.operations.facts import FactsCache, OrganizationFacts
from aos.operations.records import place, record_row
from aos.store.hot.database import Database, MachineTransaction, Row
from aos.store.rows import RecordRow, UsageRow, rows_json

AT_WORK_SHOWN_MAX: Final = 100
"""Tasks that an answer names; how many there are is counted beyond it for a cancelled run."""
_DONE: Final = {
    RunEvent.CANCEL: "cancelled",
    RunEvent.PAUSE: "paused",
    RunEvent.RESUME: "resumed",
}
_WANTED: Final = {
    RunEvent.CANCEL: RunState.CANCELLED,
    RunEvent.PAUSE: RunState.PAUSED,
    RunEvent.RESUME: RunState.RUNNING,
}


@dataclass(frozen=True, slots=True)
class TaskAtWork:
    """A task whose pass runs, or ran when it was cut off."""

    id: UUID
    run_id: UUID
    label: str


@dataclass(frozen=True, slots=True)
class Steered:
    """What an order came to: the runs that it reached, how many open tasks and approvals it reached, and whose pass runs.

    Of a cancelled run `at_work` are the passes that were cut off; of a paused one those that run until their next call.
    """

    runs: tuple[UUID, ...] = ()
    tasks: int = 0
    approvals: int = 0
    at_work: tuple[TaskAtWork, ...] = ()


@dataclass(frozen=True, slots=True)
class _Tree:
    """A run with what is nested in it, the outermost first, and all their open tasks, locked."""

    run_ids: list[UUID]
    tasks: list[Row]


class Steering:
    """Steers open runs."""

    def __init__(self, database: Database, facts: FactsCache, drivers: Drivers) -> None:
        self._database = database
        self._facts = facts
        self._drivers = drivers

    async def cancel_run(self, principal: Principal, run_id: UUID) -> Steered:
        """Cancel a run with all its open tasks and nested runs; what runs of it can write nothing from now on.

        Raises NotFound, Conflict where the run has ended otherwise, TooLarge past RUNS_PER_TREE_MAX nested runs.
        """
        facts = await self._facts.of(principal.organization_id)

        async def work(transaction: MachineTransaction) -> tuple[_Tree, list[Row]]:
            tree = await self._lock_tree(transaction, facts.id, run_id)
            records, usage = self._cancelled(principal, tree, facts)
            params = {**_where(facts.id, tree), "records": records, "usage": rows_json(usage)}
            return tree, await transaction.run("cancel_run", params)

        tree, rows = await self._database.write(work)
        if not rows:
            await self._check_state(facts.id, run_id, RunEvent.CANCEL)
            return Steered()
        cut_off = [_at_work(task) for task in tree.tasks if task["state"] == "running"]
        return Steered(_ids(rows), len(tree.tasks), rows[0]["approvals"], tuple(cut_off[:AT_WORK_SHOWN_MAX]))

    async def pause_run(self, principal: Principal, run_id: UUID) -> Steered:
        """Let no further task of a run and its nested runs be claimed, and end its passes at their next call.

        It has taken effect once the answer names no task at work: ask again. Raises NotFound, Conflict where it has ended.
        """
        return await self._set_paused(principal, run_id, RunEvent.PAUSE)

    async def resume_run(self, principal: Principal, run_id: UUID) -> Steered:
        """Let a paused run go on, and what is nested in it; raise NotFound, Conflict where it has ended."""
        return await self._set_paused(principal, run_id, RunEvent.RESUME)

    async def prioritize_run(self, principal: Principal, run_id: UUID, priority: int) -> Steered:
        """Give a run, its nested runs and their open tasks another priority: larger goes first.

        Tasks whose workflow gives them a priority of their own keep it. Raises InvalidRequest out of -100 to 100, NotFound,
        Conflict where the run has ended.
        """
        if not -TASK_PRIORITY_MAX <= priority <= TASK_PRIORITY_MAX:
            raise InvalidRequest(f"a priority is from -{TASK_PRIORITY_MAX} to {TASK_PRIORITY_MAX}, not {priority}")
        organization_id = principal.organization_id

        async def work(transaction: MachineTransaction) -> tuple[_Tree, list[Row]]:
            tree = await self._lock_tree(transaction, organization_id, run_id)
            records = self._changes(principal, tree.run_ids, "priority")
            params = {**_where(organization_id, tree), "priority": priority, "records": records}
            return tree, await transaction.run("set_run_priority", params)

        tree, rows = await self._database.write(work)
        if not rows:
            found = await self.find_run(organization_id, run_id)
            raise Conflict(f"run `{run_id}` is {found['state']}: only an open run has tasks that may go first")
        return Steered(_ids(rows), len(tree.tasks))

    async def try_again(self, principal: Principal, run_id: UUID, task_id: UUID) -> bool:
        """Make a task ready now that waits for its next attempt or was given up on; False where it is no such task."""
        organization_id = principal.organization_id
        params = {
            "organization_id": organization_id,
            "task_id": task_id,
            "records": self._changes(principal, [run_id], "retry", task_id=task_id),
        }

        async def work(transaction: MachineTransaction) -> list[Row]:
            return await transaction.run("try_task_again", params)

        return bool(await self._database.write(work))

    async def find_run(self, organization_id: UUID, run_id: UUID) -> Row:
        """Return how a run stands; raise NotFound."""
        async with self._database.app(organization_id) as transaction:
            rows = await transaction.run("find_run", {"organization_id": organization_id, "id": run_id})
        if not rows:
            raise NotFound(f"there is no run `{run_id}`")
        return rows[0]

    async def _set_paused(self, principal: Principal, run_id: UUID, event: RunEvent) -> Steered:
        organization_id, to_state = principal.organization_id, _WANTED[event]
        from_state = RunState.RUNNING if event is RunEvent.PAUSE else RunState.PAUSED

        async def work(transaction: MachineTransaction) -> tuple[_Tree, list[Row]]:
            tree = await self._lock_tree(transaction, organization_id, run_id)
            params = {
                **_where(organization_id, tree),
                "paused": event is RunEvent.PAUSE,
                "from_state": from_state.value,
                "to_state": to_state.value,
                "records": self._changes(principal, tree.run_ids, event.value),
            }
            return tree, await transaction.run("set_run_paused", params)

        tree, rows = await self._database.write(work)
        if run_id not in _ids(rows):
            await self._check_state(organization_id, run_id, event)
        if event is RunEvent.RESUME:
            return Steered(_ids(rows), len(tree.tasks) if rows else 0)
        # Whoever asks again, to learn whether it has taken effect, is told of all that it holds.
        where = {**_where(organization_id, tree), "limit": AT_WORK_SHOWN_MAX}
        running = await self._database.read("list_running_tasks", where)
        return Steered(tuple(tree.run_ids), len(tree.tasks), at_work=tuple(_at_work(row) for row in running))

    async def _lock_tree(self, transaction: MachineTransaction, organization_id: UUID, run_id: UUID) -> _Tree:
        found, tasks, level = [run_id], list[Row](), [run_id]
        while level:
            params: dict[str, Any] = {"organization_id": organization_id, "run_ids": level}
            tasks += await transaction.run("lock_run_tasks", params)
            room = RUNS_PER_TREE_MAX + 1 - len(found)
            level = [row["id"] for row in await transaction.run("load_nested_runs", {**params, "limit": room})]
            found += level
            if len(found) > RUNS_PER_TREE_MAX:
                raise TooLarge(
                    f"run `{run_id}` has over {RUNS_PER_TREE_MAX} nested runs: begin with those that it started"
                )
        return _Tree(found, tasks)

    async def _check_state(self, organization_id: UUID, run_id: UUID, event: RunEvent) -> None:
        """Raise Conflict unless the run is already as the event would leave it."""
        state = RunState((await self.find_run(organization_id, run_id))["state"])
        if state is _WANTED[event]:
            return
        try:
            step_run(state, event)
        except Conflict as error:
            ended = " has ended: it" if state in RUN_FINAL else ""
            raise Conflict(f"run `{run_id}`{ended} is {state} and cannot be {_DONE[event]}") from error

    # --- what is written -------------------------------------------------------------------------------------------------

    def _changes(
        self, principal: Principal, run_ids: Sequence[UUID], change: str, *, task_id: UUID | None = None
    ) -> str:
        records = [
            self._record(principal, run_id, RecordKind.RUN_CHANGED, change=change, task_id=task_id)
            for run_id in run_ids
        ]
        return rows_json(place([record_row(record) for record in records]))

    def _cancelled(self, principal: Principal, tree: _Tree, facts: OrganizationFacts) -> tuple[str, list[UsageRow]]:
        """Return the records and the usage of cancelled runs: of each task that had started, and of each run."""
        rows: list[RecordRow] = []
        usage: list[UsageRow] = []

        def add(record: Record) -> None:
            rows.append(record_row(record))

        for run_id in tree.run_ids:
            add(self._record(principal, run_id, RecordKind.RUN_CHANGED, change="cancel"))
        for task in tree.tasks:
            if task["started_at"] is None:
                continue
            record = self._task_record(principal, task)
            add(record)
            usage += self._runtime(task, facts, record.id)
        for run_id in tree.run_ids:
            add(self._record(principal, run_id, RecordKind.RUN_FINISHED, status="cancelled"))
        return rows_json(place(rows)), usage

    def _runtime(self, task: Row, facts: OrganizationFacts, record_id: UUID) -> list[UsageRow]:
        agent = facts.agents.get(task["agent_id"])
        if agent is None or not task["runtime_ms"]:
            return []
        event = UsageRow(
            n=0,
            organization_id=facts.id,
            id=self._drivers.ids.new(),
            kind="task_runtime",
            name=agent.name,
            quantity=task["runtime_ms"],
            unit="milliseconds",
            cost_nanos=agent.price_per_second_nanos * task["runtime_ms"] // 1_000,
            currency=facts.settings.currency,
            record_id=record_id,
            run_id=task["run_id"],
            task_id=task["id"],
            agent_id=agent.id,
            agent_version=agent.version,
            department_id=agent.department_id,
        )
        return [event]

    def _task_record(self, principal: Principal, task: Row) -> Record:
        return Record(
            id=self._drivers.ids.new(),
            kind=RecordKind.TASK_FINISHED,
            organization_id=principal.organization_id,
            at=record_time(self._facts.now()),
            attempt=task["attempt"],
            principal=principal_ids(principal),
            run_id=task["run_id"],
            status="cancelled",
            task_id=task["id"],
            usage=(Usage(quantity=task["runtime_ms"], unit="milliseconds"),),
        )

    def _record(
        self,
        principal: Principal,
        run_id: UUID,
        kind: RecordKind,
        *,
        change: str | None = None,
        status: str | None = None,
        task_id: UUID | None = None,
    ) -> Record:
        return Record(
            id=self._drivers.ids.new(),
            kind=kind,
            organization_id=principal.organization_id,
            at=record_time(self._facts.now()),
            change=change,
            principal=principal_ids(principal),
            run_id=run_id,
            status=status,
            task_id=task_id,
        )


def _where(organization_id: UUID, tree: _Tree) -> dict[str, Any]:
    return {"organization_id": organization_id, "run_ids": tree.run_ids}


def _ids(rows: Sequence[Row]) -> tuple[UUID, ...]:
    return tuple(row["id"] for row in rows)


def _at_work(task: Row) -> TaskAtWork:
    return TaskAtWork(task["id"], task["run_id"], task["label"])
