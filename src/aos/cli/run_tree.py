"""A run as people follow it: its tasks as a tree, with who works on each, how often it was tried, and its last act.

What the tree shows is a plain value made of the server's answers; it never guesses a state that was not reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from rich.console import RenderableType
from rich.text import Text
from rich.tree import Tree

from aos.cli.output import STATE_STYLES, clean, duration_text, short

ENDED: Final = frozenset({"succeeded", "failed", "cancelled"})
"""The states of a run that does nothing more."""

_SYMBOLS: Final[Mapping[str, str]] = {
    "blocked": "·",
    "cancelled": "x",
    "failed": "x",
    "paused": "=",
    "ready": "·",
    "running": ">",
    "skipped": "-",
    "stuck": "!",
    "succeeded": "+",
    "waiting": "?",
}

CHILDREN_SHOWN: Final = 12
"""How many children of a task are drawn; those at work come first, the rest are counted."""

ENDED_TASKS: Final = frozenset({"succeeded", "failed", "skipped", "cancelled"})
"""The states of a task that does nothing more."""
_LOUD: Final = ("stuck", "waiting", "running", "failed", "ready", "blocked")


@dataclass(slots=True)
class RunView:
    """What is known of a run: the run itself, its tasks by id, and the last act of each task."""

    run: dict[str, Any] = field(default_factory=dict)
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)
    acts: dict[str, str] = field(default_factory=dict)

    @property
    def state(self) -> str:
        return str(self.run.get("state") or "")

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    @property
    def result(self) -> Any:
        """Return what the run returned, None where it is nothing."""
        return self.run.get("output", self.run.get("result"))

    @property
    def approval_id(self) -> str:
        """Return an approval that the run waits for, where the server named one."""
        found = [each for each in self.run.get("approvals") or [] if isinstance(each, Mapping)]
        return next((str(each["id"]) for each in found if each.get("status", "pending") == "pending"), "")

    def take_run(self, run: Mapping[str, Any]) -> None:
        """Take over a run as the server describes it, its tasks included where it names them."""
        self.run.update({name: value for name, value in run.items() if name != "tasks"})
        tasks = run.get("tasks")
        for task in (tasks.get("items") if isinstance(tasks, Mapping) else tasks) or []:
            if isinstance(task, Mapping):
                self.take_task(task)

    def take_task(self, task: Mapping[str, Any]) -> None:
        """Take over what is said of one task."""
        id = str(task.get("id") or "")
        if id:
            self.tasks.setdefault(id, {"id": id}).update(task)

    def take_event(self, event: Mapping[str, Any]) -> None:
        """Take over one event of the run's feed: a record of the log, with the task and the action it belongs to."""
        kind, _, what = str(event.get("kind") or "").partition(".")
        task, action, status = event.get("task"), event.get("action"), event.get("status")
        if isinstance(task, Mapping):
            state = {"started": "running", "finished": status}.get(what) if kind == "task" else None
            at, ended = event.get("at"), self.tasks.get(str(task.get("id")), {}).get("finished_at")
            is_old = bool(at and ended) and sortable(at) <= sortable(ended)  # what was read of it says more
            self.take_task({**task, "state": state} if state and not is_old else task)
            if kind == "act" and isinstance(action, Mapping):
                self._take_act(str(task.get("id")), action, what)
        if kind == "run" and what == "finished" and status:
            self.run["state"] = status

    def _take_act(self, task_id: str, action: Mapping[str, Any], what: str) -> None:
        rules = ", ".join(str(rule) for rule in action.get("rules") or [])
        why = f" by {rules}" if rules and what in ("refused", "escalated") else ""
        self.acts[task_id] = f"{action.get('kind')}:{action.get('name')} {what}{why}"


def sortable(moment: object) -> str:
    """Return a time of the server's, always in UTC, as text that sorts by it, whole seconds too; empty where it has none."""
    return str(moment or "").removesuffix("Z")


