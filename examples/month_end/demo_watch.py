"""Shows a run while it goes: its tasks as a tree with counts, its figures, its last acts; a plain line now and then where
there is no terminal.

It reads and never writes; what it shows is what REST answers.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from examples.month_end.demo_aos import Aos
from examples.month_end.demo_lines import folded

ENDED = ("succeeded", "failed", "cancelled")
LAST_ACTS = 5
PLAIN_EVERY_SECONDS = 4.0
FOLDED_FROM = 6
"""Tasks of one agent below one task from which they are drawn as one line."""
_MARKS = {
    "blocked": ("·", "dim"),
    "ready": ("○", "dim"),
    "running": ("▶", "cyan"),
    "waiting": ("◔", "yellow"),
    "succeeded": ("✓", "green"),
    "failed": ("✗", "bold red"),
    "skipped": ("–", "dim"),
    "cancelled": ("✗", "red"),
}
_OUTCOMES = {"allow": "green", "deny": "red", "escalate": "yellow"}
_DONE = {"allow": "allowed", "deny": "refused", "escalate": "asks a person"}
_BAR_CELLS = 16


@dataclass(slots=True)
class View:
    """One run as last read."""

    run: dict[str, Any] = field(default_factory=dict)
    acts: list[dict[str, Any]] = field(default_factory=list)
    note: str = ""
    seconds: float = 0.0

    @property
    def ended(self) -> bool:
        """Say whether the run came to its end."""
        return self.run.get("state") in ENDED

    @property
    def tasks(self) -> list[dict[str, Any]]:
        """The run's tasks in their order."""
        found: list[dict[str, Any]] = self.run.get("tasks", [])
        return found

    def count(self, agent: str) -> Counter[str]:
        """Count an agent's tasks by state."""
        return Counter(task["state"] for task in self.tasks if task["agent"] == agent)


def read_view(aos: Aos, run_id: str, view: View, *, seconds: float) -> None:
    """Read the run and its last acts into the view."""
    view.run = aos.get(f"/runs/{run_id}")
    view.acts = aos.get("/actions", run=run_id, order="-created", limit=LAST_ACTS)["items"]
    view.seconds = seconds


class Screen:
    """The live picture at a terminal; elsewhere a line for what is new."""

    def __init__(self, console: Console) -> None:
        """Prepare; nothing is drawn before `show`."""
        self._console = console
        self._live = Live(console=console, refresh_per_second=4, transient=True) if console.is_terminal else None
        self._told_seconds = -PLAIN_EVERY_SECONDS
        self._told = ""

    def start(self) -> None:
        """Begin to draw."""
        if self._live:
            self._live.start()

    def stop(self) -> None:
        """Take the picture off the screen, so that something else may be written."""
        if self._live:
            self._live.stop()
            # One that is started again would erase what was written in between.
            self._live = Live(console=self._console, refresh_per_second=4, transient=True)

    def show(self, view: View) -> None:
        """Draw the view."""
        if self._live:
            self._live.update(draw(view))
            return
        line = plain_line(view)
        if line != self._told and (view.ended or view.seconds - self._told_seconds >= PLAIN_EVERY_SECONDS):
            self._told, self._told_seconds = line, view.seconds
            self._console.print(Text(f"  {view.seconds:3.0f} s  {line}"))

    def say(self, text: Text, *, mark: str, style: str) -> None:
        """Write a line that stays, above the picture."""
        console = self._live.console if self._live else self._console
        console.print(folded(console, text, mark=mark, style=style), soft_wrap=True)


def draw(view: View) -> RenderableType:
    """Draw tasks, figures and last acts."""
    tasks = Table.grid(padding=(0, 2))
    for _ in range(2):
        tasks.add_column(no_wrap=True)
    tasks.add_column(no_wrap=True, overflow="ellipsis")
    for row in _task_rows(view.tasks, None, depth=1):
        tasks.add_row(*row)
    return Group(tasks, Text(), figures(view), Text(), _last_acts(view.acts), Text(view.note, style="magenta"))


