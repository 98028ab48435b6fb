"""Runs: start one, stop it, hold it, look at it.

A run starts in one transaction with all its tasks: the act `run:NAME` is decided like any act, and its effect is written with
it. What the starter says (input and goal) is the person's words, wherever it reappears in the run.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import UUID

from aos.kernel.acts import Act, ActKind, Pending, Recorded, Refused
from aos.kernel.errors import Conflict, InvalidRequest, NotFound, StaleFacts, TooLarge
from aos.kernel.identity import Principal
from aos.kernel.json import Json
from aos.kernel.ledger.record import Record, RecordKind, Usage, principal_ids, record_time
from aos.kernel.limits import BODY_BYTES_MAX, NAME_LENGTH_MAX, STALE_RETRIES_MAX
from aos.kernel.schema import check
from aos.kernel.workflow.plan import plan_agent, plan_workflow
from aos.kernel.workflow.spec import WorkflowSpec, workflow_from
from aos.operations.drivers import Drivers
from aos.operations.facts import FactsCache, OrganizationFacts
from aos.operations.open_tasks import OpenTasks
from aos.operations.own_acts import Allowed, OwnActs
from aos.operations.records import place, record_row
from aos.operations.run_rows import Planned, RunRequest, RunRows, run_rows
from aos.store.hot.database import AppTransaction, Database, MachineTransaction, Row
from aos.store.rows import UsageRow, rows_json

_TRIES_MAX = STALE_RETRIES_MAX + 1


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A run that was started, now or before under the same Idempotency-Key."""

    run_id: UUID
    replayed: bool = False


StartedRun: TypeAlias = RunStarted | Pending | Refused
Besides: TypeAlias = Callable[[AppTransaction, UUID], Awaitable[None]]
"""What else is written in the transaction that starts a run of this id; what it raises undoes the start."""


