"""/approvals: what waits for a person, and what people answered."""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpResponse
from django.urls import path
from rest_framework.request import Request

from aos.control_plane import runs_wire
from aos.control_plane.binding import services
from aos.control_plane.bodies import Reader, one_of, page_query, read_fields, read_id, read_query, read_text, read_uuid
from aos.control_plane.endpoint import Endpoint, json_response, page_response
from aos.control_plane.openapi import operation
from aos.control_plane.runs_shapes import APPROVAL_STATES, APPROVE, DENY
from aos.operations.approval_views import list_approvals, show_approval
from aos.operations.approvals import Answer
from aos.operations.run_orders import AnswerGiven, answer_approval

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
        found = show_approval(services().drivers, self.actor(request), read_id("approval", id))
        return json_response(runs_wire.approval(found))


class Answering(Endpoint):
    """What is answered to an approval."""

    def answer(self, request: Request, id: str, given: AnswerGiven) -> HttpResponse:
        """Give the answer and show the approval as it stands."""
        read_query(request._request, {})
        actor, approval_id = self.actor(request), read_id("approval", id)
        services().call(answer_approval, actor, approval_id, given=given)
        return json_response(runs_wire.approval(show_approval(services().drivers, actor, approval_id)))


class Approve(Answering):
    """Says yes to exactly what was seen."""

    @operation(
        "approve_approval",
        "Approve: with a yes from each role the same act may be done once. `digest` is the one of what you saw",
        answer="Approval",
        body="Approve",
        takes=(),
    )
    def post(self, request: Request, id: str) -> HttpResponse:
        body: Any = read_fields(request._request, APPROVE)
        given = AnswerGiven(Answer.APPROVE, body.get("comment", ""), body["digest"], value=body.get("value"))
        return self.answer(request, id, given)


class Deny(Answering):
    """Says no, and why."""

    @operation(
        "deny_approval",
        "Deny: the act is refused, and the agent is shown the comment",
        answer="Approval",
        body="Deny",
        takes=(),
    )
    def post(self, request: Request, id: str) -> HttpResponse:
        body: Any = read_fields(request._request, DENY)
        given = AnswerGiven(Answer.DENY, body["comment"], suggested_args=body.get("suggested_args"))
        return self.answer(request, id, given)


urlpatterns = [
    path("approvals", Approvals.as_view()),
    path("approvals/<str:id>", Approval.as_view()),
    path("approvals/<str:id>/approve", Approve.as_view()),
    path("approvals/<str:id>/deny", Deny.as_view()),
]
