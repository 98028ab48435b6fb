"""/runs/{id}/signals: what is told to a run from outside."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.urls import path
from rest_framework.request import Request

from aos.control_plane import runs_wire
from aos.control_plane.binding import services
from aos.control_plane.bodies import read_fields, read_id, read_query, read_uuid
from aos.control_plane.endpoint import Endpoint, json_response, reply_response
from aos.control_plane.openapi import operation
from aos.control_plane.runs_shapes import SIGNAL_NEW
from aos.kernel.acts import Pending
from aos.kernel.json import Json
from aos.operations.idempotency import Reply
from aos.operations.signal_orders import send_run_signal
from aos.operations.signals import SignalRequest


class Signals(Endpoint):
    """The signals of one run."""

    @operation(
        "send_signal",
        "Tell a run something, by a name that its tasks wait for; 202 where a person must agree first",
        answer="Signal",
        status=201,
        body="SignalNew",
        takes=(),
    )
    def post(self, request: Request, id: str) -> HttpResponse:
        body: Any = read_fields(request._request, SIGNAL_NEW)
        given = read_query(request._request, {"approval_id": read_uuid})
        run_id = read_id("run", id)
        asked = SignalRequest(
            run_id, body["name"], body.get("value"), key=body.get("key"), approval_id=given.get("approval_id")
        )
        sent = services().call(send_run_signal, self.actor(request), asked)
        if isinstance(sent, Pending):
            response = json_response(runs_wire.pending(sent), status=202)
            response["Location"] = f"/approvals/{sent.approval_id}"
            return response
        shown: dict[str, Json] = {"id": str(sent.signal_id), "run_id": str(sent.run_id), "name": sent.name}
        return reply_response(Reply(201, shown, f"/runs/{sent.run_id}", replayed=sent.replayed))


urlpatterns = [path("runs/<str:id>/signals", Signals.as_view())]
