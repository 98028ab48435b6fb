"""The end of a run: found when its last task has ended, written once, with what the run returns.

Whoever ends a run's last task asks for it here; the sweep asks for all that were forgotten. Level-triggered: what a run
comes to is computed from its tasks as they stand, so that asking twice does nothing. A run that another run's task waits
for tells that task. One that failed by a task with `on_failure: compensate` is handed to whoever undoes runs, once it has
ended and again by every sweep until its undoing has begun.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from aos.kernel.errors import AosError, Unavailable
from aos.kernel.identity import Principal, PrincipalKind
from aos.kernel.json import Json
from aos.kernel.ledger.record import Record, RecordKind, Usage, principal_ids, record_time
from aos.kernel.limits import ORIGIN_TOKENS_RUN_MAX
from aos.kernel.people import Permission, roles_permit
from aos.kernel.workflow.outcome import EndedTask, run_outcome
from aos.kernel.workflow.spec import OnFailure
from aos.kernel.workflow.states import RunState, TaskState
from aos.kernel.workflow.templates import INPUT, expressions_of, output_value, render
from aos.operations.claimed import chain_of
from aos.operations.contents import open_json
from aos.operations.drivers import Drivers
from aos.operations.ends import seal
from aos.operations.facts import FactsCache, OrganizationFacts
from aos.operations.records import place, record_row
from aos.store.hot.database import Database, Row
from aos.store.rows import ContentRow, RecordRow, UsageRow, rows_json
from aos.store.task_rows import FinishRow, TaskKey

UNDOS_MAX = 100
"""How many failed runs are handed over to be undone in one step."""


@dataclass(frozen=True, slots=True)
class FailedRun:
    """A run that has failed and is to be undone; `asker` is who stands behind it, with the roles that they hold now.

    `problem` says why it cannot be undone in their name; `told` is what was last said of why it is not undone yet.
    """

    organization_id: UUID
    run_id: UUID
    asker: Principal
    problem: str = ""
    told: str | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """A run whose tasks have all ended, as `load_ending_runs` found it, and the digest of what its only last task returned.

    The digest is known where that was written a moment ago: the run then refers to the same content.
    """

    row: Row
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What a run returned, by id and salted digest; `content` is there where it has still to be written."""

    id: UUID
    digest: str
    content: ContentRow | None = None


BeginUndo: TypeAlias = Callable[[Sequence[FailedRun]], Awaitable[None]]
"""Begins to undo runs, each once however often it is handed over; what raises an AosError is handed over again."""


