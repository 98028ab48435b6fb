"""From a plan and an allowed act to the rows of a run that starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from aos.kernel.errors import NotFound, TooLarge
from aos.kernel.identity import PrincipalKind
from aos.kernel.json import Json, canonical_json
from aos.kernel.ledger.record import Record, RecordKind, principal_ids, record_time, rule_ids
from aos.kernel.limits import INPUT_BYTES_MAX, NESTED_RUNS_OPEN_MAX, ORIGIN_TOKENS_RUN_MAX
from aos.kernel.money import Money
from aos.kernel.origins import Source, token_digest, tokens_of
from aos.kernel.workflow.lanes import lane_of, queue_of
from aos.kernel.workflow.plan import Plan
from aos.kernel.workflow.spec import work_spec
from aos.operations.contents import Sealed
from aos.operations.decided import chain_json
from aos.operations.drivers import Drivers
from aos.operations.ends import seal, seal_bytes
from aos.operations.facts import OrganizationFacts
from aos.operations.own_acts import Allowed
from aos.operations.records import place, record_row
from aos.store.rows import ContentRow, OriginRow, RecordRow, hex_bytes, rows_json
from aos.store.task_rows import EdgeRow, PlannedRow, RunBudgetRow, RunRow

ORIGIN_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What somebody wants run: a workflow or an agent, by name. `clock` is the run's own time at its start.

    `origin` says whose words input and goal are: a person's, or those of a system outside, which nothing may be built on.
    """

    workflow: str | None = None
    agent: str | None = None
    input: Json = None
    goal: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    thread: str | None = None
    clock: datetime | None = None
    budget: Money | None = None
    idempotency_key: str | None = None
    approval_id: UUID | None = None
    origin: Source = Source.PERSON
    priority: int = 0
    schedule_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Lineage:
    """What a run takes over from another: where its values came from, and the outputs of tasks that it does not run again.

    `origin_key` is the other run's own, so that what was seen there is known here.
    """

    run_id: UUID
    origin_key: bytes
    origin_incomplete: bool
    task: str | None = None
    """The task that it is forked at; None where it undoes the other run."""
    kept: Mapping[str, UUID | None] = field(default_factory=dict)
    input_is_new: bool = False
    """Whether the input was said now; one that is taken over is what it was there."""


@dataclass(frozen=True, slots=True)
class Planned:
    """What a run will do, and what it is named after."""

    name: str
    plan: Plan
    workflow_id: UUID | None = None
    workflow_version: int | None = None
    agent_id: UUID | None = None


@dataclass(slots=True)
class RunRows:
    """All rows of one run that starts."""

    run: RunRow
    tasks: list[PlannedRow]
    edges: list[EdgeRow]
    records: list[RecordRow] = field(default_factory=list)
    contents: list[ContentRow] = field(default_factory=list)
    origins: list[OriginRow] = field(default_factory=list)
    budgets: list[RunBudgetRow] = field(default_factory=list)
    nested_max: int = NESTED_RUNS_OPEN_MAX
    """How many runs may be open within the outermost run that this one is nested in for it to start."""

    @property
    def run_id(self) -> UUID:
        """Return the run's id."""
        return self.run.id


def start_params(members: Sequence[RunRows]) -> dict[str, str]:
    """Return the parameters of `start_run`: each run is one document with all its rows."""
    place([record for rows in members for record in rows.records])
    for rows in members:
        run = rows.run
        run.tasks, run.edges, run.records = rows.tasks, rows.edges, rows.records
        run.contents, run.origins, run.budgets = rows.contents, rows.origins, rows.budgets
        run.nested_max = rows.nested_max
    return {"runs": rows_json([rows.run for rows in members])}


def run_rows(
    planned: Planned,
    request: RunRequest,
    allowed: Allowed,
    *,
    now: datetime,
    drivers: Drivers,
    lineage: Lineage | None = None,
) -> RunRows:
    """Return the rows of a run; raise NotFound where a task's agent does not exist, TooLarge for an input too large."""
    facts, act = allowed.facts, allowed.act
    _check_size(planned, request)
    run_id = drivers.ids.new()
    key = drivers.ids.random_bytes(ORIGIN_KEY_BYTES) if lineage is None else lineage.origin_key
    given = None if request.input is None else seal(request.input, "input", facts, drivers)
    goal = seal(request.goal, "goal", facts, drivers) if request.goal else None
    outcome = seal({"run_id": str(run_id)}, "outcome", facts, drivers)
    sealed_key = seal_bytes(key, "origin-key", facts, drivers)
    seen = tokens_of(_said(request, lineage), request.origin, at_most=ORIGIN_TOKENS_RUN_MAX)
    tasks, edges = _tasks(planned.plan, facts, drivers, kept={} if lineage is None else lineage.kept)
    run = RunRow(
        organization_id=facts.id,
        epoch=facts.epoch,
        id=run_id,
        name=planned.name,
        chain=_run_chain(allowed),
        origin_key_content_id=sealed_key.row.id,
        origin_incomplete=seen.incomplete or (lineage is not None and lineage.origin_incomplete),
        tasks_total=len(tasks),
        action_id=allowed.action_id,
        act_name=act.name,
        outcome=allowed.decision.outcome.value,
        rules=[
            {"id": each.id, "version": each.version, "outcome": each.outcome.value} for each in allowed.decision.matched
        ],
        act_chain=chain_json(act.principal.chain),
        digest=hex_bytes(act.digest),
        outcome_content_id=outcome.row.id,
        workflow_id=planned.workflow_id,
        workflow_version=planned.workflow_version,
        agent_id=planned.agent_id,
        department_id=_department_id(planned, allowed, facts),
        goal_content_id=goal.row.id if goal is not None else None,
        input_content_id=given.row.id if given is not None else None,
        labels=dict(request.labels),
        thread=request.thread,
        clock_start=request.clock,
        act_agent_id=allowed.agent.id if allowed.agent is not None else None,
        act_agent_version=allowed.agent.version if allowed.agent is not None else None,
        approval_id=allowed.approval_id,
        clock=request.clock,
        idempotency_principal=act.principal.actor.id if act.idempotency_key else None,
        idempotency_key=act.idempotency_key,
        priority=request.priority,
        schedule_id=request.schedule_id,
        tasks_open=sum(not task.kept for task in tasks),
    )
    if lineage is not None:
        _come_from(run, lineage)
    rows = RunRows(run, tasks, edges)
    rows.contents = [each.row for each in (given, goal, outcome, sealed_key) if each is not None]
    rows.records = [record_row(_record(run, allowed, given, now=now, drivers=drivers))]
    rows.origins = [
        OriginRow(n=0, token=hex_bytes(token_digest(key, token.text)), origin=token.origin.value, whole=token.whole)
        for token in seen.tokens
    ]
    budget = request.budget
    if budget is not None:
        rows.budgets = [RunBudgetRow(id=drivers.ids.new(), currency=budget.currency, limit_nanos=budget.nanos)]
    return rows


