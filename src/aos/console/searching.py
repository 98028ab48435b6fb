"""The search of the head: an id goes straight to what it names, a word to what is called so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

from django.http import HttpResponse, HttpResponseRedirect
from django.urls import path

from aos.console.binding import services
from aos.console.doors import Visit, page
from aos.console.run_drawings import leaf_of
from aos.console.run_words import act_text, goal_text
from aos.kernel.errors import AosError
from aos.kernel.people import Permission
from aos.operations.actions import ACTIONS_SEARCHED, SEARCHED_CHARACTERS_MIN, search_actions, show_action
from aos.operations.agents import list_agents
from aos.operations.approval_views import show_approval
from aos.operations.pages import PageQuery, parse_uuid
from aos.operations.policies import list_policies
from aos.operations.run_views import RunView, list_runs, show_run

RUNS_SEARCHED: Final = 100
ACTS_SHOWN: Final = 20


def search(visit: Visit) -> HttpResponse:
    """Go to what an id names, or list what is called so and the acts with an argument that holds the word."""
    wanted = visit.query("q").strip()
    id = parse_uuid(wanted)
    if id is not None:
        address = _address_of(visit, id)
        if address:
            return HttpResponseRedirect(address)
    word = wanted.lower()
    hundred = PageQuery(limit=200, order="name")
    agents = [each for each in list_agents(visit.actor, hundred).items if word in each.spec.name.lower()]
    policies = [each for each in list_policies(visit.actor, hundred).items if word in each.rule.id.lower()]
    drivers = services().drivers
    recent = list_runs(drivers, visit.actor, PageQuery(limit=RUNS_SEARCHED)).items
    runs = [each for each in recent if any(word in text.lower() for text in _texts(each))]
    found: dict[str, Any] = {"agents": agents, "policies": policies, "runs": runs} if word else {}
    if word and visit.may(Permission.TRACE_READ):
        acts = search_actions(drivers, visit.actor, wanted, limit=ACTS_SHOWN)
        found["acts"] = [(leaf_of(each), act_text(each)) for each in acts]
    searched = {
        "runs_searched": RUNS_SEARCHED,
        "acts_searched": ACTIONS_SEARCHED,
        "characters_min": SEARCHED_CHARACTERS_MIN,
        "may_read": visit.may(Permission.CONTENT_READ) and visit.may(Permission.TRACE_READ),
    }
    return visit.show("search.html", "", wanted=wanted, any=any(found.values()), **found, **searched)


def _texts(run: RunView) -> tuple[str, ...]:
    labels = (f"{name}={value}" for name, value in run.labels.items())
    return run.name, str(run.id), goal_text(run), run.thread or "", *labels


def _address_of(visit: Visit, id: UUID) -> str:
    drivers = services().drivers

    def action() -> str:
        return f"/console/acts/{show_action(drivers, visit.actor, id).id}"

    tries: tuple[Callable[[], str], ...] = (
        lambda: f"/console/runs/{show_run(drivers, visit.actor, id).run.id}",
        lambda: f"/console/approvals/{show_approval(drivers, visit.actor, id).id}",
        action,
    )
    for attempt in tries:
        try:
            return attempt()
        except AosError:
            continue
    return ""


urlpatterns = [path("console/search", page(search))]
