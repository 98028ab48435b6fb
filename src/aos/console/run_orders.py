"""What a person tells a run on its page: each order names its effect before it is given, and its receipt what it reached."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpResponse, HttpResponseRedirect
from django.urls import path

from aos.console.amounts import count_text
from aos.console.binding import services
from aos.console.doors import Visit, page, page_id
from aos.kernel.acts import Pending
from aos.kernel.errors import InvalidRequest, NotFound
from aos.kernel.people import Permission
from aos.kernel.workflow.states import RUN_FINAL, RunState, TaskState
from aos.operations.forks import ForkRequest, TriedAgain
from aos.operations.run_orders import Order, fork_run, prioritize_run, retry_task, roll_back_run, steer_run
from aos.operations.run_steering import Steered
from aos.operations.run_views import RunView, TaskView
from aos.operations.runs import RunStarted
from aos.operations.undo import UNDO, RolledBack

_STEERED: Final = {"cancel": "cancelled", "pause": "paused", "resume": "resumed"}
Begun = RunStarted | RolledBack | TriedAgain | Pending


@dataclass(frozen=True, slots=True)
class Orders:
    """Which orders a run's page offers, as the run stands."""

    pause: bool = False
    resume: bool = False
    cancel: bool = False
    priority: bool = False
    rollback: bool = False


@dataclass(frozen=True, slots=True)
class TaskOrders:
    """Which orders the inspector of a task offers."""

    fork: bool = False
    retry: bool = False


def orders_of(visit: Visit, run: RunView) -> Orders:
    """Return what the person may tell this run now."""
    if services().bridge is None or not visit.may(Permission.RUN_CONTROL):
        return Orders()
    is_open = RunState(run.state) not in RUN_FINAL
    undoes = run.undoes_id is not None
    return Orders(
        pause=run.state == RunState.RUNNING,
        resume=run.state == RunState.PAUSED,
        cancel=is_open,
        priority=is_open,
        rollback=not undoes and run.undone_by is None,
    )


def task_orders_of(visit: Visit, run: RunView, task: TaskView) -> TaskOrders:
    """Return what the person may have done with this task now; no part of a task, or of an undone run, is forked at."""
    if services().bridge is None or not visit.may(Permission.RUN_CONTROL) or task.kind == UNDO:
        return TaskOrders()
    ended = RunState(run.state) in RUN_FINAL
    stands = task.state == TaskState.STUCK or (task.state == TaskState.WAITING and task.waits_for == "retry")
    failed = ended and task.state not in (TaskState.SUCCEEDED, TaskState.SKIPPED)
    whole = task.parent_id is None and run.undone_by is None
    return TaskOrders(fork=whole and visit.may(Permission.RUN_START), retry=stands or (failed and whole))


def receipt_of(visit: Visit) -> str:
    """Return what the order just given came to, in a sentence; empty where none was given."""
    reached = {name: int(text) for name in ("tasks", "nested", "at_work") if (text := visit.query(name)).isdigit()}
    tasks = count_text(reached.get("tasks", 0), "open task", "open tasks")
    nested = f" and {count_text(reached['nested'], 'nested run', 'nested runs')}" if reached.get("nested") else ""
    at_work = reached.get("at_work", 0)
    passes = count_text(at_work, "task at work was", "tasks at work were")
    match visit.query("done"):
        case "cancelled":
            return f"You cancelled it: {tasks}{nested} ended; {passes} cut off and can write nothing more."
        case "paused" if at_work:
            return f"You paused it: {tasks}{nested} held; {at_work} still at work until the next call."
        case "paused":
            return f"You paused it: {tasks}{nested} held, and nothing of it runs."
        case "resumed":
            return f"You let it go on: {tasks}{nested}."
        case "priority":
            return f"You changed its priority: {tasks}{nested} moved."
        case "rollback":
            return "You rolled a run back: this run undoes what it did, the last act first."
        case "fork":
            return "You forked a run: what came before was taken from its record."
        case "retry":
            return "You had a task tried again."
        case _:
            return ""


def order(visit: Visit, key: str, verb: str) -> HttpResponse:
    """Give one order and lead to the run that shows what came of it."""
    run_id = page_id(key)
    if verb in _STEERED:
        reached = services().call(steer_run, visit.actor, run_id, order=Order(verb))
        return _to_run(run_id, _STEERED[verb], reached)
    if verb == "priority":
        reached = services().call(prioritize_run, visit.actor, run_id, priority=_number(visit, "priority"))
        return _to_run(run_id, verb, reached)
    begin = _BEGINS.get(verb)
    if begin is None:
        raise NotFound(f"there is no order `{verb[:40]}` to a run")
    begun = begin(visit, run_id)
    if isinstance(begun, Pending):
        return HttpResponseRedirect(f"/console/approvals/{begun.approval_id}")
    return _to_run(begun.run_id, verb)


def _roll_back(visit: Visit, run_id: UUID) -> Begun:
    return services().call(roll_back_run, visit.actor, run_id)


def _fork(visit: Visit, run_id: UUID) -> Begun:
    text = str(visit.request.POST.get("input", "")).strip()
    request = ForkRequest(_task(visit), *((_json(text), True) if text else ()))
    return services().call(fork_run, visit.actor, run_id, request=request)


def _retry(visit: Visit, run_id: UUID) -> Begun:
    return services().call(retry_task, visit.actor, run_id, request=ForkRequest(_task(visit)))


_BEGINS: Final[dict[str, Callable[[Visit, UUID], Begun]]] = {"rollback": _roll_back, "fork": _fork, "retry": _retry}


def _to_run(run_id: UUID, done: str, reached: Steered | None = None) -> HttpResponse:
    told: dict[str, Any] = {"done": done}
    if reached is not None:
        nested = max(0, len(reached.runs) - 1)
        told |= {"tasks": reached.tasks, "nested": nested, "at_work": len(reached.at_work)}
    return HttpResponseRedirect(f"/console/runs/{run_id}?{urlencode(told)}")


def _task(visit: Visit) -> str:
    task = str(visit.request.POST.get("task", ""))
    if not task:
        raise InvalidRequest("the form names no task: go back and load the page again")
    return task


def _number(visit: Visit, name: str) -> int:
    text = str(visit.request.POST.get(name, ""))
    try:
        return int(text)
    except ValueError as error:
        raise InvalidRequest(f"`{text[:40]}` is not a whole number: go back and give one") from error


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"the input is not JSON: {error}; go back and mend it") from error


urlpatterns = [path("console/runs/<str:key>/<str:verb>", page(order, methods=("POST",)))]
