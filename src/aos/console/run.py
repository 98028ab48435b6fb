"""One run: what did it do, why was it allowed, what did it cost; three views of it, and an inspector of what is selected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.http import HttpResponse
from django.urls import path

from aos.console.amounts import count_text
from aos.console.binding import services
from aos.console.cost import spent
from aos.console.doors import Visit, page, page_cursor, page_id
from aos.console.graph import draw_graph
from aos.console.graph_spans import spans_of_act, spans_of_task
from aos.console.run_drawings import grow_tree, lay_out_steps, leaf_of
from aos.console.run_orders import orders_of, receipt_of, task_orders_of
from aos.console.run_words import act_text, decision_text, goal_text, quiet_words, reason_of, run_answer, what_it_did
from aos.console.runs import run_state
from aos.kernel.errors import NotFound, ProofTooEarly
from aos.kernel.ledger.record import RecordKind
from aos.kernel.people import Permission
from aos.kernel.policy.values import Rule
from aos.operations.actions import ActionView, list_actions, show_action
from aos.operations.activity import count_task_actions
from aos.operations.audit import SignedHead, show_checkpoint
from aos.operations.live_streams import make_run_stream
from aos.operations.pages import PageQuery
from aos.operations.policies import list_policies
from aos.operations.run_views import FAILED, RunDetail, RunView, TaskDetail, count_task_kinds, show_run, show_run_task

VIEWS: Final = (("tasks", "Tasks"), ("acts", "Acts in time"), ("decisions", "Decisions"))
ACTS_SHOWN: Final = 50
NOTABLE_SHOWN: Final = 6
WAITING_SHOWN: Final = 4
DECISIONS_SHOWN: Final = 100
"""Notable acts of each kind that the tree of decisions shows at once, and acts of one task that is opened."""
REFUSED_MARKED: Final = 100
"""Refused acts that are marked on the drawing, the newest first."""
STREAMED: Final = tuple(
    kind.value for kind in RecordKind if kind.partition(".")[0] in ("act", "approval", "run", "task")
)
STATES: Final = ("performed", "refused", "waiting", "failed")


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of an act, with where it came from if that was looked up."""

    name: str
    value: Any
    origin: str


@dataclass(frozen=True, slots=True)
class Relative:
    """Another run that this one comes from or leads to: in words, with its address."""

    words: str
    address: str
    label: str


@dataclass(frozen=True, slots=True)
class RuleShown:
    """One matched rule with its text; `rule` is None for what AOS itself or a permission says."""

    id: str
    version: int
    outcome: str
    reason: str
    failed: bool
    rule: Rule | None


@dataclass(frozen=True, slots=True)
class Inspected:
    """What the inspector shows of an act."""

    action: ActionView
    text: str
    decision: str
    arguments: tuple[Argument, ...]
    facts: tuple[tuple[str, Any], ...]
    rules: tuple[RuleShown, ...]


def show_one_run(visit: Visit, key: str) -> HttpResponse:
    """Show a run; the address says which view and what is selected."""
    drivers, run_id = services().drivers, page_id(key)
    detail = show_run(drivers, visit.actor, run_id)
    view = visit.query("view") if visit.query("view") in dict(VIEWS) else "tasks"
    values: dict[str, Any] = {
        "detail": detail,
        "run": detail.run,
        "run_key": str(detail.run.id),
        "state": run_state(detail.run),
        "waiting": detail.approvals[:WAITING_SHOWN],
        "more_waiting": len(detail.approvals) - WAITING_SHOWN,
        "goal": goal_text(detail),
        "answer": run_answer(detail.run, visit.standing.now, failed=detail.failed, states=detail.states),
        "failed_tasks": tuple((task, reason_of(task)) for task in detail.failed),
        "more_failed": sum(detail.states.get(state, 0) for state in FAILED) - len(detail.failed),
        "quiet": quiet_words(detail.run),
        "did": what_it_did(detail.states),
        "allowed": detail.run.actions - detail.run.refused - detail.run.waiting,
        "views": VIEWS,
        "view": view,
        "head": checkpoint_of(visit),
        "budget_bars": tuple(spent(each) for each in detail.budgets[:1]),
        "orders": orders_of(visit, detail.run),
        "receipt": receipt_of(visit),
        "may_read": visit.may(Permission.CONTENT_READ),
        "lineage": lineage(detail),
        "undo_error": detail.undo_error,
        **_live(visit, detail),
        **_selected(visit, detail.run),
        **_VIEW[view](visit, detail),
    }
    return visit.show("run.html", "runs", **values)


