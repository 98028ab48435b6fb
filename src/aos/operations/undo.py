"""Rolling a run back: it is cancelled if it is open, and another run undoes what it did, the last act first.

The undoing run has one task of kind `undo`. Each act that changed something and whose tool declares a compensating tool is
undone by a call of that tool, through the gate, for the same chain as the act itself: under its own policy, with its own
approval and its own records. Rules a reader must not break:
- A run is undone by one run, ever (a unique index); who asks again is told of that one.
- What a nested run did is undone once, by the run that undoes it or by one that undoes a run in which it is nested. Of
  these one works on an act at a time: while the outer one's is open, none of the nested one's begins (those who begin at
  once take turns, by the outermost run), and the outer one's waits for the nested one's that began before it. An act
  whose undoing elsewhere was performed, or has no known outcome, is left; one where it failed or was refused is tried.
- The call that undoes an act has the key `undo:<action>` in the undoing task: however often its pass runs, it is made once.
- An act is undone after all later ones: a call that waits for a person holds back those before it.
- What could not be undone is told: refused, failed, without a known outcome, without a compensation. Only a run whose acts
  were all undone succeeds.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias
from uuid import UUID

from aos.kernel.acts import Act, ActionState, ActKind, CallKey, Pending, Recorded, Refused
from aos.kernel.errors import AosError, Conflict, NotFound, StaleClaim, StillRunning, Unavailable
from aos.kernel.identity import Principal
from aos.kernel.json import Json
from aos.kernel.limits import RUN_DEPTH_MAX
from aos.kernel.workflow.compensation import undo_arguments
from aos.kernel.workflow.passes import Fail, Succeed
from aos.kernel.workflow.plan import Plan
from aos.kernel.workflow.spec import TaskWork, work_spec
from aos.kernel.workflow.states import RUN_FINAL, RunState
from aos.operations.claimed import ClaimedTask, chain_of
from aos.operations.contents import open_content, open_json
from aos.operations.drivers import Drivers
from aos.operations.facts import FactsCache, OrganizationFacts
from aos.operations.gate import Gate
from aos.operations.own_acts import Allowed
from aos.operations.run_ends import FailedRun
from aos.operations.run_rows import Lineage, Planned, RunRequest, RunRows, run_rows
from aos.operations.runs import Runs, RunStarted, StartedRun
from aos.store.hot.database import AppTransaction, Database, Row
from aos.store.task_rows import PlannedRow

_log = logging.getLogger(__name__)

UNDO: Final = "undo"
"""The kind and the name of the one task of a run that undoes another."""
PAGE_ACTS: Final = 200
UNDONE_BEFORE: Final = "undone_before"
"""The word for an act that another run has undone: the rollback of a nested run, or of one around it."""
LOOK_SECONDS_MIN: Final = 1.0
LOOK_SECONDS_MAX: Final = 300.0
"""How soon the undoing of a nested run is looked at again: after a quarter of the time that it is open, within these."""
SHOWN_ACTS_MAX: Final = 1_000
"""Acts of each sort that a report names; how many there are is counted beyond it."""


@dataclass(frozen=True, slots=True)
class RolledBack:
    """The run that undoes another; `replayed` where it was begun before."""

    run_id: UUID
    replayed: bool = False


Rollback: TypeAlias = RolledBack | Pending | Refused


@dataclass(slots=True)
class UndoReport:
    """What became of each act: the word for it, how many, and the first of them by id and tool, with why."""

    counts: dict[str, int] = field(default_factory=dict)
    acts: dict[str, list[Json]] = field(default_factory=dict)

    def add(self, word: str, row: Row, detail: str = "") -> None:
        """Note what became of an act."""
        self.counts[word] = self.counts.get(word, 0) + 1
        shown = self.acts.setdefault(word, [])
        if len(shown) < SHOWN_ACTS_MAX:
            told: dict[str, Json] = {"action_id": str(row["id"]), "tool": row["name"]}
            shown.append({**told, "detail": detail} if detail else told)

    def value(self) -> Json:
        """Return the report as the task's output."""
        words = ("undone", UNDONE_BEFORE, "refused", "failed", "unknown", "irreversible")
        return {word: {"count": self.counts.get(word, 0), "acts": self.acts.get(word, [])} for word in words}

    def verdict(self) -> Succeed | Fail:
        """Return how the task ends: it succeeds where every act was undone."""
        left = {word: count for word, count in self.counts.items() if word not in ("undone", UNDONE_BEFORE)}
        if not left:
            return Succeed(self.value())
        total = sum(self.counts.values())
        undone = total - sum(left.values())
        named = ", ".join(f"{count} {word}" for word, count in left.items())
        first = next(str(act["tool"]) for word in left for act in self.acts[word] if isinstance(act, dict))
        detail = f"{undone} of {total} acts were undone; {named}, `{first}` among them: look at this task's output"
        return Fail("partly-undone" if undone else "not-undone", detail)


