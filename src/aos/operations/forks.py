"""Forking a run at a task: a new run of the same workflow version that takes over what came before from the record.

Tasks that do not come after the task and had succeeded are born succeeded, with the recorded output; the task itself, all
that comes after it, and what had not succeeded are run. The other run stays as it is. What it had seen is known to the fork:
a value that came from an untrusted source there is untrusted here. What is taken over must stand: of a run that is undone
there is no fork, and none that would take over a task whose nested run is. Items and children go with their task.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

import msgspec

from aos.kernel.acts import Act, ActKind
from aos.kernel.errors import Conflict, InvalidRequest, NotFound
from aos.kernel.identity import Principal
from aos.kernel.json import Json
from aos.kernel.json_text import suggest
from aos.kernel.limits import RUN_DEPTH_MAX
from aos.kernel.money import Money
from aos.kernel.schema import check
from aos.kernel.workflow.plan import Plan, plan_agent, plan_workflow
from aos.kernel.workflow.spec import WorkflowSpec, workflow_from
from aos.kernel.workflow.states import FINAL, RUN_FINAL, RunState, TaskState
from aos.operations.drivers import Drivers
from aos.operations.facts import FactsCache, OrganizationFacts
from aos.operations.own_acts import Allowed
from aos.operations.run_rows import Lineage, Planned, RunRequest, RunRows, run_rows
from aos.operations.runs import Runs, StartedRun
from aos.operations.undo import source_content
from aos.store.hot.database import AppTransaction, Database, Row


@dataclass(frozen=True, slots=True)
class ForkRequest:
    """Where a run is forked: at a task by its name, label or id; with another input where `has_input` says so."""

    task: str
    input: Json = None
    has_input: bool = False
    idempotency_key: str | None = None
    approval_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class TriedAgain:
    """The task of an open run is ready again."""

    run_id: UUID
    task_id: UUID


class Forks:
    """Forks runs, and has single tasks tried again."""

    def __init__(self, database: Database, facts: FactsCache, runs: Runs, drivers: Drivers) -> None:
        self._database = database
        self._facts = facts
        self._runs = runs
        self._drivers = drivers

    async def fork_run(self, principal: Principal, run_id: UUID, request: ForkRequest) -> StartedRun:
        """Start a run that goes on from another at a task, once under an Idempotency-Key.

        It is an act of the principal like the start of any run. Raises NotFound for a run or task that there is not,
        Conflict for a run that undoes another or is undone itself, InvalidRequest where the input does not fit the
        workflow's schema and for an item of a task.
        """
        facts = await self._facts.of(principal.organization_id)
        source = await self._source(facts.id, run_id)
        if source["undoes_id"] is not None:
            raise Conflict(f"run `{run_id}` undoes run `{source['undoes_id']}`: it has no task to go on from")
        planned, workflow = _planned(source)
        task = await self._task_name(facts.id, run_id, request.task, planned.plan)
        given = request.input if request.has_input else self._content(source, "input_content_id", facts)
        if request.has_input and workflow is not None and workflow.input is not None:
            errors = check(given, workflow.input)
            if errors:
                told = "; ".join(f"{error.pointer or '/'}: {error.detail}" for error in errors[:5])
                raise InvalidRequest(f"input of workflow `{workflow.name}`: {told}", errors=errors)
        goal = self._content(source, "goal_content_id", facts)
        asked = RunRequest(
            input=given,
            goal=goal if isinstance(goal, str) else "",
            labels=source["labels"],
            thread=source["thread"],
            clock=source["clock_start"],
            budget=msgspec.convert(source["budget"], Money) if source["budget"] else None,
            priority=source["priority"],
        )
        act = Act(
            principal,
            ActKind.RUN,
            planned.name,
            {"input": given, "forks": str(run_id), "task": task},
            idempotency_key=request.idempotency_key,
            approval_id=request.approval_id,
            clock=source["clock_start"],
        )

        kept: dict[str, UUID | None] = {}

        async def rows_of(allowed: Allowed) -> RunRows:
            nonlocal kept
            kept = await self._kept(facts.id, run_id, later_than(planned.plan, task))
            lineage = Lineage(
                run_id,
                source_content(source, "origin_key_content_id", allowed.facts, self._drivers),
                source["origin_incomplete"],
                task=task,
                kept=kept,
                input_is_new=request.has_input,
            )
            now = self._facts.now()
            return run_rows(planned, asked, allowed, now=now, drivers=self._drivers, lineage=lineage)

        async def still_stands(transaction: AppTransaction, _: UUID) -> None:
            await check_stands(transaction, principal.organization_id, run_id, name=planned.name, kept=kept)

        return await self._runs.begin(act, rows_of, besides=still_stands)

    async def retry_task(self, principal: Principal, run_id: UUID, request: ForkRequest) -> TriedAgain | StartedRun:
        """Have one task tried again: at once in an open run where it was given up on or backs off; by a fork at it where
        it failed in a run that has ended.

        Raises NotFound, and Conflict that says how the task stands where it is neither.
        """
        found = await self._runs.find_run(principal.organization_id, run_id)
        task = await self._task(principal.organization_id, run_id, request.task)
        if await self._runs.try_again(principal, run_id, task["id"]):
            return TriedAgain(run_id, task["id"])
        state = TaskState(task["state"])
        if RunState(found["state"]) not in RUN_FINAL:
            after = ": it can be tried again once its run has ended" if state in FINAL else ""
            raise Conflict(f"task `{task['label']}` is {state} in run `{run_id}`, which is {found['state']}{after}")
        if state is TaskState.SUCCEEDED:
            detail = f"task `{task['label']}` of run `{run_id}` has succeeded: fork the run at it to run it once more"
            raise Conflict(detail)
        return await self.fork_run(principal, run_id, request)

    async def _source(self, organization_id: UUID, run_id: UUID) -> Row:
        async with self._database.app(organization_id) as transaction:
            rows = await transaction.run("load_run_source", {"organization_id": organization_id, "run_id": run_id})
        if not rows:
            raise NotFound(f"there is no run `{run_id}`")
        return rows[0]

    async def _task_name(self, organization_id: UUID, run_id: UUID, key: str, plan: Plan) -> str:
        """Return the task of the run's own plan that a name, a label or an id stands for."""
        names = {task.name for task in plan.tasks}
        if key in names:
            return key
        found = await self._task(organization_id, run_id, key, names)
        name: str = found["planned"]
        if found["is_part"]:
            detail = f"task `{found['label']}` is part of `{name}`, whose items and children are all done again: name `{name}`"
            raise InvalidRequest(detail)
        return name

    async def _task(self, organization_id: UUID, run_id: UUID, key: str, names: Collection[str] = ()) -> Row:
        async with self._database.app(organization_id) as transaction:
            params = {"organization_id": organization_id, "run_id": run_id, "key": key}
            rows = await transaction.run("find_run_tasks", params)
        if not rows:
            raise NotFound(f"run `{run_id}` has no task `{key[:80]}`{suggest(key, names)}")
        if len(rows) > 1:
            raise InvalidRequest(f"several tasks of run `{run_id}` are called `{key[:80]}`: give the id of one")
        return rows[0]

    async def _kept(self, organization_id: UUID, run_id: UUID, run_again: Collection[str]) -> dict[str, UUID | None]:
        async with self._database.app(organization_id) as transaction:
            rows = await transaction.run("load_run_outputs", {"organization_id": organization_id, "run_id": run_id})
        return {
            row["name"]: row["output_content_id"]
            for row in rows
            if row["state"] == TaskState.SUCCEEDED and row["name"] not in run_again
        }

    def _content(self, source: Row, name: str, facts: OrganizationFacts) -> Json:
        if source[name] is None:
            return None
        value: Json = msgspec.json.decode(source_content(source, name, facts, self._drivers))
        return value


