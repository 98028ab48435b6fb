"""Signals: what is told to a run from outside, by a name, and taken once by a task that waits for that name.

Sending is an act (`message:NAME`), decided like any and written with its effect in one statement. A signal that nobody
waits for is kept; the oldest is taken first. Who sends and who looks for a signal take turns by its run and name, so that
whoever finds none is told of the next: none is lost, and none is taken twice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

from aos.kernel.acts import Act, ActKind, Pending, Recorded, Refused
from aos.kernel.errors import (
    Conflict,
    IdempotencyMismatch,
    InvalidRequest,
    NotFound,
    StaleClaim,
    StaleFacts,
    StillRunning,
)
from aos.kernel.identity import Principal, PrincipalKind
from aos.kernel.json import Json
from aos.kernel.ledger.record import Record, RecordKind, principal_ids, record_time, rule_ids
from aos.kernel.limits import NAME_LENGTH_MAX, ORIGIN_TOKENS_RUN_MAX, SIGNALS_OPEN_MAX, STALE_RETRIES_MAX
from aos.kernel.origins import Source, token_digest, tokens_of
from aos.operations.authenticate import claim_stands
from aos.operations.contents import open_json
from aos.operations.decided import chain_json
from aos.operations.drivers import Drivers
from aos.operations.ends import seal
from aos.operations.facts import FactsCache, OrganizationFacts
from aos.operations.own_acts import Allowed, OwnActs
from aos.operations.passes import PassState, signal_source
from aos.operations.records import place, record_row
from aos.operations.run_facts import RunFactsCache
from aos.store.hot.database import Database, MachineTransaction, Row
from aos.store.rows import ContentRow, OriginRow, RecordRow, hex_bytes, rows_json
from aos.store.task_rows import NameRow, SignalRow, TakeRow, TaskKey

_TRIES_MAX = STALE_RETRIES_MAX + 1
TIMED_OUT = "timed-out"
"""The error code of a call that waited as long as it was to."""


@dataclass(frozen=True, slots=True)
class SignalRequest:
    """What is told to a run; the same key is the same signal. `approval_id` names the yes that it needed.

    `origin` says whose words the value is; where it is not said, a person's if a person sends it, else those of something
    that nothing may be built on. `idempotency_key` lets whoever was told to wait for a person send the same again.
    """

    run_id: UUID
    name: str
    value: Json = None
    key: str | None = None
    approval_id: UUID | None = None
    origin: Source | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class SignalSent:
    """A signal that was sent, now or before under the same key."""

    signal_id: UUID
    run_id: UUID
    name: str
    replayed: bool = False


SentSignal: TypeAlias = SignalSent | Pending | Refused
BesidesSignal: TypeAlias = Callable[[MachineTransaction], Awaitable[None]]
"""What else is written in the transaction that sends a signal; what it raises undoes the sending."""


@dataclass(frozen=True, slots=True)
class SignalTaken:
    """The value of the signal that a call took."""

    value: Json


@dataclass(frozen=True, slots=True)
class SignalAwaited:
    """There is none yet; the call is over at `due_at` where it has a limit."""

    due_at: datetime | None


@dataclass(frozen=True, slots=True)
class SignalMissed:
    """None came in time."""

    detail: str


@dataclass(slots=True)
class _Sending:
    """All rows of one signal."""

    row: SignalRow
    contents: list[ContentRow]
    records: list[RecordRow]
    origins: list[OriginRow]

    def params(self) -> dict[str, Any]:
        return {
            "members": rows_json([self.row]),
            "contents": rows_json(self.contents),
            "records": rows_json(place(self.records)),
            "origins": rows_json(self.origins),
            "origin_tokens_max": ORIGIN_TOKENS_RUN_MAX,
            "open_max": SIGNALS_OPEN_MAX,
        }


class Signals:
    """Sends signals, and takes them for tasks."""

    def __init__(
        self, database: Database, facts: FactsCache, runs: RunFactsCache, acts: OwnActs, *, drivers: Drivers
    ) -> None:
        self._database = database
        self._facts = facts
        self._runs = runs
        self._acts = acts
        self._drivers = drivers

    async def send_signal(
        self, principal: Principal, request: SignalRequest, *, besides: BesidesSignal | None = None
    ) -> SentSignal:
        """Send a signal to an open run, or return the approval it waits for or why it was refused.

        What a person says is the person's words wherever it reappears in the run; what anything else sends is untrusted.
        Raises NotFound where there is no such run, Conflict where it has ended, IdempotencyMismatch where the key was used
        for another signal, InvalidRequest for a name or key that is none, StaleFacts where facts changed at every try.
        """
        _check(request)
        organization_id = principal.organization_id
        arguments: dict[str, Json] = {"run": str(request.run_id), "value": request.value}
        run = await self._runs.of_run(organization_id, request.run_id)
        clock = run.clock(self._facts.now())
        act = Act(
            principal,
            ActKind.MESSAGE,
            request.name,
            arguments,
            idempotency_key=request.idempotency_key,
            approval_id=request.approval_id,
            clock=clock,
        )
        for _ in range(_TRIES_MAX):
            before = await self._before(act, request)
            if before is not None:
                return before
            await self._check_open(organization_id, request.run_id)
            ruling = await self._acts.rule_on(act)
            if isinstance(ruling, Recorded):
                return Refused(ruling.action_id, ruling.error or "conflict", ruling.detail or "it was sent before")
            if not isinstance(ruling, Allowed):
                return ruling
            sending = self._rows(request, ruling, key=run.origin_key)
            if await self._write(sending, besides):
                return SignalSent(sending.row.id, request.run_id, request.name)
            await self._acts.outdated(ruling.facts)
        raise StaleFacts(
            f"signal `{request.name}` could not be sent: its facts changed, or {SIGNALS_OPEN_MAX} of its run wait already"
        )

    async def take_signal(
        self, state: PassState, row: TakeRow, *, facts: OrganizationFacts
    ) -> SignalTaken | SignalAwaited | SignalMissed:
        """Take the oldest signal of a name for a call of a task, or say how long the call may wait for one.

        Raises StaleClaim where the task was taken away, StillRunning where the call was concluded meanwhile.
        """
        detail = f"no signal `{row.name}` came within {row.limit_seconds or 0:g} s"
        contents: list[ContentRow] = []
        if row.limit_seconds is not None:
            missed = seal({"code": TIMED_OUT, "detail": detail}, "error", facts, self._drivers)
            row.timeout_content_id = missed.row.id
            contents.append(missed.row)
        task = state.task
        key = TaskKey(organization_id=task.organization_id, id=task.id)
        names = rows_json([NameRow(run_id=task.run_id, name=row.name)])

        async def work(transaction: MachineTransaction) -> list[Row]:
            await transaction.run("lock_signals", {"signals": names})
            await transaction.run("lock_tasks", {"tasks": rows_json([key])})
            return await transaction.run("take_signal", {"members": rows_json([row]), "contents": rows_json(contents)})

        rows = await self._database.write(work)
        if not rows:
            if not await claim_stands(self._database, task.organization_id, task.claim):
                raise StaleClaim(f"task `{task.label}` was taken from this worker; nothing was written")
            raise StillRunning(f"the wait for signal `{row.name}` was concluded before: run the pass again")
        match rows[0]["state"]:
            case "performed":
                return SignalTaken(open_json(rows[0], keys=facts.data_keys, crypto=self._drivers.crypto))
            case "failed":
                return SignalMissed(detail)
            case _:
                return SignalAwaited(rows[0]["due_at"])

    # --- sending -----------------------------------------------------------------------------------------------------

    async def _before(self, act: Act, request: SignalRequest) -> SignalSent | None:
        """Return the signal that was sent under the same key."""
        if request.key is None:
            return None
        organization_id = act.principal.organization_id
        where = {"organization_id": organization_id, "run_id": request.run_id, "key": request.key}
        rows = await self._database.read("find_signal", where)
        if not rows:
            return None
        if bytes(rows[0]["digest"]) != act.digest:
            raise IdempotencyMismatch(
                f"key `{request.key}` was used for another signal of this run: use a new key for a new signal"
            )
        return SignalSent(rows[0]["id"], request.run_id, rows[0]["name"], replayed=True)

    async def _check_open(self, organization_id: UUID, run_id: UUID) -> None:
        async with self._database.app(organization_id) as transaction:
            rows = await transaction.run("find_run", {"organization_id": organization_id, "id": run_id})
        if not rows:
            raise NotFound(f"there is no run `{run_id}`")
        if rows[0]["state"] not in ("running", "paused"):
            raise Conflict(f"run `{run_id}` is {rows[0]['state']} and takes no signal")

    async def _write(self, sending: _Sending, besides: BesidesSignal | None) -> bool:
        row = sending.row
        names = rows_json([NameRow(run_id=row.run_id, name=row.name)])
        where = {"organization_id": row.organization_id, "source_id": row.source_id}

        async def work(transaction: MachineTransaction) -> bool:
            await transaction.run("lock_signals", {"signals": names})
            await transaction.run("lock_targets", where)
            if not await transaction.run("send_signal", sending.params()):
                return False
            if besides is not None:
                await besides(transaction)
            return True

        return await self._database.write(work)

    def _rows(self, request: SignalRequest, allowed: Allowed, *, key: bytes) -> _Sending:
        facts, act, drivers = allowed.facts, allowed.act, self._drivers
        signal_id = drivers.ids.new()
        value = seal(request.value, "signal", facts, drivers)
        outcome = seal({"signal_id": str(signal_id)}, "outcome", facts, drivers)
        agent = allowed.agent
        row = SignalRow(
            organization_id=facts.id,
            epoch=facts.epoch,
            id=signal_id,
            run_id=request.run_id,
            name=request.name,
            sender=chain_json(act.principal.chain),
            content_id=value.row.id,
            source_id=signal_source(request.run_id, request.name),
            action_id=allowed.action_id,
            outcome=allowed.decision.outcome.value,
            rules=[
                {"id": each.id, "version": each.version, "outcome": each.outcome.value}
                for each in allowed.decision.matched
            ],
            chain=chain_json(act.principal.chain),
            digest=hex_bytes(act.digest),
            outcome_content_id=outcome.row.id,
            key=request.key,
            agent_id=agent.id if agent else None,
            agent_version=agent.version if agent else None,
            department_id=agent.department_id if agent else None,
            approval_id=allowed.approval_id,
            clock=act.clock,
        )
        record = Record(
            id=drivers.ids.new(),
            kind=RecordKind.ACT_PERFORMED,
            organization_id=facts.id,
            at=record_time(self._facts.now()),
            act_kind=act.kind,
            act_name=act.name,
            action_id=allowed.action_id,
            agent_version=row.agent_version,
            approval_id=allowed.approval_id,
            args_digest=value.digest,
            args_id=value.row.id,
            clock=record_time(act.clock) if act.clock is not None else None,
            decision=allowed.decision.outcome,
            epoch=facts.epoch,
            principal=principal_ids(act.principal),
            result_digest=outcome.digest,
            result_id=outcome.row.id,
            rules=rule_ids(allowed.decision),
            run_id=request.run_id,
        )
        origins, row.origin_incomplete = _origins(act, request, key=key)
        return _Sending(row, [value.row, outcome.row], [record_row(record)], origins)


def _check(request: SignalRequest) -> None:
    for what, text in (("name", request.name), ("key", request.key)):
        if text is not None and not 0 < len(text) <= NAME_LENGTH_MAX:
            raise InvalidRequest(f"the {what} of a signal has 1 to {NAME_LENGTH_MAX} characters, not {len(text)}")


def _origins(act: Act, request: SignalRequest, *, key: bytes) -> tuple[list[OriginRow], bool]:
    """Return what the signal's value tells the run of origins, and whether that is not all of it."""
    said = act.principal.actor.kind is PrincipalKind.PERSON
    seen = tokens_of(request.value, request.origin or (Source.PERSON if said else Source.UNTRUSTED))
    rows = [
        OriginRow(n=0, token=hex_bytes(token_digest(key, token.text)), origin=token.origin.value, whole=token.whole)
        for token in seen.tokens
    ]
    return rows, seen.incomplete
