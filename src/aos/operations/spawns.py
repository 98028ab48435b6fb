"""Spawning: an agent delegates a task to another agent, inside its own run.

The delegation is an act of the spawning agent, decided by the gate; its intent, its effect (the child) and its outcome are
one statement. The same call made again, on a later pass or attempt, finds the child that it made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from aos.kernel.acts import Act, ActionState, Recorded
from aos.kernel.agents import Agent
from aos.kernel.errors import StaleClaim, StaleFacts
from aos.kernel.json import Json
from aos.kernel.ledger.record import Record, RecordKind, principal_ids, record_time, rule_ids
from aos.kernel.limits import STALE_RETRIES_MAX, TASKS_PER_RUN_MAX
from aos.kernel.money import Money
from aos.kernel.workflow.lanes import lane_of, queue_of
from aos.kernel.workflow.spec import TaskWork, work_spec
from aos.operations.authenticate import claim_stands
from aos.operations.contents import Sealed
from aos.operations.decided import chain_json
from aos.operations.drivers import Drivers
from aos.operations.ends import seal
from aos.operations.facts import FactsCache
from aos.operations.group_commit import GroupCommit
from aos.operations.own_acts import Allowed, OwnActs, Ruling
from aos.operations.passes import PassState
from aos.operations.records import place, record_row
from aos.store.hot.database import Database
from aos.store.rows import ContentRow, RecordRow, contents_bytes, hex_bytes, rows_json
from aos.store.task_rows import SpawnRow, TaskKey

_TRIES_MAX = STALE_RETRIES_MAX + 1


@dataclass(slots=True)
class Spawn:
    """One spawn on its way into the store."""

    row: SpawnRow
    contents: list[ContentRow] = field(default_factory=list)
    records: list[RecordRow] = field(default_factory=list)
    after: Sequence[UUID] = ()


class Spawns:
    """Spawns tasks."""

    def __init__(self, database: Database, facts: FactsCache, acts: OwnActs, drivers: Drivers) -> None:
        self._database = database
        self._facts = facts
        self._acts = acts
        self._drivers = drivers
        self._commits = GroupCommit(self._flush, name="spawn", weigh=lambda member: contents_bytes(member.contents))

    async def spawn(
        self,
        state: PassState,
        act: Act,
        child: Agent,
        *,
        label: str,
        after: Sequence[UUID] = (),
        budget: Money | None = None,
    ) -> Ruling:
        """Spawn `child` for the act, to begin when the tasks `after` have succeeded, or return what stands instead: a record, an approval or a refusal.

        `budget` limits what the child may cost, with all that it spawns.

        Raises StaleClaim where the task was taken away, StaleFacts where facts changed or the run may not grow.
        """
        for _ in range(_TRIES_MAX):
            ruling = await self._acts.rule_on(act)
            if not isinstance(ruling, Allowed):
                return ruling
            member, value = self._member(state, ruling, child, label=label, after=after)
            if budget is not None:
                member.row.child_budget_id = self._drivers.ids.new()
                member.row.child_budget_nanos, member.row.child_budget_currency = budget.nanos, budget.currency
            if await self._commits.submit(member):
                return Recorded(ruling.action_id, ActionState.PERFORMED, value)
            if not await claim_stands(self._database, state.task.organization_id, state.task.claim):
                raise StaleClaim(f"task `{state.task.label}` was taken from this worker; nothing was written")
            await self._acts.outdated(ruling.facts)
        raise StaleFacts(
            f"`{act.action}` could not be written: its facts changed, or the run has {TASKS_PER_RUN_MAX} tasks already"
        )

    async def drain(self) -> None:
        """Return when nothing is unwritten."""
        await self._commits.drain()

    def _member(
        self, state: PassState, allowed: Allowed, child: Agent, *, label: str, after: Sequence[UUID]
    ) -> tuple[Spawn, Json]:
        task, act, facts, drivers = state.task, allowed.act, allowed.facts, self._drivers
        assert act.call is not None
        child_id = drivers.ids.new()
        value: Json = {"task_id": str(child_id)}
        given = act.arguments["input"] if isinstance(act.arguments, dict) else None
        sealed = None if given is None else seal(given, "input", facts, drivers)
        outcome = seal(value, "outcome", facts, drivers)
        row = SpawnRow(
            n=0,
            organization_id=task.organization_id,
            epoch=facts.epoch,
            task_id=task.id,
            claim_token=task.token,
            run_id=task.run_id,
            attempt=task.attempt,
            call_key=act.call.key,
            tries=act.call.tries,
            action_id=allowed.action_id,
            name=child.name,
            outcome=allowed.decision.outcome.value,
            rules=[
                {"id": each.id, "version": each.version, "outcome": each.outcome.value}
                for each in allowed.decision.matched
            ],
            chain=chain_json(act.principal.chain),
            digest=hex_bytes(act.digest),
            child_id=child_id,
            child_name=child.name,
            child_label=label,
            child_agent_id=child.id,
            child_chain=chain_json(act.principal.chain),
            child_queue=queue_of(child),
            child_lane=lane_of(child, queue_of(child), facts.limits),
            child_spec=work_spec(TaskWork(agent=child.name, action_id=str(allowed.action_id))),
            outcome_content_id=outcome.row.id,
            child_after=list(after),
            agent_id=state.agent.id,
            agent_version=state.agent.version,
            department_id=state.agent.department_id,
            approval_id=allowed.approval_id,
            arguments_content_id=sealed.row.id if sealed is not None else None,
            child_input_content_id=sealed.row.id if sealed is not None else None,
            clock=act.clock,
        )
        contents = [outcome.row] if sealed is None else [outcome.row, sealed.row]
        record = self._record(state, allowed, sealed, outcome=outcome)
        return Spawn(row, contents, [record_row(record)], after), value

    def _record(self, state: PassState, allowed: Allowed, given: Sealed | None, *, outcome: Sealed) -> Record:
        task, act = state.task, allowed.act
        return Record(
            id=self._drivers.ids.new(),
            kind=RecordKind.ACT_PERFORMED,
            organization_id=task.organization_id,
            at=record_time(self._facts.now()),
            act_kind=act.kind,
            act_name=act.name,
            action_id=allowed.action_id,
            agent_version=state.agent.version,
            approval_id=allowed.approval_id,
            args_digest=given.digest if given is not None else None,
            args_id=given.row.id if given is not None else None,
            attempt=task.attempt,
            clock=record_time(act.clock) if act.clock is not None else None,
            decision=allowed.decision.outcome,
            epoch=allowed.facts.epoch,
            principal=principal_ids(act.principal),
            result_digest=outcome.digest,
            result_id=outcome.row.id,
            rules=rule_ids(allowed.decision),
            run_id=task.run_id,
            task_id=task.id,
        )

    async def _flush(self, batch: Sequence[Spawn]) -> list[bool]:
        for n, member in enumerate(batch):
            member.row.n = n
            for content in member.contents:
                content.n = n
            for record in member.records:
                record.n = n
        keys = [
            TaskKey(organization_id=member.row.organization_id, id=each)
            for member in batch
            for each in (member.row.task_id, *member.after)
        ]
        params = {
            "members": rows_json([member.row for member in batch]),
            "contents": rows_json([row for member in batch for row in member.contents]),
            "records": rows_json(place([row for member in batch for row in member.records])),
            "tasks_max": TASKS_PER_RUN_MAX,
        }

        rows = await self._database.write_in_order(("lock_tasks", {"tasks": rows_json(keys)}), ("spawn_tasks", params))
        written = {row["n"] for row in rows}
        return [n in written for n in range(len(batch))]
