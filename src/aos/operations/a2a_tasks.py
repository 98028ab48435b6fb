"""A2A tasks: what a client sends an agent, as a run of that agent through the gate.

A message that names no task is the act `run:AGENT` of whoever sends it; what comes of the act is one row, the task. Rules a
reader must not break:
- Everything a task is lies in Postgres: any process answers the next request, and a stream begins anew in any.
- A task is seen by the principal who sent it, and by nobody else; another's is not found.
- The same message (`messageId`) is the same task, however often it comes; with another content it is refused.
- A task whose start waits for a person begins when its sender asks again: AOS performs nothing for an absent caller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from aos.kernel.a2a import MESSAGE_SIGNAL, SAID, TERMINAL, Phase, TaskState, phases_of, state_of
from aos.kernel.acts import Pending, Refused
from aos.kernel.agents import Agent, AgentStatus
from aos.kernel.errors import Conflict, Forbidden, IdempotencyMismatch, NotFound
from aos.kernel.identity import Principal, PrincipalKind
from aos.kernel.json import Json, canonical_json
from aos.kernel.limits import A2A_TASKS_WALKED_MAX
from aos.kernel.origins import Source
from aos.operations.a2a_messages import Incoming, read_incoming
from aos.operations.contents import DataKeys, open_json
from aos.operations.drivers import Drivers
from aos.operations.ends import seal
from aos.operations.facts import FactsCache, OrganizationFacts
from aos.operations.run_rows import RunRequest
from aos.operations.runs import Runs, RunStarted
from aos.operations.signals import SignalRequest, Signals
from aos.operations.threads import own_thread
from aos.store.hot.database import AppTransaction, Database, Row
from aos.store.rows import ContentRow, rows_json

OPENED_BYTES_MAX: Final = 16_000_000
_CONTENTS: Final = ("message_content_id", "output_content_id", "reason_content_id", "error_content_id")


@dataclass(frozen=True, slots=True)
class A2aTask:
    """One task as its sender sees it. `said` explains a phase; `output` is there once it has succeeded."""

    id: UUID
    organization_id: UUID
    agent: str
    context_id: str
    phase: Phase
    changed_at: datetime
    sent: Mapping[str, Json]
    output: Json
    said: str
    run_id: UUID | None
    approval_id: UUID | None

    @property
    def message(self) -> Json:
        """Return the message that it began with."""
        return self.sent.get("message")

    @property
    def state(self) -> TaskState:
        """Return the protocol's state."""
        return state_of(self.phase)


@dataclass(frozen=True, slots=True)
class A2aPage:
    """A page of tasks, the newest first; `before` goes on where there are more."""

    tasks: tuple[A2aTask, ...]
    total: int
    before: UUID | None