class RunEnds:
    """Ends runs whose tasks have all ended. `begin_undo` is set by whoever can undo runs."""

    def __init__(self, database: Database, facts: FactsCache, drivers: Drivers) -> None:
        self._database = database
        self._facts = facts
        self._drivers = drivers
        self.begin_undo: BeginUndo | None = None
        self.undos_max = UNDOS_MAX
        self._undo_after: tuple[datetime, UUID] | None = None
        self._ending: list[Ending] = []
        self._task: asyncio.Task[None] | None = None

    def end_soon(self, ending: Sequence[Row], digests: Mapping[UUID, str]) -> None:
        """End runs whose last task was ended, as `load_ending_runs` found them; many at once share one commit.

        `digests` are those of contents that were written with these tasks, by their ids.
        """
        self._ending += [Ending(row, digests.get(row["last_id"])) for row in ending]
        if self._ending and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._run(), name="run-ends")

    async def drain(self) -> None:
        """Return when every run that was asked for is ended."""
        while self._task is not None and not self._task.done():
            await asyncio.shield(self._task)

    async def _run(self) -> None:
        while self._ending:
            ending, self._ending = self._ending, []
            try:
                await self._end(ending)
                if any(_undoes_on_failure(each.row) for each in ending):
                    await self._undo_failed()
            except AosError:
                return  # the sweep finds what is left

    async def finish(self) -> int:
        """End up to 100 runs that were forgotten, and hand over what is to be undone; return how many were ended now."""
        rows = await self._database.read("load_ending_runs", {"forgotten": True})
        ended = await self._end([Ending(row) for row in rows]) if rows else 0
        await self._undo_failed()
        return ended

    async def _undo_failed(self) -> None:
        """Hand over the runs that failed and are to be undone, those next in turn: none holds back the others."""
        if self.begin_undo is None:
            return
        after_at, after_id = self._undo_after or (None, None)
        where = {"after_at": after_at, "after_id": after_id, "runs_max": self.undos_max}
        found = await self._database.read("load_runs_to_undo", where)
        self._undo_after = (found[-1]["finished_at"], found[-1]["id"]) if len(found) == self.undos_max else None
        if found:
            await self.begin_undo([_failed_run(row) for row in found])

    async def _end(self, ending: Sequence[Ending]) -> int:
        members: list[FinishRow] = []
        contents: list[ContentRow] = []
        records: list[RecordRow] = []
        usage: list[UsageRow] = []
        for n, each in enumerate(ending):
            row = each.row
            facts = await self._facts.of(row["organization_id"])
            result, state, error = await self._outcome(each, facts)
            members.append(_member(n, row, state, error=error, result=result))
            if result is not None and result.content is not None:
                result.content.n = n
                contents.append(result.content)
            record = self._record(row, state, error=error, result=result, now=row["now"])
            of_record = record_row(record)
            of_record.n = n
            records.append(of_record)
            usage.append(self._usage(n, row, facts, record.id))
        params = {
            "members": rows_json(members),
            "contents": rows_json(contents),
            "records": rows_json(place(records)),
            "usage": rows_json(usage),
            "origin_tokens_max": ORIGIN_TOKENS_RUN_MAX,
        }
        parents = [
            TaskKey(organization_id=row["organization_id"], id=row["parent_task_id"])
            for row in (each.row for each in ending)
            if row["parent_task_id"] is not None
        ]

        locks = ("lock_tasks", {"tasks": rows_json(parents)})
        ended = await self._database.write_in_order(*([locks] if parents else []), ("finish_runs", params))
        return len(ended)

    async def _outcome(self, ending: Ending, facts: OrganizationFacts) -> tuple[Result | None, RunState, str | None]:
        row = ending.row
        ends = [
            EndedTask(label, TaskState(state), error, tolerated)
            for state, label, error, tolerated, _ in row["ends"] or ()
        ]
        state, error = run_outcome(ends)
        if state is not RunState.SUCCEEDED:
            return None, state, error
        if ending.digest is not None:
            return Result(row["last_id"], ending.digest), state, error
        try:
            value = await self._output(row, facts)
        except Unavailable:
            raise  # says nothing of the run: it is ended when the database is back
        except AosError:
            return None, RunState.FAILED, "output-template"
        if value is None:
            return None, state, error
        sealed = seal(value, "output", facts, self._drivers)
        return Result(sealed.row.id, sealed.digest, sealed.row), state, error

    async def _output(self, row: Row, facts: OrganizationFacts) -> Json:
        """Return what the run returns: its rendered template, else what its only last task returned."""
        template: Json = row["output"]
        texts = list(expressions_of(template))
        if template is not None and not texts:
            return template
        if template is None:
            return await self._content(row["last_id"], facts)
        outputs = await self._outputs(row, facts)
        values: dict[str, Json] = {name: output_value(value) for name, value in outputs.items()}
        values[INPUT] = await self._content(row["input_id"], facts)
        return render(template, values)

    async def _content(self, content_id: UUID | None, facts: OrganizationFacts) -> Json:
        """Return what a content holds, None where there is none or it was erased."""
        if content_id is None:
            return None
        where = {"organization_id": facts.id, "id": content_id}
        rows = await self._database.app_read(facts.id, "load_content", where)
        if not rows or rows[0]["sealed"] is None:
            return None
        return open_json(rows[0], keys=facts.data_keys, crypto=self._drivers.crypto)

    async def _outputs(self, row: Row, facts: OrganizationFacts) -> dict[str, Json]:
        found = await self._database.read(
            "load_outputs",
            {
                "organization_id": row["organization_id"],
                "run_id": row["id"],
                "names": _words(row["output"]),
            },
        )
        return {
            each["name"]: None
            if each["sealed"] is None
            else open_json(each, keys=facts.data_keys, crypto=self._drivers.crypto)
            for each in found
        }

    def _record(self, row: Row, state: RunState, *, error: str | None, result: Result | None, now: datetime) -> Record:
        principal = Principal(row["organization_id"], chain_of(row["chain"]))
        return Record(
            id=self._drivers.ids.new(),
            kind=RecordKind.RUN_FINISHED,
            organization_id=row["organization_id"],
            at=record_time(now),
            error=error,
            principal=principal_ids(principal),
            result_digest=result.digest if result is not None else None,
            result_id=result.id if result is not None else None,
            run_id=row["id"],
            status=state.value,
            usage=(Usage(quantity=row["tasks_total"], unit="tasks"),),
        )

    def _usage(self, n: int, row: Row, facts: OrganizationFacts, record_id: UUID) -> UsageRow:
        return UsageRow(
            n=n,
            organization_id=row["organization_id"],
            id=self._drivers.ids.new(),
            kind="workflow_execution",
            name=row["name"],
            quantity=1,
            unit="runs",
            cost_nanos=0,
            currency=facts.settings.currency,
            record_id=record_id,
            run_id=row["id"],
            agent_id=row["agent_id"],
            department_id=row["department_id"],
        )


def _member(n: int, row: Row, state: RunState, *, error: str | None, result: Result | None) -> FinishRow:
    return FinishRow(
        n=n,
        organization_id=row["organization_id"],
        run_id=row["id"],
        state=state.value,
        error_code=error,
        output_content_id=result.id if result is not None else None,
    )


def _failed_run(row: Row) -> FailedRun:
    """Return a run that is to be undone in the name of whoever stands behind it, if they may still start runs."""
    chain = chain_of(row["chain"])
    by_person = bool(chain) and chain[0].kind is PrincipalKind.PERSON
    roles = tuple(sorted(row["roles"] or ()))
    problem = ""
    if by_person and row["roles"] is None:
        problem = "whoever started it is no longer a member"
    elif by_person and not roles_permit(roles, Permission.RUN_START):
        problem = f"whoever started it may no longer start runs (`{Permission.RUN_START}`)"
    asker = Principal(row["organization_id"], chain, roles if len(chain) == 1 else ())
    return FailedRun(row["organization_id"], row["id"], asker, problem, row["undo_error"])


def _undoes_on_failure(row: Row) -> bool:
    return any(on_failure == OnFailure.COMPENSATE for *_, on_failure in row["ends"] or ())


def _words(template: Json) -> list[str]:
    """Return every word of a template's expressions: among them are the tasks it names."""
    words: set[str] = set()
    for text in expressions_of(template):
        words.update("".join(each if each.isalnum() or each == "_" else " " for each in text).split())
    return sorted(words)