class Runs:
    """Starts and steers runs."""

    def __init__(
        self,
        database: Database,
        facts: FactsCache,
        acts: OwnActs,
        drivers: Drivers,
        *,
        open_tasks: OpenTasks | None = None,
    ) -> None:
        self._open_tasks = open_tasks or OpenTasks(database, drivers.ticker)
        self._database = database
        self._facts = facts
        self._acts = acts
        self._drivers = drivers

    async def start_run(
        self, principal: Principal, request: RunRequest, *, besides: Besides | None = None
    ) -> StartedRun:
        """Start a run, or return the approval it waits for or why it was refused.

        The same Idempotency-Key returns the run it started. Raises NotFound for a workflow or agent that there is not,
        InvalidRequest where the input does not fit the workflow's schema or a clock is not allowed, InvalidManifest and
        TooLarge where the workflow cannot be planned, RateLimited where too many tasks are open already.
        """
        facts = await self._facts.of(principal.organization_id)
        planned = await self._planned(request, facts)
        _check_request(request, facts)
        act = Act(
            principal,
            ActKind.RUN,
            planned.name,
            _arguments(request),
            idempotency_key=request.idempotency_key,
            approval_id=request.approval_id,
            clock=request.clock,
        )
        for _ in range(_TRIES_MAX):
            ruling = await self._acts.rule_on(act)
            if isinstance(ruling, Recorded):
                return _before(ruling)
            if not isinstance(ruling, Allowed):
                return ruling
            await self._open_tasks.check_room(ruling.facts.id)
            rows = run_rows(planned, request, ruling, now=self._facts.now(), drivers=self._drivers)
            if await self._write(rows, ruling.facts.id, besides):
                self._open_tasks.add(ruling.facts.id, len(rows.tasks))
                return RunStarted(rows.run_id)
            await self._acts.outdated(ruling.facts)
        raise StaleFacts(f"what the start of `{planned.name}` was decided on changed {_TRIES_MAX} times")

    async def cancel_run(self, principal: Principal, run_id: UUID) -> None:
        """Cancel a run with all its open tasks; what runs of it can write nothing from now on.

        Raises NotFound, and Conflict where the run has ended.
        """
        facts = await self._facts.of(principal.organization_id)
        where = {"organization_id": facts.id, "run_id": run_id}

        async def work(transaction: MachineTransaction) -> list[Row]:
            tasks = await transaction.run("lock_run_tasks", where)
            records, usage = self._cancelled(principal, run_id, facts, tasks)
            rows = [record_row(record) for record in records]
            params = {**where, "records": rows_json(place(rows)), "usage": rows_json(usage)}
            return await transaction.run("cancel_run", params)

        if not await self._database.write(work):
            await self._raise_ended(facts.id, run_id, "cancelled")

    async def pause_run(self, principal: Principal, run_id: UUID) -> None:
        """Let no further task of a run be claimed; raise NotFound, and Conflict unless it is running."""
        await self._set_paused(principal, run_id, paused=True)

    async def resume_run(self, principal: Principal, run_id: UUID) -> None:
        """Let a paused run go on; raise NotFound, and Conflict unless it is paused."""
        await self._set_paused(principal, run_id, paused=False)

    # --- starting ----------------------------------------------------------------------------------------------------

    async def _planned(self, request: RunRequest, facts: OrganizationFacts) -> Planned:
        if (request.workflow is None) == (request.agent is None):
            raise InvalidRequest("give either `workflow` or `agent`")
        if request.agent is not None:
            agent = facts.agents_by_name.get(request.agent)
            if agent is None:
                raise NotFound(f"there is no agent `{request.agent[:60]}`")
            return Planned(agent.name, plan_agent(agent.name), agent_id=agent.id)
        async with self._database.app(facts.id) as transaction:
            rows = await transaction.run("load_workflow", {"organization_id": facts.id, "name": request.workflow})
        if not rows:
            raise NotFound(f"there is no workflow `{str(request.workflow)[:60]}`")
        row = rows[0]
        workflow: WorkflowSpec = workflow_from({**row["spec"], "name": row["name"]})
        if workflow.input is not None:
            errors = check(request.input, workflow.input)
            if errors:
                told = "; ".join(f"{error.pointer or '/'}: {error.detail}" for error in errors[:5])
                raise InvalidRequest(f"input of workflow `{workflow.name}`: {told}", errors=errors)
        return Planned(row["name"], plan_workflow(workflow), workflow_id=row["id"], workflow_version=row["version"])

    async def _write(self, rows: RunRows, organization_id: UUID, besides: Besides | None) -> bool:
        async with self._database.app(organization_id) as transaction:
            if not await transaction.run("start_run", rows.params()):
                return False
            if besides is not None:
                await besides(transaction, rows.run_id)
            return True

    # --- steering ----------------------------------------------------------------------------------------------------

    def _cancelled(
        self, principal: Principal, run_id: UUID, facts: OrganizationFacts, tasks: list[Row]
    ) -> tuple[list[Record], list[UsageRow]]:
        """Return the records and the usage of a cancelled run: of each task that had started, and of the run."""
        records: list[Record] = [self._record(principal, run_id, RecordKind.RUN_CHANGED, change="cancel")]
        usage: list[UsageRow] = []
        for task in tasks:
            if task["started_at"] is None:
                continue
            record = self._record(principal, run_id, RecordKind.TASK_FINISHED, status="cancelled", task=task)
            records.append(record)
            agent = facts.agents.get(task["agent_id"])
            if agent is not None and task["runtime_ms"]:
                usage.append(
                    UsageRow(
                        n=0,
                        organization_id=facts.id,
                        id=self._drivers.ids.new(),
                        kind="task_runtime",
                        name=agent.name,
                        quantity=task["runtime_ms"],
                        unit="milliseconds",
                        cost_nanos=agent.price_per_second_nanos * task["runtime_ms"] // 1_000,
                        currency=facts.settings.currency,
                        record_id=record.id,
                        run_id=run_id,
                        task_id=task["id"],
                        agent_id=agent.id,
                        agent_version=agent.version,
                        department_id=agent.department_id,
                    )
                )
        records.append(self._record(principal, run_id, RecordKind.RUN_FINISHED, status="cancelled"))
        return records, usage

    def _record(
        self,
        principal: Principal,
        run_id: UUID,
        kind: RecordKind,
        *,
        change: str | None = None,
        status: str | None = None,
        task: Mapping[str, Any] | None = None,
    ) -> Record:
        return Record(
            id=self._drivers.ids.new(),
            kind=kind,
            organization_id=principal.organization_id,
            at=record_time(self._facts.now()),
            attempt=task["attempt"] if task is not None else None,
            change=change,
            principal=principal_ids(principal),
            run_id=run_id,
            status=status,
            task_id=task["id"] if task is not None else None,
            usage=(Usage(quantity=task["runtime_ms"], unit="milliseconds"),) if task is not None else (),
        )

    async def _set_paused(self, principal: Principal, run_id: UUID, *, paused: bool) -> None:
        where = {"organization_id": principal.organization_id, "run_id": run_id}
        from_state, to_state = ("running", "paused") if paused else ("paused", "running")
        change = "pause" if paused else "resume"
        record = record_row(self._record(principal, run_id, RecordKind.RUN_CHANGED, change=change))
        params = {
            **where,
            "paused": paused,
            "from_state": from_state,
            "to_state": to_state,
            "records": rows_json(place([record])),
        }

        async def work(transaction: MachineTransaction) -> list[Row]:
            await transaction.run("lock_run_tasks", where)
            return await transaction.run("set_run_paused", params)

        if not await self._database.write(work):
            await self._raise_ended(principal.organization_id, run_id, f"{change}d")

    async def _raise_ended(self, organization_id: UUID, run_id: UUID, done: str) -> None:
        async with self._database.app(organization_id) as transaction:
            rows = await transaction.run("find_run", {"organization_id": organization_id, "id": run_id})
        if not rows:
            raise NotFound(f"there is no run `{run_id}`")
        raise Conflict(f"run `{run_id}` is {rows[0]['state']} and cannot be {done}")


def _arguments(request: RunRequest) -> dict[str, Json]:
    """Return the arguments of the act: what policies may read and what an approval is bound to."""
    arguments: dict[str, Json] = {"input": request.input}
    if request.goal:
        arguments["goal"] = request.goal
    return arguments


def _before(recorded: Recorded) -> StartedRun:
    """Return what was recorded under the same Idempotency-Key."""
    if recorded.error or not isinstance(recorded.value, dict):
        return Refused(recorded.action_id, recorded.error or "denied", recorded.detail)
    return RunStarted(UUID(str(recorded.value["run_id"])), replayed=True)


def _check_request(request: RunRequest, facts: OrganizationFacts) -> None:
    if request.clock is not None:
        if not facts.settings.run_clock_allowed:
            raise InvalidRequest("this organization allows no run a clock of its own: leave out `clock`")
        if request.clock.tzinfo is None:
            raise InvalidRequest("`clock` needs a zone, as in 2026-01-31T12:00:00Z")
    if len(request.goal) > BODY_BYTES_MAX // 10:
        raise TooLarge(f"the goal has {len(request.goal)} characters, at most {BODY_BYTES_MAX // 10} are kept")
    if any(len(name) > NAME_LENGTH_MAX or len(value) > NAME_LENGTH_MAX for name, value in request.labels.items()):
        raise TooLarge(f"a label has more than {NAME_LENGTH_MAX} characters")
    if request.budget is not None and request.budget.nanos < 0:
        raise InvalidRequest("a budget cannot be less than nothing")
