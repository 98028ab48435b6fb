"""Acts that belong to no run: model and tool calls that came through the doors by themselves, with an inspector of one."""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpResponse
from django.urls import path

from aos.console.amounts import count_text
from aos.console.binding import services
from aos.console.doors import Visit, page, page_cursor, page_id
from aos.console.run import STATES, checkpoint_of, inspect_action
from aos.console.run_drawings import leaf_of
from aos.operations.actions import ActionView, list_actions, show_action
from aos.operations.pages import PageQuery

ACTS_SHOWN: Final = 50


def show_acts(visit: Visit) -> HttpResponse:
    """Show a page of the acts outside of runs, newest first, by state and agent where asked."""
    return _show(visit, None)


def show_act(visit: Visit, key: str) -> HttpResponse:
    """Show one act beside the list; one of a run is shown there."""
    action = show_action(services().drivers, visit.actor, page_id(key))
    if action.run_id is not None:
        address = f"/console/runs/{action.run_id}?view=acts&action={action.id}"
        return HttpResponse(status=302, headers={"Location": address})
    return _show(visit, action)


def _show(visit: Visit, action: ActionView | None) -> HttpResponse:
    only, agent = visit.query("only"), visit.query("agent")
    filters: dict[str, Any] = {"run": "none"}
    filters |= {"state": only} if only in STATES else {}
    filters |= {"agent": agent} if agent else {}
    query = PageQuery(limit=ACTS_SHOWN, cursor=page_cursor(visit), filters=filters)
    acts = list_actions(services().drivers, visit.actor, query)
    selected: dict[str, Any] = {}
    if action is not None:
        selected = {"inspected": inspect_action(visit, action), "head": checkpoint_of(visit), "selected": action.id}
    return visit.show(
        "acts.html",
        "runs",
        leaves=tuple(leaf_of(each) for each in acts.items),
        next=acts.next,
        only=only,
        agent=agent,
        states=STATES,
        answer=_answer(acts.items),
        **selected,
    )


def _answer(acts: tuple[ActionView, ...]) -> str:
    if not acts:
        return "No act was done outside of runs."
    refused = sum(act.state == "refused" for act in acts)
    failed = sum(act.state in ("failed", "unknown") for act in acts)
    said = [f"{count_text(refused, 'was', 'were')} refused" if refused else "none was refused"]
    said.append(f"{failed} failed" if failed else "none failed")
    return f"Of the {count_text(len(acts), 'act')} shown {', '.join(said)}."


urlpatterns = [
    path("console/acts", page(show_acts)),
    path("console/acts/<str:key>", page(show_act)),
]
