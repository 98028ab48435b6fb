"""Schedules whose time has come: their runs are started, each time at most once.

The run and the move to the schedule's next time are one transaction, guarded by the time that was found due: of two workers
one starts the run, and a worker that dies leaves both or neither. The start is an act of the schedule's owner, with the
roles that they hold now, under an Idempotency-Key made of the schedule and the time. A start that waits for a person, or
could not be decided now, leaves the time due; whatever else comes of it moves the schedule on and is said in `last_error`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from aos.kernel.acts import Pending, Refused
from aos.kernel.errors import AosError, Conflict, Forbidden, NotFound
from aos.kernel.identity import ChainLink, Principal, PrincipalKind
from aos.kernel.json import Json
from aos.kernel.ledger.record import Record, RecordKind, record_time
from aos.kernel.people import Permission, roles_permit
from aos.kernel.schedules import CATCH_UP_MAX, CatchUp, Overlap, choose_due, due_key, due_values
from aos.kernel.workflow.templates import render
from aos.operations.contents import open_json
from aos.operations.cron_times import find_zone, first_after, newest_between
from aos.operations.drivers import Drivers
from aos.operations.facts import FactsCache
from aos.operations.records import place, record_row
from aos.operations.run_rows import RunRequest
from aos.operations.runs import Runs, RunStarted, StartedRun
from aos.store.hot.database import AppTransaction, Database, Row
from aos.store.rows import rows_json

SCHEDULES_MAX: Final = 100
"""How many due schedules are looked at in one step."""
ERROR_LENGTH_MAX: Final = 500


class Fired(StrEnum):
    """What became of a time that was due."""

    STARTED = "started"
    PASSED = "passed"
    """Nothing was started, and the schedule has moved on."""
    WAITS = "waits"
    """The time stays due: to be tried again later."""
    LOST = "lost"
    """Somebody else acted on it, or changed the schedule."""


@dataclass(frozen=True, slots=True)
class _Move:
    """From the time that was found due to the next; `fired_at` is the one that counted as this schedule's last."""

    due_at: datetime
    then_at: datetime | None
    fired_at: datetime | None = None
    run_id: UUID | None = None
    error: str | None = None
    stays: bool = True


class _Lost(Exception):
    """The schedule is no longer as it was found: undoes the start of a run."""


