"""The fleet: is anything wrong with an agent, what does each do, what does each cost."""

from __future__ import annotations

from typing import Final

from django.http import HttpResponse
from django.urls import path

from aos.console.amounts import count_text
from aos.console.doors import Visit, page, page_cursor
from aos.kernel.people import Permission
from aos.operations.activity import list_agent_activity
from aos.operations.agents import AgentDetail, list_agents
from aos.operations.held_tool_views import list_held
from aos.operations.limits import list_limits
from aos.operations.pages import PageQuery
from aos.operations.queues import list_queues
from aos.operations.usage import UsageBy, UsageQuery, report_usage

AGENTS_SHOWN: Final = 100
TYPES: Final = ("executive", "functional", "sub-agent", "observer")


def show_fleet(visit: Visit) -> HttpResponse:
    """Show the agents with what they did last and what they cost."""
    kind = visit.query("type") if visit.query("type") in TYPES else ""
    query = PageQuery(limit=AGENTS_SHOWN, order="name", cursor=page_cursor(visit), filters={"type": kind or None})
    agents = list_agents(visit.actor, query)
    activity = list_agent_activity(visit.actor)
    usage = {group.key: group for group in report_usage(visit.actor, UsageQuery(by=UsageBy.AGENT, limit=1_000)).groups}
    limits = list_limits(visit.actor)
    queues = list_queues(visit.actor, PageQuery(limit=AGENTS_SHOWN, order="name")).items
    calls = [(of, name, limit) for (of, name), limit in limits.items() if of in ("tool", "model")]
    rows = []
    for agent in agents.items:
        used = usage.get(str(agent.id))
        limit = limits.get(("agent", agent.spec.name))
        rows.append((agent, activity.get(agent.id), used.sum if used else None, limit))
    return visit.show(
        "fleet.html",
        "fleet",
        rows=rows,
        next=agents.next,
        types=TYPES,
        kind=kind,
        answer=_answer(agents.items),
        queues=queues,
        held=list_held(visit.actor) if visit.may(Permission.REGISTRY_READ) else (),
        calls=calls,
    )


def _answer(agents: tuple[AgentDetail, ...]) -> str:
    if not agents:
        return "No agent is registered yet."
    wrong = [agent.spec.name for agent in agents if agent.status in ("errored", "quarantined")]
    paused = sum(agent.status == "paused" for agent in agents)
    if wrong:
        return f"{', '.join(wrong[:3])} {'needs' if len(wrong) == 1 else 'need'} attention."
    said = f"Nothing is wrong: {count_text(len(agents), 'agent')}"
    return f"{said}, {paused} of them paused." if paused else f"{said}, none of them errored or quarantined."


urlpatterns = [path("console/fleet", page(show_fleet))]