class _UndoneAbove(Exception):
    """A run in which this one is nested is being undone: undoes the start."""


@dataclass(frozen=True, slots=True)
class UndoWaits:
    """An act is undone only after a person has agreed."""

    approval_id: UUID


@dataclass(frozen=True, slots=True)
class UndoLater:
    """A nested run's own undoing is open and goes first: it is looked at again then."""

    wake_at: datetime


class Undos:
    """Rolls runs back."""

    def __init__(
        self,
        database: Database,
        facts: FactsCache,
        gate: Gate,
        runs: Runs,
        *,
        drivers: Drivers,
        page_acts: int = PAGE_ACTS,
    ) -> None:
        self._database = database
        self._facts = facts
        self._gate = gate
        self._runs = runs
        self._drivers = drivers
        self._page_acts = page_acts

    async def roll_back(
        self, principal: Principal, run_id: UUID, *, idempotency_key: str | None = None, approval_id: UUID | None = None
    ) -> Rollback:
        """Begin to undo a run, which is cancelled first where it is open; return the run that undoes it.

        It is an act of the principal like the start of the run itself, and may be refused or wait for a person. Raises
        NotFound, and Conflict for a run that undoes another itself.
        """
        found = await self._runs.find_run(principal.organization_id, run_id)
        if found["undoes_id"] is not None:
            detail = f"run `{run_id}` undoes run `{found['undoes_id']}`: what it did cannot be rolled back, start anew"
            raise Conflict(detail)
        if found["undone_by"] is not None:
            return RolledBack(found["undone_by"], replayed=True)
        if found["parent_run_id"] is not None and (above := await self._undone_above(principal, run_id)) is not None:
            return RolledBack(above, replayed=True)
        act = Act(
            principal,
            ActKind.RUN,
            found["name"],
            {"undoes": str(run_id)},
            idempotency_key=idempotency_key,
            approval_id=approval_id,
        )

        async def rows_of(allowed: Allowed) -> RunRows:
            if RunState(found["state"]) not in RUN_FINAL:
                await self._cancel(principal, run_id)
            return self._rows(await self._source(principal.organization_id, run_id), allowed)

        return await self._begun(act, rows_of, run_id)

    async def begin_undo(self, failed: Sequence[FailedRun]) -> None:
        """Begin to undo runs that failed, for those who stand behind them; each once, however often it is asked.

        What stands in the way is said with the run, for a person to begin it: that who started it has left, a refusal, an
        approval. A refusal and an approval are recorded once; asking again finds them. No error is raised: what could not
        begin is asked for again.
        """
        for run in failed:
            told = f"{run.problem}: somebody who may has to roll it back" if run.problem else await self._begin_one(run)
            if told is not None and told != run.told:
                params = {"organization_id": run.organization_id, "id": run.run_id, "error": told}
                async with self._database.app(run.organization_id) as transaction:
                    await transaction.run("note_undo_error", params)

    async def _begin_one(self, run: FailedRun) -> str | None:
        """Begin to undo a run that failed; return what stands in the way, None where it has begun or is asked for again."""
        try:
            begun = await self.roll_back(run.asker, run.run_id, idempotency_key=f"{UNDO}:{run.run_id}")
        except AosError as error:
            _log.warning("run %s is not undone yet: %s", run.run_id, error.detail)
            return None if error.retryable else f"{error.slug}: {error.title.lower()}"
        match begun:
            case RolledBack():
                return None
            case Refused(action_id=action_id, error=code):
                return f"refused ({code}), see action {action_id}: roll it back by hand, if it is to be undone"
            case Pending(approval_id=approval_id):
                return f"waits for approval {approval_id}"

    async def undo_acts(self, task: ClaimedTask, facts: OrganizationFacts) -> UndoReport | UndoWaits | UndoLater:
        """Undo, under the claim of an undoing task, every act that is left; return what became of them all.

        Raises StaleClaim, Unavailable and StillRunning: the pass is then made again.
        """
        report = UndoReport()
        async for row in self._acts(task):
            waits = await self._undo(task, row, facts, report=report)
            if waits is not None:
                return waits
        return report

    # --- beginning -------------------------------------------------------------------------------------------------------

    async def _begun(self, act: Act, rows_of: Any, run_id: UUID) -> Rollback:
        where = _above(act.principal, run_id)

        async def in_turn(transaction: AppTransaction, _: UUID) -> None:
            await transaction.run("lock_undoing", where)
            if await transaction.run("find_undone_above", where):
                raise _UndoneAbove

        try:
            begun: StartedRun = await self._runs.begin(act, rows_of, besides=in_turn)
        except _UndoneAbove:
            above = await self._undone_above(act.principal, run_id)
            if above is None:  # it has ended otherwise meanwhile
                raise Conflict("a run above it was being undone at this moment: ask again") from None
            return RolledBack(above, replayed=True)
        except Conflict:
            # Somebody else was first: the unique index let one of the two be written.
            found = await self._runs.find_run(act.principal.organization_id, run_id)
            if found["undone_by"] is None:
                raise
            return RolledBack(found["undone_by"], replayed=True)
        return RolledBack(begun.run_id, begun.replayed) if isinstance(begun, RunStarted) else begun

    async def _undone_above(self, principal: Principal, run_id: UUID) -> UUID | None:
        """Return the run that undoes one in which this run is nested: it is open, or has undone all."""
        async with self._database.app(principal.organization_id) as transaction:
            rows = await transaction.run("find_undone_above", _above(principal, run_id))
        return rows[0]["id"] if rows else None

    async def _cancel(self, principal: Principal, run_id: UUID) -> None:
        try:
            await self._runs.cancel_run(principal, run_id)
        except Conflict:
            return  # it has ended meanwhile

    async def _source(self, organization_id: UUID, run_id: UUID) -> Row:
        async with self._database.app(organization_id) as transaction:
            rows = await transaction.run("load_run_source", {"organization_id": organization_id, "run_id": run_id})
        if not rows:
            raise NotFound(f"there is no run `{run_id}`")
        return rows[0]

    def _rows(self, source: Row, allowed: Allowed) -> RunRows:
        lineage = Lineage(
            source["id"],
            source_content(source, "origin_key_content_id", allowed.facts, self._drivers),
            origin_incomplete=source["origin_incomplete"] or source["has_nested"],
        )
        request = RunRequest(labels=source["labels"], thread=source["thread"], priority=source["priority"])
        planned = Planned(f"undo {source['name']}", Plan(()))
        rows = run_rows(planned, request, allowed, now=self._facts.now(), drivers=self._drivers, lineage=lineage)
        task = PlannedRow(
            id=self._drivers.ids.new(),
            name=UNDO,
            kind=UNDO,
            agent_id=None,
            spec=work_spec(TaskWork(agent=UNDO)),
            blockers=0,
            attempts_max=1,
        )
        rows.tasks = [task]
        rows.run.tasks_total = rows.run.tasks_open = 1
        rows.run.department_id = source["department_id"]
        return rows

    # --- undoing ---------------------------------------------------------------------------------------------------------

    async def _acts(self, task: ClaimedTask) -> AsyncIterator[Row]:
        undone = await self._runs.find_run(task.organization_id, task.run_id)
        params: dict[str, Any] = {
            "organization_id": task.organization_id,
            "run_id": undone["undoes_id"],
            "task_id": task.id,
            "depth_max": RUN_DEPTH_MAX + 1,
            "before_at": None,
            "before_id": None,
            "limit": self._page_acts,
        }
        while True:
            page = await self._database.read("load_acts_to_undo", params)
            for row in page:
                yield row
            if len(page) < self._page_acts:
                return
            params = {**params, "before_at": page[-1]["at"], "before_id": page[-1]["id"]}

    async def _undo(
        self, task: ClaimedTask, row: Row, facts: OrganizationFacts, *, report: UndoReport
    ) -> UndoWaits | UndoLater | None:
        tool = facts.tools.get(row["name"])
        if row["state"] != ActionState.PERFORMED:
            report.add("unknown", row, "it is not known whether it was done: look there, and mend it by hand")
        elif row["undoing"] == ActionState.PERFORMED:
            report.add("undone", row)
        elif row["elsewhere"] == ActionState.PERFORMED:
            report.add(UNDONE_BEFORE, row, f"run `{row['elsewhere_id']}` undid it")
        elif row["open_id"] is not None:
            return UndoLater(look_again_at(row["open_at"], self._facts.now()))
        elif row["elsewhere"] is not None:
            report.add("unknown", row, f"run `{row['elsewhere_id']}` began to undo it, the outcome is not known")
        elif tool is None or tool.compensate is None:
            report.add("irreversible", row, "its tool has no compensation" if tool else "its tool is retired")
        else:
            try:
                args, output = self._opened(row, facts)
                arguments = undo_arguments(tool.compensate, args, output)
            except AosError as error:
                report.add("failed", row, error.detail)
                return None
            principal = Principal(task.organization_id, chain_of(row["chain"]), claim=task.claim)
            clock = task.run.clock(self._facts.now())
            act = Act(
                principal,
                ActKind.TOOL,
                tool.compensate.tool,
                arguments,
                call=CallKey(f"{UNDO}:{row['id']}"),
                clock=clock,
            )
            return await self._perform(act, row, report=report)
        return None

    async def _perform(self, act: Act, row: Row, *, report: UndoReport) -> UndoWaits | None:
        try:
            done = await self._gate.perform(act)
        except (StaleClaim, StillRunning, Unavailable):
            raise
        except AosError as error:
            report.add("failed", row, f"`{act.name}`: {error.detail}")
            return None
        match done:
            case Pending(approval_id=approval_id):
                return UndoWaits(approval_id)
            case Recorded(state=ActionState.PERFORMED):
                report.add("undone", row)
            case Recorded(state=ActionState.UNKNOWN, detail=detail):
                report.add("unknown", row, f"`{act.name}` was called, its outcome is not known: {detail}")
            case Recorded(state=ActionState.REFUSED, detail=detail) | Refused(detail=detail):
                report.add("refused", row, f"`{act.name}`: {detail}")
            case Recorded(detail=detail):
                report.add("failed", row, f"`{act.name}`: {detail}")
        return None

    def _opened(self, row: Row, facts: OrganizationFacts) -> tuple[Json, Json]:
        """Return what an act was given and what came back; raise NotFound where it was erased."""
        found: list[Json] = []
        for name in ("arguments", "outcome"):
            if row[f"{name}_content_id"] is None:
                found.append(None)
                continue
            sealed = {
                "organization_id": facts.id,
                "id": row[f"{name}_content_id"],
                "data_key_id": row[f"{name}_key_id"],
                "sealed": row[name],
            }
            found.append(open_json(sealed, keys=facts.data_keys, crypto=self._drivers.crypto))
        return found[0], found[1]


def look_again_at(begun_at: datetime, now: datetime) -> datetime:
    """Return when the undoing of a nested run, begun then, is looked at again."""
    seconds = min(max((now - begun_at).total_seconds() / 4, LOOK_SECONDS_MIN), LOOK_SECONDS_MAX)
    return now + timedelta(seconds=seconds)


def _above(principal: Principal, run_id: UUID) -> dict[str, Any]:
    return {"organization_id": principal.organization_id, "run_id": run_id, "depth_max": RUN_DEPTH_MAX + 1}


def source_content(source: Row, name: str, facts: OrganizationFacts, drivers: Drivers) -> bytes:
    """Return the plain bytes of a content of `load_run_source`; raise NotFound where it was erased."""
    content_id: UUID = source[name]
    kept = (source["contents"] or {}).get(str(content_id)) or {}
    row = {
        "organization_id": facts.id,
        "id": content_id,
        "data_key_id": UUID(kept["data_key_id"]) if kept.get("data_key_id") else None,
        "sealed": base64.b64decode(kept["sealed"]) if kept.get("sealed") else None,
    }
    return open_content(row, keys=facts.data_keys, crypto=drivers.crypto)
