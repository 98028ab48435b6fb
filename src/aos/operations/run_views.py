"""Runs as people read them: their state, their tasks, what they cost, and what in them waits for a person.

A list shows runs, the one that is asked for comes with its first tasks; further tasks are paged. Goal, input, output and the
text of errors are content: there for those who may read content, else None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias
from uuid import UUID

from aos.kernel.errors import NotFound
from aos.kernel.identity import ChainLink
from aos.kernel.json import Json, canonical_json
from aos.kernel.money import Money
from aos.kernel.people import Actor, Permission
from aos.kernel.workflow.states import RunState
from aos.operations.actions import chain_of
from aos.operations.approval_views import ApprovalView, find_approvals
from aos.operations.budget_use import BudgetUse, find_budget_use, split_costs
from aos.operations.drivers import Drivers
from aos.operations.opened import ONE_BYTES_MAX, Opened, open_contents
from aos.operations.pages import (
    Page,
    PageQuery,
    check_limit,
    decode_cursor,
    encode_cursor,
    list_page,
    parse_uuid,
    refuse,
)
from aos.operations.registry_records import reading
from aos.store.cold.connection import run_sql

SHOWN_TASKS_MAX: Final = 200
"""Tasks that come with a run; the others are paged."""
FAILED_SHOWN_MAX: Final = 6
"""Failed and stuck tasks that come with a run, the first; how many there are stands in its states."""
FAILED: Final = ("failed", "stuck")
SIGNALS_SHOWN_MAX: Final = 10
"""Names of signals that come with a task which waits for them, the first by name."""
FORKS_SHOWN_MAX: Final = 10
"""Forks that come with a run that is undone, the first."""
_IDS_APART: Final = 60_000 << 80
"""By how much ids of runs that begin together may differ (RFC 9562, version 7): a minute between the clocks of machines."""
PENDING_SHOWN_MAX: Final = 50
"""Pending approvals that come with a run; the others are in the list of approvals."""


@dataclass(frozen=True, slots=True)
class RunView:
    """One run of a list. `chain` names who stands behind it, the one who is answerable first.

    `cost` is in the organization's currency; what was charged in another, before it changed, stands in `other_costs`.
    """

    id: UUID
    name: str
    state: str
    workflow: str | None
    workflow_version: int | None
    agent: str | None
    department: str
    chain: tuple[ChainLink, ...]
    labels: Mapping[str, Json]
    thread: str | None
    clock_start: datetime | None
    goal: Json
    error: str | None
    tasks_open: int
    tasks_total: int
    actions: int
    refused: int
    waiting: int
    cost: Money
    other_costs: tuple[Money, ...]
    created_at: datetime
    finished_at: datetime | None
    priority: int
    parent_run_id: UUID | None
    """The run whose task started it."""
    nested: int
    forked_from_id: UUID | None
    forked_task: str | None
    undoes_id: UUID | None
    undone_by: UUID | None


@dataclass(frozen=True, slots=True)
class TaskView:
    """One task. `after` are the tasks it needs; `parent_id` spawned it or fanned it out.

    `tolerated` says that the run goes on where the task fails.
    """

    id: UUID
    name: str
    label: str
    kind: str
    agent: str | None
    state: str
    paused: bool
    waits_for: str | None
    parent_id: UUID | None
    item_index: int | None
    after: tuple[UUID, ...]
    attempt: int
    attempts_max: int
    tolerated: bool
    error: str | None
    detail: str
    runtime_ms: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    wake_at: datetime | None = None
    """When a task that waits is taken up whatever else it waits for."""
    signals: tuple[str, ...] = ()
    """The names of the signals that it waits for, at most `SIGNALS_SHOWN_MAX`."""


TaskCounts: TypeAlias = Mapping[tuple[UUID | None, str], Mapping[str, int]]
"""How many tasks stand in each state, by the task above them and their name."""


@dataclass(frozen=True, slots=True)
class TaskDetail:
    """One task with what went in and what came out."""

    task: TaskView
    input: Json
    output: Json


@dataclass(frozen=True, slots=True)
class RunDetail:
    """One run with its first tasks, how many stand in each state, which failed or are stuck, and what it waits for."""

    run: RunView
    tasks: Page[TaskView]
    states: Mapping[str, int]
    failed: tuple[TaskView, ...]
    approvals: tuple[ApprovalView, ...]
    budgets: tuple[BudgetUse, ...]
    input: Json
    output: Json
    undo_due: bool = False
    """It failed, and what it did is to be undone by itself: a run that does so has yet to begin."""
    source_undone_by: UUID | None = None
    """It was forked from a run that was undone since, by this one: what it took over from there is undone."""
    standing_forks: tuple[UUID, ...] = ()
    """It is undone, and these were forked from it before and are not, at most `FORKS_SHOWN_MAX`."""
    undo_error: str | None = None
    """Why that run has not begun, where something stands in its way: it waits for a person."""


def list_runs(drivers: Drivers, actor: Actor, query: PageQuery) -> Page[RunView]:
    """Return a page of runs, by `state`, `workflow`, `agent`, `label` (`key` or `key=value`), `thread`, `name`, `parent`, `top`.

    Those that are `top` were started by no other run, and undo none.
    """
    with reading(actor, Permission.RUN_READ):
        return find_runs(drivers, actor, query)


def show_run(drivers: Drivers, actor: Actor, run_id: UUID) -> RunDetail:
    """Return one run with what belongs to it; raise NotFound."""
    with reading(actor, Permission.RUN_READ):
        rows = _rows(actor, run_id)
        tasks = _task_rows(actor, run_id, after=None, limit=SHOWN_TASKS_MAX)
        key = {"organization_id": actor.organization_id, "run_id": run_id}
        states = {row["state"]: row["tasks"] for row in run_sql("count_run_tasks", key)}
        has_failed = rows[0]["state"] == RunState.FAILED and rows[0]["undone_by"] is None
        undo: dict[str, Any] = run_sql("is_undo_due", key)[0] if has_failed else {"due": False, "undo_error": None}
        failed: list[dict[str, Any]] = []
        if any(states.get(state) for state in FAILED):
            failed = _task_rows(actor, run_id, after=None, limit=FAILED_SHOWN_MAX, states=FAILED)[:FAILED_SHOWN_MAX]
        apart = _undone_lineage(actor, rows[0])
        budgets = find_budget_use(actor.organization_id, [run_id])
        pending = PageQuery(limit=PENDING_SHOWN_MAX, filters={"run": run_id, "status": "pending"})
        approvals = find_approvals(drivers, actor, pending)
        names = ("goal_content_id", "input_content_id", "output_content_id")
        wanted = [rows[0][name] for name in names] + [task["error_content_id"] for task in (*failed, *tasks)]
        opened = open_contents(drivers, actor, wanted, bytes_max=ONE_BYTES_MAX)
    return RunDetail(
        run=_run(rows[0], opened),
        tasks=_task_page(tasks, opened, limit=SHOWN_TASKS_MAX),
        states=states,
        failed=tuple(_task(row, opened) for row in failed),
        approvals=approvals.items,
        budgets=budgets.get(run_id, ()),
        input=opened.get(rows[0]["input_content_id"]),
        output=opened.get(rows[0]["output_content_id"]),
        undo_due=undo["due"],
        undo_error=undo["undo_error"],
        source_undone_by=apart.get("source_undone_by"),
        standing_forks=tuple(apart.get("standing_forks", ())),
    )


def _undone_lineage(actor: Actor, run: Mapping[str, Any]) -> Mapping[str, Any]:
    if run["forked_from_id"] is None and run["undone_by"] is None:
        return {}
    until = UUID(int=min(run["undone_by"].int + _IDS_APART, (1 << 128) - 1)) if run["undone_by"] else None
    return run_sql(
        "load_undone_lineage",
        {
            "organization_id": actor.organization_id,
            "run_id": run["id"],
            "forked_from_id": run["forked_from_id"],
            "until": until,
            "limit": FORKS_SHOWN_MAX,
        },
    )[0]


def list_run_tasks(drivers: Drivers, actor: Actor, run_id: UUID, *, query: PageQuery) -> Page[TaskView]:
    """Return a page of a run's tasks in their order; raise NotFound."""
    check_limit(query)
    if query.order != "created":
        raise refuse("order", "of a run's tasks is `created` alone")
    after = decode_cursor(query.cursor, query.order)
    if after is not None and parse_uuid(after) is None:
        raise refuse("cursor", "is not one that this list gave out: begin again without it")
    with reading(actor, Permission.RUN_READ):
        _rows(actor, run_id)
        tasks = _task_rows(actor, run_id, after=after, limit=query.limit)
        opened = open_contents(drivers, actor, [task["error_content_id"] for task in tasks])
    return _task_page(tasks, opened, limit=query.limit)