def draw_run(view: RunView, now: datetime) -> RenderableType:
    """Draw a run and its tasks."""
    root = Tree(_run_line(view, now), guide_style="dim")
    children: dict[str, list[dict[str, Any]]] = {}
    for task in view.tasks.values():
        parent = str(task.get("parent_id") or "")
        children.setdefault(parent if parent in view.tasks else "", []).append(task)
    _grow(root, "", children, view, now=now)
    return root


def _grow(
    branch: Tree,
    parent: str,
    children: Mapping[str, list[dict[str, Any]]],
    view: RunView,
    *,
    now: datetime,
    depth: int = 0,
) -> None:
    tasks = children.get(parent, [])
    shown = tasks if len(tasks) <= CHILDREN_SHOWN else sorted(tasks, key=_loudness)[:CHILDREN_SHOWN]
    for task in shown:
        twig = branch.add(_task_line(task, view, now))
        if depth < 8:
            _grow(twig, str(task["id"]), children, view, now=now, depth=depth + 1)
    rest = [task for task in tasks if task not in shown]
    if rest:
        branch.add(Text(f"and {len(rest)} more: {_counted(rest)}", style="dim"))


def _loudness(task: Mapping[str, Any]) -> int:
    state = str(task.get("state"))
    return _LOUD.index(state) if state in _LOUD else len(_LOUD)


def _counted(tasks: list[dict[str, Any]]) -> str:
    states = [str(task.get("state") or "unknown") for task in tasks]
    return ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))


def _run_line(view: RunView, now: datetime) -> Text:
    run = view.run
    name = str(run.get("name") or "run")
    line = Text.assemble((clean(name), "bold"), " ", (short(run.get("id")), "dim"), " ")
    line.append(view.state, style=STATE_STYLES.get(view.state, ""))
    if view.tasks:
        ended = sum(task.get("state") in ENDED_TASKS for task in view.tasks.values())
        total = max(int(run.get("tasks_total") or 0), len(view.tasks))
        line.append(f"  {ended} of {total} tasks", style="dim")
    line.append(_took(run, now, begun="created_at"), style="dim")
    return line


def _task_line(task: Mapping[str, Any], view: RunView, now: datetime) -> Text:
    state = str(task.get("state") or "")
    style = STATE_STYLES.get(state, "dim")
    line = Text.assemble((f"{_SYMBOLS.get(state, '·')} ", style))
    line.append(clean(task.get("label") or task.get("name") or short(task.get("id"))))
    if task.get("agent"):
        line.append(f"  {clean(task['agent'])}", style="dim")
    line.append(f"  {state}", style=style)
    attempt = task.get("attempt") or 0
    if isinstance(attempt, int) and attempt > 1:
        line.append(f"  attempt {attempt}", style="yellow")
    line.append(_took(task, now, begun="started_at"), style="dim")
    act = view.acts.get(str(task.get("id")))
    last = act or awaited_text(task)
    if last and state not in ("succeeded", "skipped", "cancelled"):
        line.append(f"  {clean(last)}", style="dim")
    error = task.get("detail") or task.get("error")
    if error and state == "failed":
        line.append(f"  {clean(error)}", style="red")
    return line


def awaited_text(task: Mapping[str, Any]) -> str:
    """Return what a task waits for: `for approval`, `for signal close`, `for its agent`; empty of one that does not wait."""
    if task.get("state") != "waiting" or not task.get("waits_for"):
        return ""
    if task["waits_for"] == "work":
        return "for its agent"
    return " ".join(("for", str(task["waits_for"]), ", ".join(map(str, task.get("signals") or [])))).strip()


def _took(item: Mapping[str, Any], now: datetime, *, begun: str) -> str:
    try:
        start = datetime.fromisoformat(str(item[begun]))
        end = datetime.fromisoformat(str(item["finished_at"])) if item.get("finished_at") else now
        seconds = (end - start).total_seconds()
    except (KeyError, ValueError, TypeError):
        return ""
    return f"  {duration_text(round(seconds, 1) if seconds < 1 else seconds)}" if seconds >= 0 else ""
