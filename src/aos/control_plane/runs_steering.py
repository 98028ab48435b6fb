"""/runs/{id}/VERB: what a person tells a run. Each answers with the run as it is then, and what the order reached.

A pause is answered 202 while passes still run; the front asks again until none does, for a bounded time.
"""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.http import HttpResponse
from django.urls import path
from rest_framework.request import Request

from aos.control_plane import runs_wire
from aos.control_plane.binding import services
from aos.control_plane.bodies import read_fields, read_id, read_key, read_query, read_uuid
from aos.control_plane.endpoint import Endpoint, json_response, reply_response
from aos.control_plane.openapi import operation
from aos.control_plane.runs_shapes import RUN_FORK, RUN_RETRY
from aos.kernel.acts import Pending
from aos.kernel.people import Actor
from aos.operations.forks import ForkRequest, TriedAgain
from aos.operations.idempotency import Reply
from aos.operations.run_orders import Order, fork_run, retry_task, roll_back_run, steer_run
from aos.operations.run_steering import Steered
from aos.operations.run_views import show_run
from aos.operations.runs import RunStarted
from aos.operations.undo import RolledBack


class Steering(Endpoint):
    """What a run is told: one subclass for each order."""

    order: ClassVar[Order]

    def steer(self, request: Request, id: str) -> HttpResponse:
        """Give the order and answer with the run."""
        read_query(request._request, {})
        actor, run_id = self.actor(request), read_id("run", id)
        reached = services().call(steer_run, actor, run_id, order=self.order)
        waits = self.order is Order.PAUSE and bool(reached.at_work)
        return steered_response(actor, run_id, reached, status=202 if waits else 200)


class Pause(Steering):
    """Holds a run: what runs of it ends its pass at its next call, nothing more begins."""

    order = Order.PAUSE

    @operation(
        "pause_run",
        "Hold a run and what is nested in it; 202 while passes still run until their next call",
        answer="RunSteered",
        takes=(),
    )
    def post(self, request: Request, id: str) -> HttpResponse:
        return self.steer(request, id)


class Resume(Steering):
    """Lets a paused run go on."""

    order = Order.RESUME

    @operation("resume_run", "Let a paused run and what is nested in it go on", answer="RunSteered", takes=())
    def post(self, request: Request, id: str) -> HttpResponse:
        return self.steer(request, id)


class Cancel(Steering):
    """Ends a run."""

    order = Order.CANCEL

    @operation(
        "cancel_run", "Cancel a run with all its open tasks and what is nested in it", answer="RunSteered", takes=()
    )
    def post(self, request: Request, id: str) -> HttpResponse:
        return self.steer(request, id)


class Rollback(Endpoint):
    """Undoes what a run did."""

    @operation(
        "roll_back_run",
        "Undo what a run did, by the compensating tools of its acts, last first; answers with the run that undoes it, "
        "200 where that was begun before, 202 where a person must agree first",
        answer="RunDetail",
        status=201,
        takes=("Idempotency-Key",),
    )
    def post(self, request: Request, id: str) -> HttpResponse:
        asked = _asked(request)
        actor, run_id = self.actor(request), read_id("run", id)
        return begun_response(actor, services().call(roll_back_run, actor, run_id, **asked))


class Fork(Endpoint):
    """Goes on from a task of a run in a new run."""

    @operation(
        "fork_run",
        "Start a run that goes on from a task of another: what came before is taken from the record; 202 where a person "
        "must agree first",
        answer="RunDetail",
        status=201,
        body="RunFork",
        takes=("Idempotency-Key",),
    )
    def post(self, request: Request, id: str) -> HttpResponse:
        body: Any = read_fields(request._request, RUN_FORK)
        asked = ForkRequest(body["task"], body.get("input"), "input" in body, **_asked(request))
        actor, run_id = self.actor(request), read_id("run", id)
        return begun_response(actor, services().call(fork_run, actor, run_id, request=asked))


class Retry(Endpoint):
    """Tries one task of a run again."""

    @operation(
        "retry_task",
        "Try one task again: in its run where it was given up on or backs off (200), else in a fork of the ended run (201)",
        answer="RunDetail",
        status=201,
        body="RunRetry",
        takes=("Idempotency-Key",),
    )
    def post(self, request: Request, id: str) -> HttpResponse:
        body: Any = read_fields(request._request, RUN_RETRY)
        asked = ForkRequest(body["task"], **_asked(request))
        actor, run_id = self.actor(request), read_id("run", id)
        return begun_response(actor, services().call(retry_task, actor, run_id, request=asked))


def steered_response(actor: Actor, run_id: UUID, reached: Steered, *, status: int = 200) -> HttpResponse:
    """Answer with a run and what an order to it reached."""
    return json_response(runs_wire.run_steered(show_run(services().drivers, actor, run_id), reached), status=status)


def begun_response(actor: Actor, begun: RunStarted | RolledBack | TriedAgain | Pending) -> HttpResponse:
    """Answer with the run that an order began or changed, or with the approval that it waits for."""
    if isinstance(begun, Pending):
        response = json_response(runs_wire.pending(begun), status=202)
        response["Location"] = f"/approvals/{begun.approval_id}"
        return response
    shown = runs_wire.run_detail(show_run(services().drivers, actor, begun.run_id))
    if isinstance(begun, TriedAgain) or (isinstance(begun, RolledBack) and begun.replayed):
        return json_response(shown)
    return reply_response(Reply(201, shown, f"/runs/{begun.run_id}", replayed=begun.replayed))


def _asked(request: Request) -> dict[str, Any]:
    given = read_query(request._request, {"approval_id": read_uuid})
    return {"idempotency_key": read_key(request._request), "approval_id": given.get("approval_id")}


urlpatterns = [
    path("runs/<str:id>/pause", Pause.as_view()),
    path("runs/<str:id>/resume", Resume.as_view()),
    path("runs/<str:id>/cancel", Cancel.as_view()),
    path("runs/<str:id>/rollback", Rollback.as_view()),
    path("runs/<str:id>/fork", Fork.as_view()),
    path("runs/<str:id>/retry", Retry.as_view()),
]