class A2aTasks:
    """Takes messages, and shows what became of them."""

    def __init__(
        self, database: Database, facts: FactsCache, runs: Runs, drivers: Drivers, *, signals: Signals
    ) -> None:
        self._database = database
        self._facts = facts
        self._runs = runs
        self._drivers = drivers
        self._signals = signals

    async def agent(self, principal: Principal, name: str) -> Agent:
        """Return the agent of a name that has a runtime; raise NotFound where there is none."""
        facts = await self._facts.of(principal.organization_id)
        agent = facts.agents_by_name.get(name)
        if agent is None or agent.runtime is None or agent.status is AgentStatus.RETIRED:
            raise NotFound(f"there is no agent `{name[:60]}` that runs here")
        return agent

    async def send(self, principal: Principal, agent: Agent, incoming: Incoming) -> A2aTask:
        """Take a message: a new task, or more for one of the sender's.

        Raises NotFound for a task that is not the sender's, Conflict where it has ended, IdempotencyMismatch where the
        message's id was used for another, Forbidden for the token of a task, whose run would be no part of that task's budget,
        and what `Runs.start_run` raises.
        """
        if principal.claim is not None:
            detail = "a task starts no run by itself: it spawns tasks, or its agent sends the message under its own key"
            raise Forbidden(detail)
        if incoming.task_id is not None:
            return await self._send_more(principal, agent, incoming)
        known = await self._load(principal, agent, message_id=incoming.message_id)
        if known is None:
            return await self._start(principal, agent, incoming, id=self._drivers.ids.new())
        if canonical_json(known.message) != canonical_json(incoming.message):
            raise IdempotencyMismatch(f"message `{incoming.message_id[:60]}` was sent before with another content")
        if known.phase in (Phase.START_WAITS, Phase.START_APPROVED):
            return await self._start(principal, agent, incoming, id=known.id, context_id=known.context_id)
        return known

    async def find(self, principal: Principal, agent: Agent, task_id: UUID) -> A2aTask:
        """Return a task of the principal's at an agent; raise NotFound."""
        found = await self._load(principal, agent, id=task_id)
        if found is None:
            raise NotFound(f"there is no task `{task_id}`")
        return found

    async def page(
        self,
        principal: Principal,
        agent: Agent,
        *,
        limit: int,
        before: UUID | None = None,
        context_id: str | None = None,
        state: TaskState | None = None,
        changed_after: datetime | None = None,
    ) -> A2aPage:
        """Return a page of the principal's tasks at an agent.

        A page looks at A2A_TASKS_WALKED_MAX tasks at most: one that is to find few among many may have fewer than `limit`,
        even none, and yet a next one.
        """
        facts = await self._facts.of(principal.organization_id)
        params = {
            "organization_id": facts.id,
            "principal_id": principal.actor.id,
            "agent_id": agent.id,
            "context_id": context_id,
            "phases": None if state is None else [phase.value for phase in phases_of(state)],
            "changed_after": changed_after,
            "before_id": before,
            "limit": limit + 1,
            "walk": A2A_TASKS_WALKED_MAX,
        }
        async with self._database.app(facts.id) as transaction:
            rows = await transaction.run("page_a2a_tasks", params)
            found = [row for row in rows if row["id"] is not None]
            shown = found[:limit]
            opened = await self._open(transaction, shown, facts.data_keys)
        tasks = tuple(_task(row, opened) for row in shown)
        return A2aPage(
            tasks, rows[0]["tasks_total"], before=tasks[-1].id if len(found) > limit else rows[0]["walked_to"]
        )

    async def cancel(self, principal: Principal, agent: Agent, task_id: UUID) -> A2aTask:
        """Cancel a task and its run; raise NotFound, Conflict where it has ended."""
        task = await self.find(principal, agent, task_id)
        if task.state is TaskState.CANCELED:
            return task
        if task.state in TERMINAL:
            raise Conflict(f"task `{task_id}` has ended: it is {task.phase}")
        if task.run_id is None:
            params = {"organization_id": principal.organization_id, "id": task_id}
            async with self._database.app(principal.organization_id) as transaction:
                await transaction.run("withdraw_a2a_task", params)
        else:
            await self._runs.cancel_run(principal, task.run_id)
        return await self.find(principal, agent, task_id)

    # --- sending ---------------------------------------------------------------------------------------------------------

    async def _send_more(self, principal: Principal, agent: Agent, incoming: Incoming) -> A2aTask:
        assert incoming.task_id is not None
        task = await self.find(principal, agent, incoming.task_id)
        if task.state in TERMINAL:
            raise Conflict(f"task `{task.id}` has ended: it is {task.phase}")
        if task.run_id is None:
            first = read_incoming(task.sent)  # the act is the one that was asked about, whatever is said now
            return await self._start(principal, agent, first, id=task.id, context_id=task.context_id)
        if task.phase is not Phase.WAITS_FOR_PERSON:
            request = SignalRequest(
                task.run_id,
                MESSAGE_SIGNAL,
                value={"input": incoming.input, "goal": incoming.goal},
                key=f"a2a:{incoming.message_id}",
                idempotency_key=f"a2a:{task.id}:{incoming.message_id}",
                origin=_source(principal),
            )
            sent = await self._signals.send_signal(principal, request)
            if isinstance(sent, Pending):
                phase = Phase.START_WAITS
                return replace(task, phase=phase, approval_id=sent.approval_id, said=_said(phase, sent.approval_id))
            if isinstance(sent, Refused):
                raise Conflict(f"the message was refused: {sent.detail}", reasons=sent.reasons)
        return await self.find(principal, agent, task.id)

    async def _start(
        self,
        principal: Principal,
        agent: Agent,
        incoming: Incoming,
        *,
        id: UUID,
        context_id: str = "",
    ) -> A2aTask:
        """Have a run of the agent started, and write the task that it is with it, or what it waits for."""
        facts = await self._facts.of(principal.organization_id)
        context_id = context_id or incoming.context_id or str(self._drivers.ids.new())
        request = RunRequest(
            agent=agent.name,
            input=incoming.input,
            goal=incoming.goal,
            labels=incoming.labels,
            thread=own_thread(principal, context_id),
            budget=incoming.budget,
            idempotency_key=f"a2a:{agent.id}:{incoming.message_id}",
            origin=_source(principal),
        )
        row = _Row(principal, agent, incoming, id=id, context_id=context_id)

        async def besides(transaction: AppTransaction, run_id: UUID) -> None:
            await self._save(transaction, row, facts, run_id=run_id)

        done = await self._runs.start_run(principal, request, besides=besides)
        if not isinstance(done, RunStarted):
            async with self._database.app(facts.id) as transaction:
                match done:
                    case Pending(approval_id=approval_id):
                        await self._save(transaction, row, facts, approval_id=approval_id)
                    case Refused(error=error, detail=detail, reasons=reasons):
                        told: Json = {"code": error, "detail": detail, "reasons": list(reasons)}
                        await self._save(transaction, row, facts, refused=told)
        elif done.replayed:
            async with self._database.app(
                facts.id
            ) as transaction:  # begun by a process that died before it could say so
                await self._save(transaction, row, facts, run_id=done.run_id)
        found = await self._load(principal, agent, message_id=incoming.message_id)
        if found is None:
            raise NotFound(f"there is no task `{id}`")
        return found

    async def _save(
        self,
        transaction: AppTransaction,
        row: _Row,
        facts: OrganizationFacts,
        *,
        run_id: UUID | None = None,
        approval_id: UUID | None = None,
        refused: Json = None,
    ) -> None:
        message = seal(dict(row.incoming.sent), "a2a-message", facts, self._drivers)
        reason = None if refused is None else seal(refused, "error", facts, self._drivers)
        contents: list[ContentRow] = [each.row for each in (message, reason) if each is not None]
        params = {
            "organization_id": facts.id,
            "id": row.id,
            "agent_id": row.agent.id,
            "principal_id": row.principal.actor.id,
            "context_id": row.context_id,
            "message_id": row.incoming.message_id,
            "message_content_id": message.row.id,
            "run_id": run_id,
            "approval_id": approval_id,
            "ended": None if refused is None else Phase.REFUSED.value,
            "reason_content_id": None if reason is None else reason.row.id,
            "contents": rows_json(contents),
        }
        await transaction.run("save_a2a_task", params)

    # --- reading ---------------------------------------------------------------------------------------------------------

    async def _load(
        self, principal: Principal, agent: Agent, *, id: UUID | None = None, message_id: str | None = None
    ) -> A2aTask | None:
        return await load_task(
            self._database,
            await self._facts.of(principal.organization_id),
            self._drivers,
            {"principal_id": principal.actor.id, "agent_id": agent.id, "id": id, "message_id": message_id},
        )

    async def _open(self, transaction: AppTransaction, rows: Sequence[Row], keys: DataKeys) -> dict[UUID, Json]:
        return await _open_contents(transaction, rows, keys, drivers=self._drivers)


