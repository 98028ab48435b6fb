"""What happens in a run, as it enters the organization's log: the feed behind every live view of a run.

An event is a record that has its leaf, so events of one run come in the log's order, and a leaf's index is where a reader
goes on: it never misses one and never sees one twice. Ids and closed codes only; content is asked for elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from aos.kernel.errors import FieldError, InvalidRequest, NotFound
from aos.kernel.ledger.record import Record, parse_record
from aos.store.hot.database import AppTransaction, Database, Row

EVENTS_MAX: Final = 1_000
"""Events that one reading returns at most."""
NEAR_LEAVES: Final = 2_000
"""How far behind the log's end a reader may be for the log itself to be looked through, not the run's records."""


@dataclass(frozen=True, slots=True)
class EventTask:
    """The task that an event belongs to; label and agent are empty where it is gone."""

    id: UUID
    label: str
    agent: str


@dataclass(frozen=True, slots=True)
class EventAction:
    """The action that an event belongs to; `rules` are `id@version` of all that matched."""

    id: UUID
    kind: str
    name: str
    decision: str
    rules: tuple[str, ...]
    error: str


@dataclass(frozen=True, slots=True)
class RunEvent:
    """One record of a run with its place in the log; `at` is empty where retention has dropped the record's bytes."""

    index: int
    at: str
    kind: str
    task: EventTask | None
    action: EventAction | None
    approval_id: UUID | None
    status: str


class RunEvents:
    """Reads the events of runs; `near_leaves` only decides which of two ways is taken to the same answer."""

    def __init__(self, database: Database, *, near_leaves: int = NEAR_LEAVES) -> None:
        self._database = database
        self._near_leaves = near_leaves

    async def after(
        self, organization_id: UUID, run_id: UUID, *, index: int = -1, limit: int = EVENTS_MAX
    ) -> list[RunEvent]:
        """Return up to `limit` events after leaf `index` in the log's order; -1 begins with the first.

        Raises NotFound where the organization has no such run, InvalidRequest for a limit or index out of range.
        """
        if not 1 <= limit <= EVENTS_MAX or not -1 <= index < 1 << 62:
            detail = f"takes at most {EVENTS_MAX} events after a leaf's index, not `{limit}` after `{index}`"
            raise InvalidRequest(f"the run's feed {detail}", errors=[FieldError("", detail)])
        async with self._database.app(organization_id) as transaction:
            if not await transaction.run("find_run", {"organization_id": organization_id, "id": run_id}):
                raise NotFound(f"there is no run `{run_id}`")
            params = {
                "organization_id": organization_id,
                "run_id": run_id,
                "after": index,
                "near": self._near_leaves,
                "limit": limit,
            }
            rows = await transaction.run("list_run_events", params)
            read = [(row, None if row["bytes"] is None else parse_record(bytes(row["bytes"]))) for row in rows]
            tasks = await _name_tasks(transaction, organization_id, [record for _, record in read if record])
        return [_event(row, record, tasks) for row, record in read]


async def _name_tasks(
    transaction: AppTransaction, organization_id: UUID, records: list[Record]
) -> Mapping[UUID, EventTask]:
    ids = {record.task_id for record in records if record.task_id is not None}
    if not ids:
        return {}
    rows = await transaction.run("name_tasks", {"organization_id": organization_id, "ids": list(ids)})
    named = {row["id"]: EventTask(row["id"], row["label"], row["agent"] or "") for row in rows}
    return {id: named.get(id, EventTask(id, "", "")) for id in ids}


def _event(row: Row, record: Record | None, tasks: Mapping[UUID, EventTask]) -> RunEvent:
    if record is None:
        return RunEvent(row["index"], "", row["kind"], None, _action(row, None), None, "")
    return RunEvent(
        index=row["index"],
        at=record.at,
        kind=record.kind.value,
        task=tasks[record.task_id] if record.task_id is not None else None,
        action=_action(row, record),
        approval_id=record.approval_id,
        status=record.status or record.change or "",
    )


def _action(row: Row, record: Record | None) -> EventAction | None:
    if record is None:
        known = row["action_id"] is not None
        return EventAction(row["action_id"], row["act_kind"], row["act_name"], "", (), "") if known else None
    if record.action_id is None:
        return None
    return EventAction(
        id=record.action_id,
        kind=record.act_kind.value if record.act_kind else row["act_kind"] or "",
        name=record.act_name or row["act_name"] or "",
        decision=record.decision.value if record.decision else "",
        rules=record.rules,
        error=record.error or "",
    )


def event_document(event: RunEvent) -> dict[str, Any]:
    """Return an event as JSON; what does not apply is null."""
    task, action = event.task, event.action
    return {
        "index": event.index,
        "at": event.at or None,
        "kind": event.kind,
        "task": None if task is None else {"id": str(task.id), "label": task.label, "agent": task.agent or None},
        "action": None if action is None else _action_document(action),
        "approval_id": None if event.approval_id is None else str(event.approval_id),
        "status": event.status or None,
    }


def _action_document(action: EventAction) -> dict[str, Any]:
    return {
        "id": str(action.id),
        "kind": action.kind or None,
        "name": action.name or None,
        "decision": action.decision or None,
        "rules": list(action.rules),
        "error": action.error or None,
    }
