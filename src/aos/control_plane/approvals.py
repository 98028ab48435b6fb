"""/approvals: what waits for a person, and what people answered."""

from __future__ import annotations

from typing import Final

from django.http import HttpResponse
from django.urls import path
from rest_framework.request import Request

from aos.control_plane import runs_wire
from aos.control_plane.binding import services
from aos.control_plane.bodies import Reader, one_of, page_query, read_query, read_text, read_uuid
from aos.control_plane.endpoint import Endpoint, json_response, page_response
from aos.control_plane.openapi import operation
from aos.control_plane.runs_shapes import APPROVAL_STATES
from aos.operations.approval_views import list_approvals, show_approval

FILTERS: Final[dict[str, Reader]] = {"status": one_of(*APPROVAL_STATES), "run": read_uuid, "name": read_text}


class Approvals(Endpoint):
    """The organization's approvals."""

    @operation("list_approvals", "List approvals", answer="Approval", page=True, filters=tuple(FILTERS))
    def get(self, request: Request) -> HttpResponse:
        query = page_query(request._request, FILTERS)
        return page_response(list_approvals(services().drivers, self.actor(request), query), runs_wire.approval)


class Approval(Endpoint):
    """One approval."""

    @operation("show_approval", "Show an approval as its approver reads it", answer="Approval")
    def get(self, request: Request, id: str) -> HttpResponse:
        read_query(request._request, {})
        found = show_approval(services().drivers, self.actor(request), read_uuid("id", id))
        return json_response(runs_wire.approval(found))


urlpatterns = [
    path("approvals", Approvals.as_view()),
    path("approvals/<str:id>", Approval.as_view()),
]
