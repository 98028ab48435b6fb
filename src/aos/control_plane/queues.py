"""/queues: what tasks share, and how many of them may be under way at once."""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpResponse
from django.urls import path
from rest_framework.request import Request

from aos.control_plane import wire
from aos.control_plane.bodies import page_query, read_fields, read_text
from aos.control_plane.endpoint import Endpoint, json_response, page_response
from aos.control_plane.openapi import operation
from aos.control_plane.parts import new_part, patched_part, take_name
from aos.operations.idempotency import Reply
from aos.operations.queues import change_queue, create_queue, delete_queue, find_queue, list_queues, show_queue
from aos.operations.registry_records import Edit

FILTERS: Final = {"name": read_text}


class Queues(Endpoint):
    """The queues of the organization."""

    @operation("list_queues", "List queues", answer="Queue", page=True, filters=tuple(FILTERS))
    def get(self, request: Request) -> HttpResponse:
        return page_response(list_queues(self.actor(request), page_query(request._request, FILTERS)), wire.queue)

    @operation("create_queue", "Make a queue", answer="Queue", status=201, body="QueueNew")
    def post(self, request: Request) -> HttpResponse:
        body = read_fields(request._request)
        name, fields = take_name(body)

        def do(edit: Edit) -> Reply:
            create_queue(edit, new_part(edit, "queues", name, fields=fields).queues[0])
            return Reply(201, wire.queue(find_queue(edit.organization_id, name)), f"/queues/{name}")

        return self.write(request, do, body=body)


class Queue(Endpoint):
    """One queue, by name or id."""

    @operation("show_queue", "Show a queue with how many of its tasks are under way", answer="Queue")
    def get(self, request: Request, key: str) -> HttpResponse:
        return json_response(wire.queue(show_queue(self.actor(request), key)))

    @operation(
        "change_queue", "Set how many tasks of a queue may be under way at once", answer="Queue", body="QueuePatch"
    )
    def patch(self, request: Request, key: str) -> HttpResponse:
        body = read_fields(request._request)

        def do(edit: Edit) -> Reply:
            found = find_queue(edit.organization_id, key)
            document: dict[str, Any] = {"concurrency": found.concurrency}
            change_queue(edit, patched_part(edit, "queues", found.name, document=document, patch=body).queues[0])
            return Reply(200, wire.queue(find_queue(edit.organization_id, found.name)))

        return self.write(request, do, body=body)

    @operation("delete_queue", "Delete a queue that no agent names; answers what it was", answer="Queue")
    def delete(self, request: Request, key: str) -> HttpResponse:
        def do(edit: Edit) -> Reply:
            shown = wire.queue(find_queue(edit.organization_id, key))
            delete_queue(edit, key)
            return Reply(200, shown)

        return self.write(request, do)


urlpatterns = [
    path("queues", Queues.as_view()),
    path("queues/<str:key>", Queue.as_view()),
]
