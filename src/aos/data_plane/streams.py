"""Server-sent streams: `GET /runs/{id}/events`, a run's events as they enter the organization's log.

`id:` is the leaf's index, so `Last-Event-ID` goes on where a broken stream ended, in any process. The stream ends with the
run's own end. A person's token opens it, or the short-lived stream token that a console page carries in `?stream=`.
"""

from __future__ import annotations

import asyncio
from typing import Final
from uuid import UUID

import msgspec

from aos.data_plane.binding import Services
from aos.data_plane.http import Receive, Request, Send, until_gone
from aos.kernel.errors import Forbidden, InvalidRequest, NotFound
from aos.kernel.people import ROLE_PERMISSIONS, Permission, Role
from aos.operations.run_events import EVENTS_MAX, RunEvent, event_document

SWEEP_SECONDS: Final = 0.5
"""How long a stream trusts the bell before it looks by itself: the log's integrator rings none for a run."""
KEEP_ALIVE_SECONDS: Final = 15.0
INDEX_DIGITS_MAX: Final = 18
"""Digits of a leaf's index, which fits 64 bits."""
_ENDED: Final = frozenset({"run.finished"})
_encode = msgspec.json.Encoder().encode


async def stream_run_events(services: Services, request: Request, run_id: str, receive: Receive, send: Send) -> None:
    """Send a run's events until it ends or the client goes away."""
    run, index = _uuid(run_id), _last_index(request)
    organization_id = await _reader(services, request, run)
    events = await services.events.after(organization_id, run, index=index)
    headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store"), (b"x-accel-buffering", b"no")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    gone = asyncio.create_task(until_gone(receive))
    try:
        await _send_all(services, organization_id, run, events, index=index, gone=gone, send=send)
    finally:
        gone.cancel()


async def _send_all(
    services: Services,
    organization_id: UUID,
    run: UUID,
    events: list[RunEvent],
    *,
    index: int,
    gone: asyncio.Task[None],
    send: Send,
) -> None:
    clock = asyncio.get_running_loop().time
    spoke = clock()
    while not gone.done():
        if events:
            index = events[-1].index
            await send({"type": "http.response.body", "body": b"".join(map(_frame, events)), "more_body": True})
            spoke = clock()
            if any(event.kind in _ENDED for event in events):
                break
        elif clock() - spoke > KEEP_ALIVE_SECONDS:
            await send({"type": "http.response.body", "body": b": still here\n\n", "more_body": True})
            spoke = clock()
        if len(events) < EVENTS_MAX:
            await services.bell.wait("aos_run", str(run), timeout_seconds=SWEEP_SECONDS)
        events = await services.events.after(organization_id, run, index=index)
    await send({"type": "http.response.body", "body": b""})


def _frame(event: RunEvent) -> bytes:
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (event.index, event.kind.encode(), _encode(event_document(event)))


async def _reader(services: Services, request: Request, run: UUID) -> UUID:
    """Return the organization whose run may be read; raise Unauthenticated or Forbidden."""
    token = request.asked("stream")
    if token is not None:
        return await services.authenticator.stream(token, run)
    principal = await services.authenticator.principal(
        request.bearer(), organization=request.headers.get("aos-organization")
    )
    roles = [Role(role) for role in principal.roles]
    if not any(Permission.RUN_READ in ROLE_PERMISSIONS[role] for role in roles):
        raise Forbidden(f"your roles do not permit `{Permission.RUN_READ}`")
    return principal.organization_id


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise NotFound(f"there is no run `{text[:60]}`") from error


def _last_index(request: Request) -> int:
    text = request.headers.get("last-event-id", "") or (request.asked("after") or "")
    if not text:
        return -1
    if not text.isascii() or not text.isdigit() or len(text) > INDEX_DIGITS_MAX:
        raise InvalidRequest(f"Last-Event-ID must be the index of a leaf, not `{text[:40]}`")
    return int(text)
