"""A task that is a run of another workflow: it starts that run, waits for it, and takes over what it comes to.

The start is an act `run:NAME` of whoever asked for the task, decided like any. Its effect, the run, and the wait of the
task are one statement under the task's claim: there is never a second run for one attempt, nor one that nobody waits for.
The run belongs to the same people, spends from the same budgets and knows where its values came from. It counts against
the open tasks of its organization like any other, and against the open runs of its tree, which an order must still reach:
past either number the task fails, so that runs that start runs end. The open runs of a tree are counted by the statement that
starts one more; only near their limit those who start one take turns, so that a wide tree does not grow one commit at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

from aos.kernel.acts import Act, ActionState, ActKind, CallKey, Pending, Recorded, Refused
from aos.kernel.errors import AosError, NotFound, StaleClaim, StaleFacts, TooLarge, Unavailable
from aos.kernel.json import Json
from aos.kernel.ledger.record import Record, RecordKind, record_time
from aos.kernel.limits import NESTED_RUNS_NEAR, NESTED_RUNS_OPEN_MAX, RUN_DEPTH_MAX, STALE_RETRIES_MAX
from aos.kernel.workflow.passes import Failed, Returned
from aos.kernel.workflow.states import RUN_FINAL, RunState
from aos.operations.authenticate import claim_stands
from aos.operations.claimed import START_KEY, ClaimedTask
from aos.operations.contents import open_json
from aos.operations.drivers import Drivers
from aos.operations.facts import FactsCache, OrganizationFacts
from aos.operations.open_tasks import OpenTasks
from aos.operations.own_acts import Allowed, OwnActs
from aos.operations.plans import planned_workflow
from aos.operations.records import record_row
from aos.operations.run_rows import Planned, RunRequest, RunRows, run_rows, start_params
from aos.operations.starts import RETRY, AskedFirst, NotStarted
from aos.store.hot.database import Database, MachineTransaction
from aos.store.rows import rows_json
from aos.store.task_rows import TaskKey


@dataclass(frozen=True, slots=True)
class Begun:
    """The run has begun and the task waits for it."""

    run_id: UUID


@dataclass(frozen=True, slots=True)
class StillOpen:
    """The run has not ended."""

    run_id: UUID


NestedStart: TypeAlias = Begun | NotStarted | AskedFirst
NestedEnd: TypeAlias = Returned | Failed | StillOpen | None


class NestedRuns:
    """Starts runs for tasks, and takes over what they come to."""

    def __init__(
        self,
        database: Database,
        facts: FactsCache,
        acts: OwnActs,
        drivers: Drivers,
        *,
        open_tasks: OpenTasks,
        nested_max: int = NESTED_RUNS_OPEN_MAX,
        near: int = NESTED_RUNS_NEAR,
    ) -> None:
        self._database = database
        self._facts = facts
        self._acts = acts
        self._drivers = drivers
        self._open_tasks = open_tasks
        self._nested_max = nested_max
        self._near = near

    async def start(self, task: ClaimedTask, value: Json) -> NestedStart:
        """Start the run of a task with its input, or say why not.

        Raises StaleClaim where the claim is gone, StaleFacts where facts changed at every try.
        """
        try:
            await self._open_tasks.check_room(task.organization_id)
            root_id = await self._root_of(task)
            planned = await self._planned(task, value)
        except Unavailable:
            raise
        except AosError as error:
            return NotStarted(error.slug, error.detail)
        return await self._begin(task, planned, value, root_id=root_id)

    async def _begin(self, task: ClaimedTask, planned: Planned, value: Json, *, root_id: UUID) -> NestedStart:
        in_turn = self._nested_max <= self._near
        for _ in range(STALE_RETRIES_MAX + 1):
            ruling = await self._rule_on(task, planned, value)
            if not isinstance(ruling, Allowed):
                return ruling
            rows = self._rows(task, planned, ruling, value)
            rows.run.root_run_id = root_id
            rows.nested_max = self._nested_max if in_turn else self._nested_max - self._near
            if await self._write(task, rows, in_turn=in_turn):
                self._open_tasks.add(task.organization_id, len(rows.tasks))
                return Begun(rows.run_id)
            if not await claim_stands(self._database, task.organization_id, task.claim):
                raise StaleClaim(f"task `{task.label}` was taken from this worker; nothing was written")
            nested = await self._nested_open(task.organization_id, root_id)
            if nested >= self._nested_max:
                detail = f"{nested} runs nested in run `{root_id}` are open, and no more may be: `{task.label}` starts no other"
                return NotStarted(
                    TooLarge.slug, f"{detail}; let fewer be open at once, or start them as runs of their own"
                )
            in_turn = in_turn or nested >= self._nested_max - self._near
            await self._acts.outdated(ruling.facts)
        raise StaleFacts(f"what the start of `{task.label}` was decided on changed {STALE_RETRIES_MAX + 1} times")

    async def _rule_on(self, task: ClaimedTask, planned: Planned, value: Json) -> Allowed | NotStarted | AskedFirst:
        act = Act(
            principal=task.asker,
            kind=ActKind.RUN,
            name=planned.name,
            arguments={"input": value},
            call=CallKey(START_KEY),
            clock=task.run.clock(self._facts.now()),
        )
        look_back = task.waits_for not in (None, RETRY) or task.claims > 0
        match await self._acts.rule_on(act, look_back=look_back):
            case Allowed() as allowed:
                return allowed
            case Pending(approval_id=approval_id):
                return AskedFirst(approval_id)
            case Refused(error=error, detail=detail):
                return NotStarted(error, detail)
            case Recorded(state=state, error=error, detail=detail):
                # Only a refusal is recorded of a start that has not happened: what allowed it would have started it.
                return NotStarted(error or ActionState(state).value, detail)

    async def collect(self, task: ClaimedTask, facts: OrganizationFacts) -> NestedEnd:
        """Return what the run of a task came to, None where none was started."""
        where = {"organization_id": task.organization_id, "task_id": task.id}
        rows = await self._database.read("load_child_run", where)
        if not rows:
            return None
        row = rows[0]
        state = RunState(row["state"])
        if state not in RUN_FINAL:
            return StillOpen(row["run_id"])
        if state is RunState.SUCCEEDED:
            sealed = row["sealed"] is not None
            return Returned(open_json(row, keys=facts.data_keys, crypto=self._drivers.crypto) if sealed else None)
        why = f" ({row['error_code']})" if row["error_code"] and row["error_code"] != state else ""
        return Failed(f"run-{state.value}", f"run `{row['run_id']}` of workflow `{row['name']}` {_was(state)}{why}")

    async def _root_of(self, task: ClaimedTask) -> UUID:
        """Return the outermost run of a task; raise TooLarge where a run that it starts would nest too deep."""
        where = {"organization_id": task.organization_id, "run_id": task.run_id, "runs_max": RUN_DEPTH_MAX}
        (tree,) = await self._database.read("count_runs_above", where)
        if tree["depth"] >= RUN_DEPTH_MAX:
            raise TooLarge(f"runs nest at most {RUN_DEPTH_MAX} deep, and `{task.label}` would start one more")
        root_id: UUID = tree["root_run_id"]
        return root_id

    async def _nested_open(self, organization_id: UUID, root_id: UUID) -> int:
        where = {"organization_id": organization_id, "root_run_id": root_id, "nested_max": self._nested_max}
        (row,) = await self._database.read("count_nested_runs", where)
        return int(row["nested_open"])

    async def _planned(self, task: ClaimedTask, value: Json) -> Planned:
        asked = {"organization_id": task.organization_id, "name": task.work.workflow}
        rows = await self._database.read("load_workflow", asked)
        if not rows:
            raise NotFound(f"there is no workflow `{task.work.workflow}`")
        return planned_workflow(rows[0], value)

    def _rows(self, task: ClaimedTask, planned: Planned, allowed: Allowed, value: Json) -> RunRows:
        now = self._facts.now()
        request = RunRequest(
            workflow=planned.name,
            input=value,
            labels=task.run.labels,
            clock=task.run.clock(now),
            priority=task.priority,
        )
        rows = run_rows(planned, request, allowed, now=now, drivers=self._drivers)
        run = rows.run
        run.parent_run_id, run.parent_task_id = task.run_id, task.id
        run.parent_claim_token, run.parent_attempt = task.token, task.attempt
        run.call_key = START_KEY if allowed.approval_id is not None else None
        run.total_timeout_seconds = task.work.total_timeout_seconds
        # The runs are one to whoever looks where a value came from: the parent's key and what it knows are taken over.
        rows.origins = []
        started = Record(
            id=self._drivers.ids.new(),
            kind=RecordKind.TASK_STARTED,
            organization_id=task.organization_id,
            at=record_time(now),
            attempt=task.attempt,
            epoch=allowed.facts.epoch,
            run_id=task.run_id,
            task_id=task.id,
        )
        rows.records.append(record_row(started))
        return rows

    async def _write(self, task: ClaimedTask, rows: RunRows, *, in_turn: bool) -> bool:
        key = rows_json([TaskKey(organization_id=task.organization_id, id=task.id)])

        async def work(transaction: MachineTransaction) -> bool:
            await transaction.run("lock_tasks", {"tasks": key})
            if in_turn:
                await transaction.run("lock_tree", {"root_run_id": rows.run.root_run_id})
            return bool(await transaction.run("start_run", start_params([rows])))

        return await self._database.write(work)


def _was(state: RunState) -> str:
    return "was cancelled" if state is RunState.CANCELLED else "failed"
