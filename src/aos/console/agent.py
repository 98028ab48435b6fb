"""One agent: what it is for, whether it is there, what of it passes the gate, what it may use, what it did last."""

from __future__ import annotations

from typing import Final

from django.http import HttpResponse
from django.urls import path

from aos.console.amounts import ago_text
from aos.console.binding import services
from aos.console.doors import Visit, page
from aos.kernel.people import Permission
from aos.operations.actions import ActionView, list_actions
from aos.operations.agents import AgentDetail, show_agent
from aos.operations.coverage import Coverage, show_coverage
from aos.operations.held_tool_views import list_held
from aos.operations.pages import PageQuery
from aos.operations.presence import Presence, Seen

ACTS_SHOWN: Final = 12


def show_one_agent(visit: Visit, name: str) -> HttpResponse:
    """Show an agent at the version in force."""
    agent = show_agent(visit.actor, name)
    coverage = show_coverage(visit.actor, agent.id)
    acts: tuple[ActionView, ...] = ()
    if visit.may(Permission.TRACE_READ):
        query = PageQuery(limit=ACTS_SHOWN, filters={"agent": agent.spec.name})
        acts = list_actions(services().drivers, visit.actor, query).items
    may_read = visit.may(Permission.REGISTRY_READ)
    return visit.show(
        "agent.html",
        "fleet",
        agent=agent,
        runtime=agent.spec.runtime.kind if agent.spec.runtime is not None else "",
        answer=_answer(visit, agent, coverage),
        coverage=coverage,
        held={each.tool: each for each in list_held(visit.actor)} if may_read else {},
        acts=acts,
    )


def _answer(visit: Visit, agent: AgentDetail, coverage: Coverage | None) -> str:
    said = [f"{agent.spec.goal or 'It has no goal written down'}."]
    if agent.seen is not None:
        said.append(presence_text(agent.seen, visit))
    if coverage is not None:
        said.append(f"Of what it did last: {coverage.told}.")
    return " ".join(said)


def presence_text(seen: Seen, visit: Visit) -> str:
    """Say whether an agent outside is there, and when it was last."""
    if seen.last_at is None:
        return "It never connected: its tasks wait until it does."
    last = ago_text(seen.last_at, visit.standing.now)
    here = seen.presence is Presence.HERE
    return f"It is connected, last heard of {last}." if here else f"It is not connected: it was last here {last}."


urlpatterns = [path("console/agents/<str:name>", page(show_one_agent))]