async def check_stands(
    transaction: AppTransaction, organization_id: UUID, run_id: UUID, *, name: str, kept: Collection[str]
) -> None:
    """Raise Conflict where what a run did, or what the tasks `kept` of it had nested runs do, is undone by another run.

    From here to the transaction's end no undoing of any of these begins.
    """
    where = {"organization_id": organization_id, "run_id": run_id, "depth_max": RUN_DEPTH_MAX + 1}
    await transaction.run("lock_undoing", where)
    for row in await transaction.run("find_undone_of_run", where):
        undone = f"run `{row['id']}` undoes run `{row['undone_id']}`"
        if row["task_id"] is None:
            raise Conflict(f"{undone}: what it did cannot be taken over, begin afresh with `aos run {name}`")
        key = {"organization_id": organization_id, "run_id": run_id, "key": str(row["task_id"])}
        for task in await transaction.run("find_run_tasks", key):
            if task["planned"] in kept:
                mend = f"fork at `{task['planned']}`, or begin afresh with `aos run {name}`"
                raise Conflict(f"{undone}, which task `{task['label']}` had started: {mend}")


def later_than(plan: Plan, name: str) -> frozenset[str]:
    """Return a task of a plan and all that come after it, by name."""
    followers: dict[int, list[int]] = defaultdict(list)
    for position, task in enumerate(plan.tasks):
        for source in task.after:
            followers[source].append(position)
    found = {position for position, task in enumerate(plan.tasks) if task.name == name}
    level = list(found)
    while level:
        level = [each for position in level for each in followers[position] if each not in found]
        found.update(level)
    return frozenset(plan.tasks[position].name for position in found)


def _planned(source: Row) -> tuple[Planned, WorkflowSpec | None]:
    """Return what a run was made of: its workflow in the version that it ran, or its agent."""
    if source["workflow_id"] is None:
        agent: str = source["agent"]
        return Planned(agent, plan_agent(agent), agent_id=source["agent_id"]), None
    workflow = workflow_from({**source["spec"], "name": source["workflow"]})
    plan = plan_workflow(workflow)
    version = source["workflow_version"]
    return Planned(source["workflow"], plan, workflow_id=source["workflow_id"], workflow_version=version), workflow