def _live(visit: Visit, detail: RunDetail) -> dict[str, Any]:
    """Return the address of the run's events, while it runs and a stream can be opened."""
    live = detail.run.state in ("running", "paused")
    if not live or services().bridge is None:
        return {"live": live, "stream": ""}
    token = services().call(make_run_stream, visit.actor, detail.run.id)
    return {"live": True, "stream": f"/runs/{detail.run.id}/events?stream={token}", "kinds": " ".join(STREAMED)}


def checkpoint_of(visit: Visit) -> SignedHead | None:
    """Return the newest checkpoint for those who may read the log; None for others and while there is none."""
    if not visit.may(Permission.AUDIT_READ):
        return None
    try:
        return show_checkpoint(visit.actor)
    except ProofTooEarly:
        return None


def inspect_action(visit: Visit, action: ActionView) -> Inspected:
    """Return an act with its arguments and where they came from, the facts that were read, and the rules' texts."""
    facts = dict(action.facts or {})
    given = action.arguments if isinstance(action.arguments, dict) else {}
    arguments = tuple(Argument(name, value, str(facts.pop(f"origin.{name}", ""))) for name, value in given.items())
    others = tuple((name, value) for name, value in facts.items() if not name.startswith("args."))
    texts = {}
    if visit.may(Permission.REGISTRY_READ) and any("/" not in rule.id for rule in action.rules):
        texts = {each.rule.id: each.rule for each in list_policies(visit.actor, PageQuery(limit=200)).items}
    rules = tuple(
        RuleShown(
            each.id,
            each.version,
            each.outcome,
            each.reason,
            each.failed,
            found if (found := texts.get(each.id)) and found.version == each.version else None,
        )
        for each in action.rules
    )
    return Inspected(action, act_text(action), decision_text(action), arguments, others, rules)


def lineage(detail: RunDetail) -> tuple[Relative, ...]:
    """Return the runs that this one comes from or leads to."""
    run = detail.run
    found: list[Relative] = []
    for words, id in (
        ("nested in run", run.parent_run_id),
        (f"forked at {run.forked_task} from run", run.forked_from_id),
        ("which was undone since by run", detail.source_undone_by),
        ("undoes run", run.undoes_id),
        ("undone by run", run.undone_by),
        *(("forked before that, and not undone with it, as run", fork) for fork in detail.standing_forks),
    ):
        if id is not None:
            found.append(Relative(words, f"/console/runs/{id}", f"{str(id)[-8:]}"))
    if run.nested:
        named = count_text(run.nested, "nested run", "nested runs")
        found.append(Relative("has", f"/console/runs?parent={run.id}", named))
    return tuple(found)


