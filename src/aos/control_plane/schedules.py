"""/schedules: what runs at which times."""

from __future__ import annotations

from typing import Final

from django.http import HttpResponse
from django.urls import path
from rest_framework.request import Request

from aos.control_plane import runs_wire
from aos.control_plane.binding import services
from aos.control_plane.bodies import page_query, read_fields, read_flag, read_key, read_number, read_query, read_text
from aos.control_plane.endpoint import Endpoint, json_response, page_response, reply_response
from aos.control_plane.openapi import operation
from aos.control_plane.parts import new_part, patched_part, take_name
from aos.control_plane.wire import Shown, instant
from aos.kernel.acts import Pending
from aos.operations.documents import schedule_document
from aos.operations.idempotency import Reply
from aos.operations.pages import refuse
from aos.operations.registry_records import Edit
from aos.operations.run_orders import order_schedule
from aos.operations.run_views import show_run
from aos.operations.schedules import (
    TIMES_MAX,
    ScheduleDetail,
    change_schedule,
    create_schedule,
    list_schedules,
    retire_schedule,
    show_schedule,
    show_times,
    show_written,
)

FILTERS: Final = {"name": read_text, "enabled": read_flag, "retired": read_flag}
TIMES_SHOWN: Final = 10


def shown(detail: ScheduleDetail) -> Shown:
    """Show a schedule."""
    return {
        "id": detail.id,
        "name": detail.spec.name,
        "workflow": None,
        "agent": None,
        "input": None,
        **schedule_document(detail.spec),
        "next_at": instant(detail.next_at),
        "last_at": instant(detail.last_at),
        "last_run_id": detail.last_run_id,
        "last_run_state": detail.last_run_state,
        "last_error": detail.last_error,
        "created_at": instant(detail.created_at),
        "updated_at": instant(detail.updated_at),
        "retired_at": instant(detail.retired_at),
    }


class Schedules(Endpoint):
    """The schedules of the organization."""

    @operation("list_schedules", "List schedules", answer="Schedule", page=True, filters=tuple(FILTERS))
    def get(self, request: Request) -> HttpResponse:
        query = page_query(request._request, FILTERS)
        return page_response(list_schedules(services().drivers, self.actor(request), query), shown)

    @operation(
        "create_schedule", "Start runs at these times from now on", answer="Schedule", status=201, body="ScheduleNew"
    )
    def post(self, request: Request) -> HttpResponse:
        body = read_fields(request._request)
        name, fields = take_name(body)

        def do(edit: Edit) -> Reply:
            create_schedule(edit, new_part(edit, "schedules", name, fields=fields).schedules[0])
            return Reply(201, shown(show_written(edit, name)), f"/schedules/{name}")

        return self.write(request, do, body=body)


class Schedule(Endpoint):
    """One schedule, by name or id."""

    @operation("show_schedule", "Show a schedule", answer="Schedule")
    def get(self, request: Request, key: str) -> HttpResponse:
        return json_response(shown(show_schedule(services().drivers, self.actor(request), key)))

    @operation(
        "change_schedule", "Change a schedule, pause it or let it go on", answer="Schedule", body="SchedulePatch"
    )
    def patch(self, request: Request, key: str) -> HttpResponse:
        body = read_fields(request._request)

        def do(edit: Edit) -> Reply:
            name, _ = edit.registry.get("schedule", key)
            spec = next(each for each in edit.registry.manifest.schedules if each.name == name)
            part = patched_part(edit, "schedules", name, document=schedule_document(spec), patch=body)
            change_schedule(edit, part.schedules[0])
            return Reply(200, shown(show_written(edit, name)))

        return self.write(request, do, body=body)

    @operation("retire_schedule", "End a schedule: it starts nothing any more", answer="Schedule")
    def delete(self, request: Request, key: str) -> HttpResponse:
        def do(edit: Edit) -> Reply:
            id = show_written(edit, key).id
            retire_schedule(edit, key)
            return Reply(200, shown(show_written(edit, str(id))))

        return self.write(request, do)


class Times(Endpoint):
    """A schedule's next times."""

    @operation("show_schedule_times", "Tell a schedule's next times", answer="ScheduleTimes", filters=("count",))
    def get(self, request: Request, key: str) -> HttpResponse:
        count = read_query(request._request, {"count": read_number}).get("count", TIMES_SHOWN)
        if not 1 <= count <= TIMES_MAX:
            raise refuse("count", f"must lie between 1 and {TIMES_MAX}")
        detail, times = show_times(self.actor(request), key, at_most=count)
        return json_response({"timezone": detail.spec.timezone, "items": [instant(each) for each in times]})


class RunNow(Endpoint):
    """A run of a schedule for this moment."""

    @operation(
        "run_schedule",
        "Start a schedule's run now, as the one who asks; 202 where a person must agree first",
        answer="RunDetail",
        status=201,
        takes=("Idempotency-Key",),
    )
    def post(self, request: Request, key: str) -> HttpResponse:
        read_query(request._request, {})
        actor = self.actor(request)
        started = services().call(order_schedule, actor, key, idempotency_key=read_key(request._request))
        if isinstance(started, Pending):
            response = json_response(runs_wire.pending(started), status=202)
            response["Location"] = f"/approvals/{started.approval_id}"
            return response
        detail = runs_wire.run_detail(show_run(services().drivers, actor, started.run_id))
        return reply_response(Reply(201, detail, f"/runs/{started.run_id}", replayed=started.replayed))


urlpatterns = [
    path("schedules", Schedules.as_view()),
    path("schedules/<str:key>", Schedule.as_view()),
    path("schedules/<str:key>/times", Times.as_view()),
    path("schedules/<str:key>/run", RunNow.as_view()),
]
