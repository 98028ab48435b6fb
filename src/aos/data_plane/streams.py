"""Server-sent streams: `GET /runs/{id}/events`, a run's events as they enter the organization's log.

`id:` is the leaf's index, so `Last-Event-ID` goes on where a broken stream ended, in any process. The stream ends with the
run's own end, or the process's. A person's token opens it, or the short-lived stream token that a console page carries in `?stream=`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from uuid import UUID

import msgspec

from aos.data_plane.binding import Services
from aos.data_plane.http import Receive, Request, Send, until_gone
from aos.kernel.errors import Forbidden, InvalidRequest, NotFound, Unauthenticated
from aos.kernel.people import ROLE_PERMISSIONS, Permission, Role
from aos.operations.run_events import EVENTS_MAX, RunEvent, event_document
from aos.operations.run_feeds import RunFeed

KEEP_ALIVE_SECONDS: Final = 15.0
INDEX_DIGITS_MAX: Final = 18
"""Digits of a leaf's index, which fits 64 bits."""
_ENDED: Final = frozenset({"run.finished"})
_encode = msgspec.json.Encoder().encode


async def stream_run_events(services: Services, request: Request, run_id: str, receive: Receive, send: Send) -> None:
    """Send a run's events until it ends, the client goes away or may no longer read it."""
    index = _last_index(request)
    stream = _Stream(services, request, _uuid(run_id), send)
    organization_id = await stream.reader()
    with services.feeds.watch(organization_id, stream.run) as feed:
        await feed.after(index)  # what cannot be read is a problem, and no stream
        headers = [
            (b"content-type", b"text/event-stream"),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        gone = asyncio.create_task(until_gone(receive))
        try:
            await stream.send_all(feed, index=index, gone=gone)
        finally:
            gone.cancel()


@dataclass(frozen=True, slots=True)
class _Stream:
    """One open stream."""

    services: Services
    request: Request
    run: UUID
    send: Send

    async def reader(self) -> UUID:
        """Return the organization whose run may be read; raise Unauthenticated or Forbidden."""
        token = self.request.asked("stream")
        if token is not None:
            return await self.services.authenticator.stream(token, self.run)
        principal = await self.services.authenticator.principal(
            self.request.bearer(), organization=self.request.headers.get("aos-organization")
        )
        roles = [Role(role) for role in principal.roles]
        if not any(Permission.RUN_READ in ROLE_PERMISSIONS[role] for role in roles):
            raise Forbidden(f"your roles do not permit `{Permission.RUN_READ}`")
        return principal.organization_id

    async def send_all(self, feed: RunFeed, *, index: int, gone: asyncio.Task[None]) -> None:
        """Send the events after `index`, and what follows them."""
        clock = asyncio.get_running_loop().time
        spoke, first = clock(), True
        while not (gone.done() or self.services.feeds.ended):
            version = feed.version
            events = await feed.after(index)
            if events and not (first or await self._may_still_read()):
                break
            if events:
                index, first = events[-1].index, False
                await self._say(b"".join(map(_frame, events)))
                spoke = clock()
            if any(event.kind in _ENDED for event in events):
                break
            if clock() - spoke >= KEEP_ALIVE_SECONDS:
                await self._say(b": still here\n\n")
                spoke = clock()
            if not events:
                await feed.wait(version, gone, timeout_seconds=spoke + KEEP_ALIVE_SECONDS - clock())
        await self.send({"type": "http.response.body", "body": b""})

    async def _may_still_read(self) -> bool:
        """Say whether the next events may be shown: a token that was revoked since ends its open streams.

        A page's stream token counts when the stream is opened, and is not asked for again.
        """
        if self.request.asked("stream") is not None:
            return True
        try:
            await self.reader()
        except (Unauthenticated, Forbidden):
            return False
        return True

    async def _say(self, body: bytes) -> None:
        await self.send({"type": "http.response.body", "body": body, "more_body": True})


@lru_cache(maxsize=EVENTS_MAX)  # one event goes to everyone who watches its run
def _frame(event: RunEvent) -> bytes:
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (event.index, event.kind.encode(), _encode(event_document(event)))


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