class DueSchedules:
    """Starts what is due."""

    def __init__(self, database: Database, facts: FactsCache, runs: Runs, drivers: Drivers) -> None:
        self._database = database
        self._facts = facts
        self._runs = runs
        self._drivers = drivers

    async def due(self, *, passed_over: Sequence[UUID] = ()) -> list[Row]:
        """Return schedules whose time has come, longest due first, at most SCHEDULES_MAX."""
        limits = {"passed_over": list(passed_over), "schedules_max": SCHEDULES_MAX}
        return await self._database.read("load_due_schedules", limits)

    async def seconds_until_next(self) -> float | None:
        """Return how long it is until a schedule is due that is not due yet; None where there is none."""
        (row,) = await self._database.read("find_next_due")
        return None if row["next_at"] is None else float((row["next_at"] - row["now"]).total_seconds())

    async def fire(self, found: Row) -> Fired:
        """Act on one due schedule; raises Unavailable and StaleFacts, which leave it due."""
        try:
            chosen, move = _plan(found)
        except AosError as error:
            return await self._stop(found, f"it names no times: {error.detail}")
        if not roles_permit(found["roles"], Permission.RUN_START):
            return await self._stop(found, f"{found['owner']} may no longer start runs (`{Permission.RUN_START}`)")
        if chosen is None:
            return await self._pass(found, move, "missed, and not caught up with")
        if found["is_open"] and found["overlap"] == Overlap.SKIP:
            passed = _Move(found["next_at"], first_after(found["cron"], found["timezone"], found["now"]))
            return await self._pass(found, passed, f"left out: run {found['last_run_id']} is still open")
        try:
            started = await self._start(found, chosen, move)
        except _Lost:
            return Fired.LOST
        except AosError as error:
            if error.retryable:
                raise
            return await self._pass(found, move, _told(error))
        return await self._concluded(found, move, started)

    async def run_now(self, principal: Principal, key: str, *, idempotency_key: str | None = None) -> StartedRun:
        """Start a schedule's run for this moment, as the person who asks; its times stay as they are.

        Raises NotFound, and Conflict where its run before is still open and its runs may not overlap.
        """
        where = {"organization_id": principal.organization_id, "key": key}
        async with self._database.app(principal.organization_id) as transaction:
            rows = await transaction.run("load_schedule", where)
        if not rows:
            raise NotFound(f"there is no schedule `{key[:80]}`")
        found = rows[0]
        if found["is_open"] and found["overlap"] == Overlap.SKIP:
            raise Conflict(f"run `{found['last_run_id']}` of this schedule is still open, and its runs may not overlap")

        async def note(transaction: AppTransaction, run_id: UUID) -> None:
            params = {**_named(found), "run_id": run_id, "seen_run_id": found["last_run_id"]}
            if not await transaction.run("note_schedule_run", params):
                raise Conflict(f"another run of schedule `{found['name']}` began at this moment")

        request = await self._request(found, found["now"], idempotency_key)
        return await self._runs.start_run(principal, request, besides=note)

    async def _start(self, found: Row, chosen: datetime, move: _Move) -> StartedRun:
        async def advance(transaction: AppTransaction, run_id: UUID) -> None:
            params = _params(found, _Move(move.due_at, move.then_at, chosen, run_id))
            if not await transaction.run("advance_schedule", params):
                raise _Lost

        owner = ChainLink(PrincipalKind.PERSON, found["owner_id"], found["owner"])
        principal = Principal(found["organization_id"], (owner,), roles=tuple(sorted(found["roles"])))
        request = await self._request(found, chosen, due_key(found["id"], chosen))
        return await self._runs.start_run(principal, request, besides=advance)

    async def _request(self, found: Row, due_at: datetime, idempotency_key: str | None) -> RunRequest:
        """Return the run that a schedule starts for a time: its templates filled in with it."""
        values = due_values(due_at.astimezone(find_zone(found["timezone"])))
        given: Json = None
        if found["sealed"] is not None:
            facts = await self._facts.of(found["organization_id"])
            row = {**found, "id": found["content_id"]}
            given = render(open_json(row, keys=facts.data_keys, crypto=self._drivers.crypto), values)
        goal = render(found["goal"], values)
        is_workflow = found["target_kind"] == "workflow"
        return RunRequest(
            workflow=found["target"] if is_workflow else None,
            agent=None if is_workflow else found["target"],
            input=given,
            goal=goal if isinstance(goal, str) else str(goal),
            labels=found["labels"],
            priority=found["priority"],
            schedule_id=found["id"],
            idempotency_key=idempotency_key,
        )

    async def _concluded(self, found: Row, move: _Move, started: StartedRun) -> Fired:
        match started:
            case RunStarted(run_id=run_id, replayed=True):
                # Started under this key already, by hand: what is left is to move on.
                moved = await self._move(found, _Move(move.due_at, move.then_at, move.fired_at, run_id))
                return Fired.PASSED if moved else Fired.LOST
            case RunStarted():
                return Fired.STARTED
            case Pending(approval_id=approval_id):
                said = f"waits for approval {approval_id}"
                async with self._database.app(found["organization_id"]) as transaction:
                    params = {**_named(found), "due_at": move.due_at, "asked_at": move.fired_at, "error": said}
                    await transaction.run("note_schedule_error", params)
                return Fired.WAITS
            case Refused(action_id=action_id, error=error):
                return await self._pass(found, move, f"refused ({error}): see action {action_id}")

    async def _pass(self, found: Row, move: _Move, error: str) -> Fired:
        """Move on without a run, saying why."""
        said = error[:ERROR_LENGTH_MAX]
        moved = await self._move(found, _Move(move.due_at, move.then_at, move.fired_at, error=said))
        return Fired.PASSED if moved else Fired.LOST

    async def _stop(self, found: Row, error: str) -> Fired:
        """Pause a schedule that can start nothing any more, and record it."""
        record = Record(
            id=self._drivers.ids.new(),
            kind=RecordKind.REGISTRY_CHANGED,
            organization_id=found["organization_id"],
            at=record_time(found["now"]),
            change="schedule.paused",
            principal=(f"schedule:{found['id']}",),
            subject=f"schedule:{found['name']}",
        )
        move = _Move(found["next_at"], None, error=error[:ERROR_LENGTH_MAX], stays=False)
        return Fired.PASSED if await self._move(found, move, record) else Fired.LOST

    async def _move(self, found: Row, move: _Move, record: Record | None = None) -> bool:
        async with self._database.app(found["organization_id"]) as transaction:
            moved = bool(await transaction.run("advance_schedule", _params(found, move)))
            if moved and record is not None:
                await transaction.run("append_record", {"records": rows_json(place([record_row(record)]))})
        return moved


def _plan(found: Row) -> tuple[datetime | None, _Move]:
    """Return the time to start a run for, None for none, and where the schedule moves then; raise InvalidRequest."""
    cron, timezone, due_at, now = found["cron"], found["timezone"], found["next_at"], found["now"]
    catch_up = CatchUp(found["catch_up"])
    later = newest_between(cron, timezone, due_at, until=now, at_most=CATCH_UP_MAX)
    passed = (due_at, *later)[-CATCH_UP_MAX:]
    # What a person was asked about stays what it was, however much later the answer comes.
    chosen = found["asked_at"] or choose_due(passed, now, catch_up)
    after = chosen if catch_up is CatchUp.ALL and chosen is not None else now
    return chosen, _Move(due_at, first_after(cron, timezone, after), chosen)


def _params(found: Row, move: _Move) -> dict[str, Any]:
    return {
        **_named(found),
        "due_at": move.due_at,
        "then_at": move.then_at,
        "fired_at": move.fired_at,
        "run_id": move.run_id,
        "error": move.error,
        "stays": move.stays,
        "seen_run_id": found["last_run_id"],
    }


def _named(found: Row) -> dict[str, Any]:
    return {"organization_id": found["organization_id"], "id": found["id"]}


def _told(error: AosError) -> str:
    """Say what went wrong without what the run was given: that is content, and stands nowhere else."""
    if error.errors:
        places = ", ".join(each.pointer or "/" for each in error.errors[:5])
        return f"{error.slug}: what it gives the run does not fit at {places}"
    return f"{error.slug}: {error.detail}" if isinstance(error, NotFound | Forbidden) else error.title.lower()