@dataclass(frozen=True, slots=True)
class _Row:
    principal: Principal
    agent: Agent
    incoming: Incoming
    id: UUID
    context_id: str


async def load_task(
    database: Database, facts: OrganizationFacts, drivers: Drivers, where: Mapping[str, Any]
) -> A2aTask | None:
    """Return the task that `where` names by id or message, of one principal or whoever asks for the organization itself."""
    params = {"organization_id": facts.id, "principal_id": None, "agent_id": None, "id": None, "message_id": None}
    async with database.app(facts.id) as transaction:
        rows = await transaction.run("load_a2a_task", {**params, **where})
        if not rows:
            return None
        return _task(rows[0], await _open_contents(transaction, rows, facts.data_keys, drivers=drivers))


async def _open_contents(
    transaction: AppTransaction, rows: Sequence[Row], keys: DataKeys, *, drivers: Drivers
) -> dict[UUID, Json]:
    """Return the pieces of content that rows of tasks name, by id; what was erased is not there."""
    wanted = sorted({row[name] for row in rows for name in _CONTENTS if row[name] is not None})
    if not wanted:
        return {}
    where = {"organization_id": rows[0]["organization_id"], "ids": wanted, "bytes_max": OPENED_BYTES_MAX}
    found = await transaction.run("load_contents", where)
    return {
        row["id"]: open_json(row, keys=keys, crypto=drivers.crypto)
        for row in found
        if row["sealed"] is not None and row["data_key_id"] in keys.by_id
    }


def _task(row: Row, opened: Mapping[UUID, Json]) -> A2aTask:
    phase = Phase(row["phase"])
    approval_id = row["asked_id"] or (row["approval_id"] if row["run_id"] is None else None)
    said = _said(phase, approval_id)
    for name in ("reason_content_id", "error_content_id"):
        told = opened.get(row[name])
        if isinstance(told, dict):
            said = f"{told.get('code', '')}: {told.get('detail', '')}"
    if not said and phase in (Phase.FAILED, Phase.REFUSED):
        said = row["error_code"] or ("a person said no, or nobody answered in time" if approval_id else phase.value)
    return A2aTask(
        id=row["id"],
        organization_id=row["organization_id"],
        agent=row["agent"],
        context_id=row["context_id"],
        phase=phase,
        changed_at=row["changed_at"],
        sent=_fields(opened.get(row["message_content_id"])),
        output=opened.get(row["output_content_id"]),
        said=said,
        run_id=row["run_id"],
        approval_id=approval_id,
    )


def _fields(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, dict) else {}


def _said(phase: Phase, approval_id: UUID | None) -> str:
    return SAID.get(phase, "").format(approval=approval_id)


def _source(principal: Principal) -> Source:
    """Return whose words a message is: a person's, or those of a program, which nothing may be built on."""
    return Source.PERSON if principal.actor.kind is PrincipalKind.PERSON else Source.UNTRUSTED
