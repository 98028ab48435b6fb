"""The start of a task: its delegation decided, and written together with its effect, that the task has started.

The delegation is an act of whoever asked for the task. A spawned task was decided when it was spawned, and a task that runs
once for each item delegates nothing itself: both start without a decision.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias
from uuid import UUID

import msgspec

from aos.kernel.acts import Act, ActionState, ActKind, CallKey, Pending, Recorded, Refused
from aos.kernel.agents import Agent
from aos.kernel.errors import StaleClaim, StaleFacts
from aos.kernel.json import Json
from aos.kernel.ledger.record import Record, RecordKind, principal_ids, record_time, rule_ids
from aos.kernel.limits import STALE_RETRIES_MAX
from aos.operations.authenticate import claim_stands
from aos.operations.claimed import START_KEY, ClaimedTask
from aos.operations.contents import Sealed
from aos.operations.decided import chain_json
from aos.operations.drivers import Drivers
from aos.operations.ends import seal
from aos.operations.facts import FactsCache, OrganizationFacts
from aos.operations.own_acts import Allowed, OwnActs
from aos.operations.records import record_row
from aos.operations.tasks import Start, Tasks
from aos.store.hot.database import Database
from aos.store.rows import hex_bytes
from aos.store.task_rows import StartRow


@dataclass(frozen=True, slots=True)
class Started:
    """The task has started."""


@dataclass(frozen=True, slots=True)
class NotStarted:
    """The task may not start."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class AskedFirst:
    """The task waits for a person before it starts."""

    approval_id: UUID


RETRY: Final = "retry"
"""What a task waits for between two attempts: the time."""

StartEnd: TypeAlias = Started | NotStarted | AskedFirst


class Starts:
    """Starts tasks."""

    def __init__(self, database: Database, facts: FactsCache, acts: OwnActs, tasks: Tasks, *, drivers: Drivers) -> None:
        self._database = database
        self._facts = facts
        self._acts = acts
        self._tasks = tasks
        self._drivers = drivers

    async def start(self, task: ClaimedTask, agent: Agent | None, value: Json) -> StartEnd:
        """Start a task with its input, or say why not. `agent` None is a task that runs once for each item.

        Raises StaleClaim where the claim is gone, StaleFacts where facts changed at every try.
        """
        for _ in range(STALE_RETRIES_MAX + 1):
            facts = await self._facts.of(task.organization_id)
            allowed: Allowed | None = None
            if agent is not None and task.work.action_id is None:
                ruling = await self._rule_on(task, agent, value)
                if not isinstance(ruling, Allowed):
                    return ruling
                allowed, facts = ruling, ruling.facts
            if await self._tasks.start(self._member(task, agent, value, facts=facts, allowed=allowed)):
                return Started()
            if not await claim_stands(self._database, task.organization_id, task.claim):
                raise StaleClaim(f"task `{task.label}` was taken from this worker; nothing was written")
            await self._acts.outdated(facts)
        raise StaleFacts(f"what the start of `{task.label}` was decided on changed {STALE_RETRIES_MAX + 1} times")

    async def _rule_on(self, task: ClaimedTask, agent: Agent, value: Json) -> Allowed | NotStarted | AskedFirst:
        act = Act(
            principal=task.asker,
            kind=ActKind.DELEGATE,
            name=agent.name,
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

    def _member(
        self,
        task: ClaimedTask,
        agent: Agent | None,
        value: Json,
        *,
        facts: OrganizationFacts,
        allowed: Allowed | None,
    ) -> Start:
        sealed = self._sealed_input(task, value, facts)
        row = StartRow(
            n=0,
            organization_id=task.organization_id,
            epoch=facts.epoch,
            task_id=task.id,
            claim_token=task.token,
            run_id=task.run_id,
            attempt=task.attempt,
            name=agent.name if agent is not None else task.name,
            outcome="allow",
            rules=[],
            chain=[],
            digest="",
            input_content_id=sealed.row.id if sealed is not None else None,
            total_timeout_seconds=task.work.total_timeout_seconds,
        )
        record = Record(
            id=self._drivers.ids.new(),
            kind=RecordKind.TASK_STARTED,
            organization_id=task.organization_id,
            at=record_time(self._facts.now()),
            agent_version=agent.version if agent is not None else None,
            attempt=task.attempt,
            epoch=facts.epoch,
            run_id=task.run_id,
            task_id=task.id,
        )
        if allowed is not None:
            self._add_act(row, allowed)
            row.arguments_content_id = row.input_content_id or task.input_content_id
            record = msgspec.structs.replace(
                record,
                act_kind=ActKind.DELEGATE,
                act_name=allowed.act.name,
                action_id=allowed.action_id,
                args_digest=sealed.digest if sealed is not None else None,
                args_id=sealed.row.id if sealed is not None else None,
                clock=record_time(allowed.act.clock) if allowed.act.clock is not None else None,
                decision=allowed.decision.outcome,
                principal=principal_ids(allowed.act.principal),
                rules=rule_ids(allowed.decision),
            )
        return Start(row, [record_row(record)], [sealed.row] if sealed is not None else [])

    def _sealed_input(self, task: ClaimedTask, value: Json, facts: OrganizationFacts) -> Sealed | None:
        """Return the input to keep: what was rendered now, so that every later pass is given the same."""
        if task.input_content_id is not None or task.is_fan or value is None:
            return None
        return seal(value, "input", facts, self._drivers)

    @staticmethod
    def _add_act(row: StartRow, allowed: Allowed) -> None:
        act, agent = allowed.act, allowed.agent
        row.action_id = allowed.action_id
        row.outcome = allowed.decision.outcome.value
        row.rules = [
            {"id": each.id, "version": each.version, "outcome": each.outcome.value} for each in allowed.decision.matched
        ]
        row.agent_id = agent.id if agent is not None else None
        row.agent_version = agent.version if agent is not None else None
        row.department_id = agent.department_id if agent is not None else None
        row.chain = chain_json(act.principal.chain)
        row.digest = hex_bytes(act.digest)
        row.approval_id = allowed.approval_id
        row.call_key = START_KEY if allowed.approval_id is not None else None
        row.clock = act.clock