def _check_size(planned: Planned, request: RunRequest) -> None:
    size = len(canonical_json(request.input)) if request.input is not None else 0
    if size > INPUT_BYTES_MAX:
        raise TooLarge(f"the input of `{planned.name}` has {size} bytes, at most {INPUT_BYTES_MAX} are taken")


def _said(request: RunRequest, lineage: Lineage | None) -> list[Json]:
    """Return what the one who starts the run says: not what it takes over from another."""
    if lineage is None:
        return [request.input, request.goal]
    return [request.input] if lineage.input_is_new else []


def _come_from(run: RunRow, lineage: Lineage) -> None:
    """Say in a run's row which other run it goes on from, or undoes."""
    run.origins_from_id = lineage.run_id
    if lineage.task is None:
        run.undoes_id = lineage.run_id
    else:
        run.forked_from_id, run.forked_task = lineage.run_id, lineage.task


def _run_chain(allowed: Allowed) -> Any:
    """Return who stands behind the run, with the roles they hold now on the last link: its tasks are decided by them."""
    chain = chain_json(allowed.act.principal.chain)
    if allowed.act.principal.actor.kind is not PrincipalKind.AGENT:
        chain[-1]["roles"] = list(allowed.act.principal.roles)
    return chain


def _tasks(
    plan: Plan, facts: OrganizationFacts, drivers: Drivers, *, kept: Mapping[str, UUID | None]
) -> tuple[list[PlannedRow], list[EdgeRow]]:
    ids = [drivers.ids.new() for _ in plan.tasks]
    tasks: list[PlannedRow] = []
    edges: list[EdgeRow] = []
    for task_id, task in zip(ids, plan.tasks, strict=True):
        agent = facts.agents_by_name.get(task.work.agent)
        if agent is None and not task.work.workflow:
            raise NotFound(f"task `{task.name}` is for agent `{task.work.agent}`, which there is not")
        sources = [source for source in task.after if plan.tasks[source].name in kept]
        needs = None if task.needs is None else max(0, task.needs - len(sources))
        blockers = 0 if needs == 0 else len(task.after) - len(sources)
        tasks.append(
            PlannedRow(
                id=task_id,
                name=task.name,
                kind="fan" if task.is_fan else "workflow" if task.work.workflow else "agent",
                agent_id=agent.id if agent is not None else None,
                spec=work_spec(task.work),
                blockers=blockers,
                attempts_max=task.work.retry.attempts,
                needs=needs or None,
                lane=lane_of(agent, queue_of(agent, task.work.queue), facts.limits),
                queue=queue_of(agent, task.work.queue),
                priority=task.work.priority,
                kept=task.name in kept,
                output_content_id=kept.get(task.name),
            )
        )
        # What is kept of a join's sources may suffice: it then waits for none of the others.
        read = sources if needs == 0 else task.after
        edges += [EdgeRow(source_id=ids[source], target_id=task_id) for source in read]
    return tasks, edges


def _department_id(planned: Planned, allowed: Allowed, facts: OrganizationFacts) -> UUID | None:
    """Return whose run it is: the department of the agent that was asked for, else of the one who started it."""
    agent = facts.agents.get(planned.agent_id) if planned.agent_id is not None else allowed.agent
    return agent.department_id if agent is not None else None


def _record(run: RunRow, allowed: Allowed, given: Sealed | None, *, now: datetime, drivers: Drivers) -> Record:
    act = allowed.act
    return Record(
        id=drivers.ids.new(),
        kind=RecordKind.RUN_STARTED,
        organization_id=run.organization_id,
        at=record_time(now),
        act_kind=act.kind,
        act_name=act.name,
        action_id=allowed.action_id,
        agent_version=allowed.agent.version if allowed.agent is not None else None,
        approval_id=allowed.approval_id,
        args_digest=given.digest if given is not None else None,
        args_id=given.row.id if given is not None else None,
        clock=record_time(act.clock) if act.clock is not None else None,
        decision=allowed.decision.outcome,
        epoch=run.epoch,
        principal=principal_ids(act.principal),
        rules=rule_ids(allowed.decision),
        run_id=run.id,
        subject=f"workflow:{run.workflow_id}@{run.workflow_version}" if run.workflow_id else None,
    )
