"""/runs: starts runs, steers them, and shows how they stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from django.http import HttpResponse
from django.urls import path
from rest_framework.request import Request

from aos.control_plane import runs_wire
from aos.control_plane.binding import services
from aos.control_plane.bodies import (
    Fields,
    Reader,
    one_of,
    page_query,
    read_fields,
    read_flag,
    read_id,
    read_instant,
    read_key,
    read_query,
    read_text,
    read_uuid,
)
from aos.control_plane.endpoint import Endpoint, json_response, page_response, reply_response
from aos.control_plane.openapi import operation
from aos.control_plane.runs_shapes import REPORT_KINDS, RUN_NEW, RUN_PATCH, RUN_STATES
from aos.control_plane.runs_steering import steered_response
from aos.kernel.acts import Pending
from aos.kernel.money import parse_money
from aos.operations.idempotency import Reply
from aos.operations.pages import PageQuery
from aos.operations.report_views import list_run_reports
from aos.operations.run_orders import order_run, prioritize_run
from aos.operations.run_rows import RunRequest
from aos.operations.run_views import list_run_tasks, list_runs, show_run, show_run_task

RUN_FILTERS: Final[dict[str, Reader]] = {
    "state": one_of(*RUN_STATES),
    "workflow": read_text,
    "agent": read_text,
    "label": read_text,
    "thread": read_text,
    "name": read_text,
    "parent": read_uuid,
    "top": read_flag,
}


class Runs(Endpoint):
    """The organization's runs."""

    @operation("list_runs", "List runs", answer="Run", page=True, filters=tuple(RUN_FILTERS))
    def get(self, request: Request) -> HttpResponse:
        query = page_query(request._request, RUN_FILTERS)
        return page_response(list_runs(services().drivers, self.actor(request), query), runs_wire.run)

    @operation(
        "start_run",
        "Start a run of a workflow or an agent; 202 where a person must agree first",
        answer="RunDetail",
        status=201,
        body="RunNew",
        takes=("Idempotency-Key",),
    )
    def post(self, request: Request) -> HttpResponse:
        body = read_fields(request._request, RUN_NEW)
        given = read_query(request._request, {"approval_id": read_uuid})
        key = read_key(request._request)
        actor = self.actor(request)
        asked = run_request(body, idempotency_key=key, approval_id=given.get("approval_id"))
        started = services().call(order_run, actor, asked)
        if isinstance(started, Pending):
            response = json_response(runs_wire.pending(started), status=202)
            response["Location"] = f"/approvals/{started.approval_id}"
            return response
        shown = runs_wire.run_detail(show_run(services().drivers, actor, started.run_id))
        location = f"/runs/{started.run_id}"
        return reply_response(Reply(201, shown, location, replayed=started.replayed))


class Run(Endpoint):
    """One run."""

    @operation("show_run", "Show a run with its first tasks, its cost and what it waits for", answer="RunDetail")
    def get(self, request: Request, id: str) -> HttpResponse:
        read_query(request._request, {})
        detail = show_run(services().drivers, self.actor(request), read_id("run", id))
        return json_response(runs_wire.run_detail(detail))

    @operation(
        "change_run", "Give a run and its open tasks another priority", answer="RunSteered", body="RunPatch", takes=()
    )
    def patch(self, request: Request, id: str) -> HttpResponse:
        read_query(request._request, {})
        body: Any = read_fields(request._request, RUN_PATCH)
        actor, run_id = self.actor(request), read_id("run", id)
        reached = services().call(prioritize_run, actor, run_id, priority=body["priority"])
        return steered_response(actor, run_id, reached)


class Tasks(Endpoint):
    """A run's tasks."""

    @operation("list_run_tasks", "List a run's tasks in their order (`order=created`)", answer="Task", page=True)
    def get(self, request: Request, id: str) -> HttpResponse:
        query = first_to_last(request, {})
        page = list_run_tasks(services().drivers, self.actor(request), read_id("run", id), query=query)
        return page_response(page, runs_wire.task)


class Task(Endpoint):
    """One task of a run."""

    @operation("show_run_task", "Show a task with its input and output", answer="TaskDetail")
    def get(self, request: Request, id: str, task: str) -> HttpResponse:
        read_query(request._request, {})
        run_id, task_id = read_id("run", id), read_id("task", task)
        return json_response(
            runs_wire.task_detail(show_run_task(services().drivers, self.actor(request), run_id, task_id=task_id))
        )


class Reports(Endpoint):
    """What a run's agents told of their work."""

    @operation(
        "list_run_reports",
        "List what a run's agents told, in its order (`order=created`): progress, KPIs, findings",
        answer="Report",
        page=True,
        filters=("kind",),
    )
    def get(self, request: Request, id: str) -> HttpResponse:
        query = first_to_last(request, {"kind": one_of(*REPORT_KINDS)})
        page = list_run_reports(services().drivers, self.actor(request), read_id("run", id), query=query)
        return page_response(page, runs_wire.report)


def first_to_last(request: Request, filters: Mapping[str, Reader]) -> PageQuery:
    """Return what is asked of a list that is read from its beginning on unless it says otherwise."""
    query = page_query(request._request, filters)
    return query if "order" in request._request.GET else replace(query, order="created")


def run_request(body: Fields, *, idempotency_key: str | None, approval_id: UUID | None) -> RunRequest:
    """Return what a body asks for; its shape was checked. Raises InvalidRequest for a time or an amount that is none."""
    given: Any = body
    clock = given.get("clock")
    budget = given.get("budget")
    return RunRequest(
        workflow=given.get("workflow"),
        agent=given.get("agent"),
        input=given.get("input"),
        goal=given.get("goal", ""),
        labels=given.get("labels", {}),
        thread=given.get("thread"),
        clock=None if clock is None else read_instant("clock", clock),
        budget=None if budget is None else parse_money(f"{budget['amount']} {budget['currency']}"),
        idempotency_key=idempotency_key,
        approval_id=approval_id,
        priority=given.get("priority", 0),
    )


urlpatterns = [
    path("runs", Runs.as_view()),
    path("runs/<str:id>", Run.as_view()),
    path("runs/<str:id>/tasks", Tasks.as_view()),
    path("runs/<str:id>/reports", Reports.as_view()),
    path("runs/<str:id>/tasks/<str:task>", Task.as_view()),
]
