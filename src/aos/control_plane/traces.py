"""/traces: what happened under one run or in one act, in order and as a tree. /actions: single acts."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from django.http import HttpResponse
from django.urls import path
from rest_framework.request import Request

from aos.control_plane import runs_wire
from aos.control_plane.binding import services
from aos.control_plane.bodies import Reader, one_of, page_query, read_id, read_query, read_text, read_uuid
from aos.control_plane.endpoint import Endpoint, json_response, page_response
from aos.control_plane.openapi import operation
from aos.control_plane.runs import RUN_FILTERS, first_to_last
from aos.kernel.acts import ActionState, ActKind
from aos.kernel.policy.values import Outcome
from aos.operations.actions import list_actions, show_action
from aos.operations.model_choices import show_choice
from aos.operations.traces import TRACE_ACTIONS_DEFAULT, TRACE_ACTIONS_MAX, list_traces, show_trace, show_tree

TRACE_FILTERS: Final[dict[str, Reader]] = {
    "agent": read_text,
    "name": read_text,
    "kind": one_of(*(each.value for each in ActKind)),
    "state": one_of(*(each.value for each in ActionState)),
    "outcome": one_of(*(each.value for each in Outcome)),
}
ACTION_FILTERS: Final[dict[str, Reader]] = {**TRACE_FILTERS, "run": read_text, "task": read_uuid}


class Traces(Endpoint):
    """The organization's traces."""

    @operation(
        "list_traces",
        "List traces: one for each run; an act outside of runs is among `/actions?run=none`",
        answer="Run",
        page=True,
        filters=tuple(RUN_FILTERS),
    )
    def get(self, request: Request) -> HttpResponse:
        query = page_query(request._request, RUN_FILTERS)
        return page_response(list_traces(services().drivers, self.actor(request), query), runs_wire.run)


class Trace(Endpoint):
    """One trace, by the id of a run or of an action."""

    @operation(
        "show_trace",
        f"Show what happened, in order; `limit` is {TRACE_ACTIONS_DEFAULT}, at most {TRACE_ACTIONS_MAX}",
        answer="Trace",
        filters=(*TRACE_FILTERS, "limit", "cursor"),
    )
    def get(self, request: Request, id: str) -> HttpResponse:
        query = first_to_last(request, TRACE_FILTERS)
        if "limit" not in request._request.GET:
            query = replace(query, limit=TRACE_ACTIONS_DEFAULT)
        found = show_trace(services().drivers, self.actor(request), read_id("trace", id), query=query)
        return json_response(runs_wire.trace(found))


class Tree(Endpoint):
    """One trace as a tree."""

    @operation("show_trace_tree", "Show the decision tree: run, tasks, actions, decisions, rules", answer="Tree")
    def get(self, request: Request, id: str) -> HttpResponse:
        read_query(request._request, {})
        return json_response(runs_wire.tree(show_tree(services().drivers, self.actor(request), read_id("trace", id))))


class Actions(Endpoint):
    """The organization's actions."""

    @operation("list_actions", "List actions", answer="Action", page=True, filters=tuple(ACTION_FILTERS))
    def get(self, request: Request) -> HttpResponse:
        query = page_query(request._request, ACTION_FILTERS)
        return page_response(list_actions(services().drivers, self.actor(request), query), runs_wire.action)


class Action(Endpoint):
    """One action."""

    @operation("show_action", "Show an action with its whole outcome", answer="ActionDetail")
    def get(self, request: Request, id: str) -> HttpResponse:
        read_query(request._request, {})
        found = show_action(services().drivers, self.actor(request), read_id("action", id))
        return json_response(runs_wire.action_detail(found))


class Route(Endpoint):
    """The choice of a model in one action."""

    @operation(
        "show_action_route",
        "Show why a model was asked: the recorded choice, made again from what it was made of",
        answer="ModelChoice",
    )
    def get(self, request: Request, id: str) -> HttpResponse:
        read_query(request._request, {})
        found = show_choice(services().drivers, self.actor(request), read_id("action", id))
        return json_response(runs_wire.model_choice(found))


urlpatterns = [
    path("traces", Traces.as_view()),
    path("traces/<str:id>", Trace.as_view()),
    path("traces/<str:id>/tree", Tree.as_view()),
    path("actions", Actions.as_view()),
    path("actions/<str:id>", Action.as_view()),
    path("actions/<str:id>/route", Route.as_view()),
]
