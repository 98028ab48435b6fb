"""/usage: what was used and what it cost."""

from __future__ import annotations

from typing import Final

from django.http import HttpResponse
from django.urls import path
from rest_framework.request import Request

from aos.control_plane import runs_wire
from aos.control_plane.bodies import Reader, one_of, read_instant, read_number, read_query, read_text
from aos.control_plane.endpoint import Endpoint, json_response
from aos.control_plane.openapi import operation
from aos.operations.usage import GROUPS_DEFAULT, UsageBy, UsageQuery, report_usage

READERS: Final[dict[str, Reader]] = {
    "by": one_of(*(each.value for each in UsageBy)),
    "from": read_instant,
    "to": read_instant,
    "expand": one_of("records"),
    "limit": read_number,
    "cursor": read_text,
}


class Usage(Endpoint):
    """What was used, summed."""

    @operation(
        "show_usage",
        "Sum what was used, by agent unless `by` says otherwise; `expand=records` names the events of each sum",
        answer="Usage",
        filters=tuple(READERS),
    )
    def get(self, request: Request) -> HttpResponse:
        given = read_query(request._request, READERS)
        query = UsageQuery(
            by=UsageBy(given.get("by", UsageBy.AGENT)),
            since=given.get("from"),
            until=given.get("to"),
            limit=given.get("limit", GROUPS_DEFAULT),
            cursor=given.get("cursor"),
            expand="expand" in given,
        )
        return json_response(runs_wire.usage(report_usage(self.actor(request), query)))


urlpatterns = [path("usage", Usage.as_view())]
