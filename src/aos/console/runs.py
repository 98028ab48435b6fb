"""The list of runs: what is happening, what failed, what waits."""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpResponse
from django.urls import path

from aos.console.amounts import count_text
from aos.console.binding import services
from aos.console.doors import Visit, page, page_cursor
from aos.console.states import Meaning, State, state_of
from aos.operations.pages import PageQuery, parse_uuid
from aos.operations.run_views import RunView, list_runs

RUNS_SHOWN: Final = 40
STATES: Final = ("running", "paused", "succeeded", "failed", "cancelled")


def show_runs(visit: Visit) -> HttpResponse:
    """Show a page of runs, newest first, by state and name where asked."""
    state, name = visit.query("state"), visit.query("name")
    filters: dict[str, Any] = {"state": state or None} | ({"name": name} if name else {})
    parent = parse_uuid(visit.query("parent"))
    filters |= {"parent": parent} if parent else {}
    query = PageQuery(limit=RUNS_SHOWN, cursor=page_cursor(visit), filters=filters)
    runs = list_runs(services().drivers, visit.actor, query)
    rows = [(run, run_state(run)) for run in runs.items]
    return visit.show("runs.html", "runs", rows=rows, next=runs.next, states=STATES, answer=_answer(runs.items))


def run_state(run: RunView) -> State:
    """Return how a run is shown: one that runs but waits for a person says so."""
    if run.state == "running" and run.waiting:
        return State(Meaning.WAITS, "waits for a person")
    return state_of("run", run.state)


def _answer(runs: tuple[RunView, ...]) -> str:
    if not runs:
        return "Nothing has run yet."
    going = sum(run.state == "running" for run in runs)
    failed = sum(run.state == "failed" for run in runs)
    waiting = sum(run.waiting for run in runs)
    said = [f"{count_text(going, 'run is', 'runs are')} under way" if going else "Nothing runs at the moment"]
    said.append(f"{failed} of those shown failed" if failed else "none of those shown failed")
    if waiting:
        said.append(f"{count_text(waiting, 'act waits', 'acts wait')} for a person")
    return ", ".join(said) + "."


urlpatterns = [
    path("console/runs", page(show_runs)),
    path("console/", page(show_runs)),
    path("console", page(show_runs)),
]
