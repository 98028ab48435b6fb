"""The search of the head: an id goes straight to what it names, a word to what is called so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.http import HttpResponse, HttpResponseRedirect
from django.urls import path

from aos.console.binding import services
from aos.console.doors import Visit, page
from aos.kernel.errors import AosError
from aos.operations.actions import show_action
from aos.operations.agents import list_agents
from aos.operations.approval_views import show_approval
from aos.operations.pages import PageQuery, parse_uuid
from aos.operations.policies import list_policies
from aos.operations.run_views import list_runs, show_run


def search(visit: Visit) -> HttpResponse:
    """Go to what an id names, or list agents, policies and runs whose name holds the word."""
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
    recent = list_runs(services().drivers, visit.actor, PageQuery(limit=100)).items
    runs = [each for each in recent if word in each.name.lower() or word in str(each.id)]
    found: dict[str, Any] = {"agents": agents, "policies": policies, "runs": runs} if word else {}
    return visit.show("search.html", "", wanted=wanted, any=any(found.values()), **found)


def _address_of(visit: Visit, id: UUID) -> str:
    drivers = services().drivers

    def action() -> str:
        found = show_action(drivers, visit.actor, id)
        return f"/console/runs/{found.run_id}?view=acts&action={id}" if found.run_id else ""

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