def show_run_task(drivers: Drivers, actor: Actor, run_id: UUID, *, task_id: UUID) -> TaskDetail:
    """Return one task of a run with its input and output; raise NotFound."""
    with reading(actor, Permission.RUN_READ):
        params = {
            "organization_id": actor.organization_id,
            "run_id": run_id,
            "id": task_id,
            "after_id": None,
            "states": None,
            "limit": 1,
            "signals_max": SIGNALS_SHOWN_MAX,
        }
        rows = run_sql("page_run_tasks", params)
        if not rows:
            raise NotFound(f"there is no task `{task_id}` in run `{run_id}`")
        row = rows[0]
        wanted = [row["input_content_id"], row["output_content_id"], row["error_content_id"]]
        opened = open_contents(drivers, actor, wanted, bytes_max=ONE_BYTES_MAX)
    return TaskDetail(_task(row, opened), opened.get(row["input_content_id"]), opened.get(row["output_content_id"]))


def count_task_kinds(actor: Actor, run_id: UUID, parents: Sequence[UUID]) -> TaskCounts:
    """Return how many of all the tasks below `parents` stand in each state, by parent and name."""
    with reading(actor, Permission.RUN_READ):
        key = {"organization_id": actor.organization_id, "run_id": run_id, "parents": list(parents)}
        rows = run_sql("count_task_kinds", key)
    found: dict[tuple[UUID | None, str], dict[str, int]] = {}
    for row in rows:
        found.setdefault((row["parent_id"], row["name"]), {})[row["state"]] = row["tasks"]
    return found