def figures(view: View) -> Text:
    """Say how far the run is in one line."""
    run = view.run
    cost = run.get("cost") or {}
    waits = sum(1 for each in run.get("approvals", ()) if each["status"] == "pending")
    asks = f" · {waits} wait for a person" if waits else ""
    return Text(
        f"  {view.seconds:.0f} s · {run.get('actions', 0):,} acts · {run.get('refused', 0)} refused{asks}"
        f" · {cost.get('amount', '0')} {cost.get('currency', 'EUR')}",
        style="bold",
    )


def plain_line(view: View) -> str:
    """Say the same without colours, with the desks."""
    desks = view.count("vendor-desk")
    done = f"{desks['succeeded']} of {sum(desks.values())} vendor desks done" if desks else "no vendor desk yet"
    return f"{done} · {figures(view).plain.partition(' · ')[2]}"


def _task_rows(tasks: list[dict[str, Any]], parent: str | None, *, depth: int) -> Iterable[tuple[RenderableType, ...]]:
    below = [task for task in tasks if task["parent_id"] == parent]
    agents = Counter(task["agent"] for task in below)
    folded: set[str] = set()
    for task in below:
        if agents[task["agent"]] < FOLDED_FROM:
            yield _task_row(task, depth)
            yield from _task_rows(tasks, task["id"], depth=depth + 1)
        elif task["agent"] not in folded:
            folded.add(task["agent"])
            yield _folded_row([each for each in below if each["agent"] == task["agent"]], depth)


def _task_row(task: dict[str, Any], depth: int) -> tuple[RenderableType, ...]:
    mark, style = _MARKS.get(task["state"], ("?", ""))
    named = Text("  " * depth) + Text(mark, style=style) + Text(f" {task['agent'] or task['label']}", style="bold")
    told = [f"for {task['waits_for']}"] if task["waits_for"] and task["state"] == "waiting" else []
    told += [f"attempt {task['attempt']}"] if task["attempt"] > 1 else []
    told += [task["error"]] if task["error"] else []
    return named, Text(task["state"], style=style), Text(" · ".join(told), style="dim")


def _folded_row(tasks: list[dict[str, Any]], depth: int) -> tuple[RenderableType, ...]:
    states = Counter(task["state"] for task in tasks)
    done = states["succeeded"] * _BAR_CELLS // len(tasks)
    bar = Text("█" * done, style="green") + Text("░" * (_BAR_CELLS - done), style="dim")
    told = [f"{states['succeeded']} done"]
    told += [f"{states['running']} at work"] if states["running"] else []
    told += [f"{states['waiting']} wait"] if states["waiting"] else []
    told += [f"{states['failed']} failed"] if states["failed"] else []
    mark, style = _MARKS["succeeded" if states["succeeded"] == len(tasks) else "running"]
    named = Text("  " * depth) + Text(mark, style=style) + Text(f" {tasks[0]['agent']}", style="bold")
    return named + Text(f" × {len(tasks)}"), bar, Text(" · ".join(told))


def _last_acts(acts: list[dict[str, Any]]) -> RenderableType:
    drawn = Table.grid(padding=(0, 2))
    for _ in range(3):
        drawn.add_column(no_wrap=True)
    drawn.add_column(no_wrap=True, overflow="ellipsis")
    for act in reversed(acts):
        outcome = act["decision"]["outcome"]
        drawn.add_row(
            Text(f"    {act['agent'] or ''}", style="dim"),
            Text(act["name"]),
            Text(_DONE.get(outcome, outcome), style=_OUTCOMES.get(outcome, "")),
            Text(subject_of(act), style="dim"),
        )
    return drawn


def subject_of(act: dict[str, Any]) -> str:
    """Say in a few words what an act was about: its invoice or vendor, and the money that it moves."""
    given = act.get("arguments")
    if not isinstance(given, dict):
        return ""
    names = ("invoice", "vendor", "order", "message", "to", "month")
    named = next((str(given[name]) for name in names if given.get(name)), "")
    money = f" {given['amount']} {given['currency']}" if given.get("amount") and given.get("currency") else ""
    return f"{named}{money}"
