"""/runs: how runs stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from django.http import HttpResponse
from django.urls import path
from rest_framework.request import Request

from aos.control_plane import runs_wire
from aos.control_plane.binding import services
from aos.control_plane.bodies import Reader, one_of, page_query, read_query, read_text, read_uuid
from aos.control_plane.endpoint import Endpoint, json_response, page_response
from aos.control_plane.openapi import operation
from aos.control_plane.runs_shapes import RUN_STATES
from aos.operations.pages import PageQuery
from aos.operations.run_views import list_run_tasks, list_runs, show_run, show_run_task

RUN_FILTERS: Final[dict[str, Reader]] = {
    "state": one_of(*RUN_STATES),
    "workflow": read_text,
    "agent": read_text,
    "label": read_text,
    "thread": read_text,
    "name": read_text,
}


class Runs(Endpoint):
    """The organization's runs."""

    @operation("list_runs", "List runs", answer="Run", page=True, filters=tuple(RUN_FILTERS))
    def get(self, request: Request) -> HttpResponse:
        query = page_query(request._request, RUN_FILTERS)
        return page_response(list_runs(services().drivers, self.actor(request), query), runs_wire.run)


class Run(Endpoint):
    """One run."""

    @operation("show_run", "Show a run with its first tasks, its cost and what it waits for", answer="RunDetail")
    def get(self, request: Request, id: str) -> HttpResponse:
        read_query(request._request, {})
        detail = show_run(services().drivers, self.actor(request), read_uuid("id", id))
        return json_response(runs_wire.run_detail(detail))


class Tasks(Endpoint):
    """A run's tasks."""

    @operation("list_run_tasks", "List a run's tasks in their order (`order=created`)", answer="Task", page=True)
    def get(self, request: Request, id: str) -> HttpResponse:
        query = first_to_last(request, {})
        page = list_run_tasks(services().drivers, self.actor(request), read_uuid("id", id), query=query)
        return page_response(page, runs_wire.task)


class Task(Endpoint):
    """One task of a run."""

    @operation("show_run_task", "Show a task with its input and output", answer="TaskDetail")
    def get(self, request: Request, id: str, task: str) -> HttpResponse:
        read_query(request._request, {})
        run_id, task_id = read_uuid("id", id), read_uuid("task", task)
        return json_response(
            runs_wire.task_detail(show_run_task(services().drivers, self.actor(request), run_id, task_id=task_id))
        )


def first_to_last(request: Request, filters: Mapping[str, Reader]) -> PageQuery:
    """Return what is asked of a list that is read from its beginning on unless it says otherwise."""
    query = page_query(request._request, filters)
    return query if "order" in request._request.GET else replace(query, order="created")


urlpatterns = [
    path("runs", Runs.as_view()),
    path("runs/<str:id>", Run.as_view()),
    path("runs/<str:id>/tasks", Tasks.as_view()),
    path("runs/<str:id>/tasks/<str:task>", Task.as_view()),
]
