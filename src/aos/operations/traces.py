"""Traces: what happened under one run, or in one act outside of runs, in order and with the reasons.

A trace is read from the same rows that audit and bill are read from. A page of it costs five statements, however many
actions are on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from aos.kernel.errors import NotFound, TooLarge
from aos.kernel.people import Actor, Permission
from aos.operations.actions import ActionView, find_actions
from aos.operations.drivers import Drivers
from aos.operations.pages import Page, PageQuery, refuse
from aos.operations.registry_records import reading
from aos.operations.run_views import RunView, TaskView, find_run, find_runs, find_tasks
from aos.store.cold.connection import run_sql

TRACE_ACTIONS_MAX: Final = 2_000
"""Actions on one page of a trace."""
TRACE_ACTIONS_DEFAULT: Final = 500
TREE_SPANS_MAX: Final = 1_000
TREE_NODES_MAX: Final = 5_000
"""Tasks, and actions, that one tree may hold; a larger run is read as a trace, page by page."""


@dataclass(frozen=True, slots=True)
class Trace:
    """One page of a trace; `run` is None for an act outside of runs."""

    id: UUID
    run: RunView | None
    actions: Page[ActionView]


@dataclass(frozen=True, slots=True)
class TreeNode:
    """One task with what it did and the tasks below it: spawned by it, or fanned out from it."""

    task: TaskView
    actions: tuple[ActionView, ...]
    children: tuple[TreeNode, ...]


@dataclass(frozen=True, slots=True)
class SpanView:
    """One span that an agent's code left with the run; `task` is the id of its task."""

    id: str
    parent: str | None
    task: str
    kind: str
    name: str
    started_at: datetime
    ended_at: datetime
    error: str | None


@dataclass(frozen=True, slots=True)
class Tree:
    """A run as a tree; `actions` are the run's own, outside of any task."""

    id: UUID
    run: RunView | None
    actions: tuple[ActionView, ...]
    tasks: tuple[TreeNode, ...]
    spans: tuple[SpanView, ...] = ()
    """What agents' own code said that it did: evidence, beside the record and no part of it."""


def list_traces(drivers: Drivers, actor: Actor, query: PageQuery) -> Page[RunView]:
    """Return a page of runs as traces; an act outside of runs is a trace under its own id, listed among the actions."""
    with reading(actor, Permission.TRACE_READ):
        return find_runs(drivers, actor, query)


def show_trace(drivers: Drivers, actor: Actor, id: UUID, *, query: PageQuery) -> Trace:
    """Return a page of the trace of a run's or a lone action's id, first things first; raise NotFound."""
    if not 1 <= query.limit <= TRACE_ACTIONS_MAX:
        raise refuse("limit", f"must lie between 1 and {TRACE_ACTIONS_MAX}")
    with reading(actor, Permission.TRACE_READ):
        run = _run_of(actor, id)
        filters = {"run": id, **query.filters} if run is not None else {"id": id}
        actions = find_actions(drivers, actor, query, **filters)
    if run is None and not actions.items:
        raise NotFound(f"there is no trace `{id}`: give the id of a run, or of an action")
    return Trace(id, run, actions)


def show_tree(drivers: Drivers, actor: Actor, id: UUID) -> Tree:
    """Return the tree of a run's or a lone action's id; raise NotFound, or TooLarge past `TREE_NODES_MAX`."""
    trace_of = PageQuery(limit=TREE_NODES_MAX, order="created")
    with reading(actor, Permission.TRACE_READ):
        run = _run_of(actor, id)
        actions = find_actions(drivers, actor, trace_of, **({"run": id} if run is not None else {"id": id}))
        tasks: Page[TaskView] = find_tasks(drivers, actor, id, limit=TREE_NODES_MAX) if run is not None else Page(())
        spans = _spans_of(actor, id) if run is not None else ()
    if run is None and not actions.items:
        raise NotFound(f"there is no trace `{id}`: give the id of a run, or of an action")
    if actions.next or tasks.next:
        raise TooLarge(f"run `{id}` has more than {TREE_NODES_MAX} tasks or actions: read `/traces/{id}` page by page")
    return Tree(
        id=id,
        run=run,
        actions=tuple(action for action in actions.items if action.task_id is None or run is None),
        tasks=_nest(tasks.items, actions.items),
        spans=spans,
    )


def list_task_spans(actor: Actor, run_id: UUID, task_id: UUID) -> tuple[SpanView, ...]:
    """Return the spans that the code of a task's agent left, in order, the first `TREE_SPANS_MAX` of them."""
    where = {"organization_id": actor.organization_id, "run_id": run_id, "task": str(task_id), "limit": TREE_SPANS_MAX}
    with reading(actor, Permission.TRACE_READ):
        return _read_spans("list_task_spans", where)


def _spans_of(actor: Actor, run_id: UUID) -> tuple[SpanView, ...]:
    """Return the spans of a run, the first of them where there are more than `TREE_SPANS_MAX`."""
    where = {"organization_id": actor.organization_id, "run_id": run_id, "limit": TREE_SPANS_MAX}
    return _read_spans("list_run_spans", where)


def _read_spans(name: str, where: Mapping[str, object]) -> tuple[SpanView, ...]:
    return tuple(
        SpanView(
            id=row["span_id"].hex(),
            parent=row["parent_span_id"].hex() if row["parent_span_id"] else None,
            task=str(row["attributes"].get("aos.task", "")),
            kind=str(row["attributes"].get("kind", "")),
            name=row["name"],
            started_at=row["started_at"],
            ended_at=row["ended_at"],
            error=row["attributes"].get("error"),
        )
        for row in run_sql(name, where)
    )


def _run_of(actor: Actor, id: UUID) -> RunView | None:
    try:
        return find_run(actor, id)
    except NotFound:
        return None


def _nest(tasks: Sequence[TaskView], actions: Sequence[ActionView]) -> tuple[TreeNode, ...]:
    """Return the tasks without a parent, each with those below it, in order; delegation bounds how deep they go."""
    done: dict[UUID | None, list[ActionView]] = {}
    for action in actions:
        done.setdefault(action.task_id, []).append(action)
    known = {task.id for task in tasks}
    below: dict[UUID | None, list[TaskView]] = {}
    for task in tasks:
        below.setdefault(task.parent_id if task.parent_id in known else None, []).append(task)

    def nodes(parent_id: UUID | None) -> tuple[TreeNode, ...]:
        found = below.get(parent_id, ())
        return tuple(TreeNode(task, tuple(done.get(task.id, ())), nodes(task.id)) for task in found)

    return nodes(None)