def find_runs(drivers: Drivers, actor: Actor, query: PageQuery) -> Page[RunView]:
    """Return a page of runs with their goals, in the open transaction."""
    page = list_page("page_runs", actor.organization_id, query, read=lambda row: row, **_filters(query))
    opened = open_contents(drivers, actor, [row["goal_content_id"] for row in page.items])
    return Page(tuple(_run(row, opened) for row in page.items), page.next)


def find_run(actor: Actor, run_id: UUID) -> RunView:
    """Return one run without its goal, in the open transaction; raise NotFound."""
    return _run(_rows(actor, run_id)[0], Opened())


def find_tasks(drivers: Drivers, actor: Actor, run_id: UUID, *, limit: int) -> Page[TaskView]:
    """Return a run's first tasks, in the open transaction."""
    rows = _task_rows(actor, run_id, after=None, limit=limit)
    return _task_page(rows, open_contents(drivers, actor, [row["error_content_id"] for row in rows]), limit=limit)


def _rows(actor: Actor, run_id: UUID) -> tuple[dict[str, Any], ...]:
    query = PageQuery(limit=1, filters={"id": run_id})
    page = list_page("page_runs", actor.organization_id, query, read=lambda row: row, **_filters(query))
    if not page.items:
        raise NotFound(f"there is no run `{run_id}`")
    return page.items


def _filters(query: PageQuery) -> dict[str, Any]:
    """Return every filter of the statement; a label of the form `key=value` asks for that value."""
    found: dict[str, Any] = {
        **dict.fromkeys(("state", "workflow", "agent", "thread", "label", "labels", "parent", "top")),
        **query.filters,
    }
    key, equals, value = (found["label"] or "").partition("=")
    if equals:
        found |= {"label": None, "labels": canonical_json({key: value}).decode()}
    return found


def _task_rows(
    actor: Actor, run_id: UUID, *, after: str | None, limit: int, states: Sequence[str] | None = None
) -> list[dict[str, Any]]:
    params = {"organization_id": actor.organization_id, "run_id": run_id, "id": None, "after_id": after}
    asked = None if states is None else list(states)
    return run_sql("page_run_tasks", {**params, "states": asked, "limit": limit + 1, "signals_max": SIGNALS_SHOWN_MAX})


def _task_page(rows: Sequence[Mapping[str, Any]], opened: Opened, *, limit: int) -> Page[TaskView]:
    more, rows = len(rows) > limit, rows[:limit]
    following = encode_cursor("created", str(rows[-1]["id"])) if more else None
    return Page(tuple(_task(row, opened) for row in rows), following)


def _run(row: Mapping[str, Any], opened: Opened) -> RunView:
    plain = ("id", "name", "state", "workflow", "workflow_version", "agent", "department", "labels", "thread")
    cost, others = split_costs(row["costs"], row["currency"])
    lineage = ("priority", "parent_run_id", "nested", "forked_from_id", "forked_task", "undoes_id", "undone_by")
    counted = ("clock_start", "tasks_open", "tasks_total", "actions", "refused", "waiting", "created_at", "finished_at")
    return RunView(
        **{name: row[name] for name in (*plain, *counted, *lineage)},
        chain=chain_of(row["chain"]),
        goal=opened.get(row["goal_content_id"]),
        error=row["error_code"],
        cost=cost,
        other_costs=others,
    )


def _task(row: Mapping[str, Any], opened: Opened) -> TaskView:
    plain = ("id", "name", "label", "kind", "agent", "state", "paused", "waits_for", "parent_id", "item_index")
    timed = ("attempt", "attempts_max", "tolerated", "runtime_ms", "created_at", "started_at", "finished_at", "wake_at")
    detail = opened.get(row["error_content_id"])
    text = detail.get("detail", "") if isinstance(detail, dict) else detail
    return TaskView(
        **{name: row[name] for name in (*plain, *timed)},
        after=tuple(UUID(id) for id in row["after"]),
        error=row["error_code"],
        detail=text if isinstance(text, str) else "",
        signals=tuple(row["signals"] or ()),
    )