def _selected(visit: Visit, run: RunView) -> dict[str, Any]:
    """Return what is selected: an act, a task, or nothing."""
    drivers, run_id = services().drivers, run.id
    action_key, task_key = visit.query("action"), visit.query("task")
    if action_key:
        action = show_action(drivers, visit.actor, page_id(action_key))
        if action.run_id != run_id:
            raise NotFound(f"there is no act `{action_key[:80]}` in this run")
        return {
            "inspected": inspect_action(visit, action),
            **spans_of_act(visit, action),
            "selected_task": action.task_id,
            "selected_action": action.id,
        }
    if task_key:
        task: TaskDetail = show_run_task(drivers, visit.actor, run_id, task_id=page_id(task_key))
        query = PageQuery(limit=ACTS_SHOWN, order="created", filters={"run": str(run_id), "task": task.task.id})
        acts = list_actions(drivers, visit.actor, query)
        leaves = tuple(leaf_of(each) for each in acts.items)
        orders = task_orders_of(visit, run, task.task)
        return {
            "task": task,
            "task_orders": orders,
            "task_acts": leaves,
            **spans_of_task(visit, run_id, task.task.id),
            "selected_task": task.task.id,
            "selected_action": None,
        }
    return {"selected_task": None, "selected_action": None, "notable": _notable(visit, run_id)}


def _notable(visit: Visit, run_id: UUID) -> tuple[Any, ...]:
    """Return the first acts that still need a look: of unknown outcome or failed and not done since, then refused."""
    found = (
        *_first(visit, run_id, limit=NOTABLE_SHOWN, unsettled=True),
        *_first(visit, run_id, limit=NOTABLE_SHOWN, state="refused"),
    )
    return tuple((leaf_of(action), act_text(action)) for action in found[:NOTABLE_SHOWN])


def _tasks(visit: Visit, detail: RunDetail) -> dict[str, Any]:
    refused: frozenset[UUID | None] = frozenset()
    if detail.run.refused:
        query = PageQuery(limit=REFUSED_MARKED, filters={"run": str(detail.run.id), "state": "refused"})
        refused = frozenset(action.task_id for action in list_actions(services().drivers, visit.actor, query).items)
    counts = None
    if detail.tasks.next is not None:
        counts = count_task_kinds(visit.actor, detail.run.id, [task.id for task in detail.tasks.items])
    return {"graph": draw_graph(detail.tasks.items, counts), "refused_tasks": refused}


def _acts(visit: Visit, detail: RunDetail) -> dict[str, Any]:
    only = visit.query("only")
    filters = {"run": str(detail.run.id)} | ({"state": only} if only in STATES else {})
    query = PageQuery(limit=ACTS_SHOWN, order="created", cursor=page_cursor(visit), filters=filters)
    acts = list_actions(services().drivers, visit.actor, query)
    ends = detail.run.finished_at or visit.standing.now
    steps = lay_out_steps(acts.items, begun=detail.run.created_at, ends=ends)
    return {"steps": steps, "next": acts.next, "only": only, "states": STATES}


def _decisions(visit: Visit, detail: RunDetail) -> dict[str, Any]:
    run_id, opened = detail.run.id, visit.query("open") or visit.query("task")
    shown = list(_first(visit, run_id, outcome="deny"))
    shown += _first(visit, run_id, outcome="escalate")
    shown += [act for state in ("failed", "unknown") for act in _first(visit, run_id, state=state)]
    if opened:
        shown += _first(visit, run_id, task=page_id(opened))
    shown += [act for act in _first(visit, run_id, limit=1) if act.task_id is None]
    found = sorted({act.id: act for act in shown}.values(), key=lambda act: act.id)
    branches = grow_tree(detail.tasks.items, count_task_actions(visit.actor, run_id), found)
    return {"branches": branches, "own": tuple(leaf_of(act) for act in found if act.task_id is None)}


def _first(visit: Visit, run_id: UUID, *, limit: int = DECISIONS_SHOWN, **filters: Any) -> tuple[ActionView, ...]:
    """Return the first acts of a run that a filter lets through."""
    query = PageQuery(limit=limit, order="created", filters={"run": str(run_id), **filters})
    return list_actions(services().drivers, visit.actor, query).items


_VIEW: Final = {"tasks": _tasks, "acts": _acts, "decisions": _decisions}

urlpatterns = [path("console/runs/<str:key>", page(show_one_run))]
