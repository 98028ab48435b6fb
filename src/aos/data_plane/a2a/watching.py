"""Waiting for a task to stand differently, and the server-sent stream of it.

Nothing of a stream is kept: it begins with the task as it stands, so that one which broke is opened again at any process.
Whoever's credential ended is cut off at the next change.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, TypeAlias

import msgspec

from aos.data_plane.binding import Services
from aos.data_plane.http import Receive, Send, until_gone
from aos.kernel.a2a import ends_stream
from aos.kernel.errors import AosError
from aos.operations.a2a_documents import first_event, next_events, plain
from aos.operations.a2a_tasks import A2aTask

LOOK_SECONDS: Final = 2.0
"""How long a wait trusts bells and feeds before it looks by itself."""
KEEP_ALIVE_SECONDS: Final = 15.0

Find: TypeAlias = Callable[[], Awaitable[A2aTask]]
"""Reads the task again, as the same caller."""
Framed: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]
"""What a binding wraps each event in."""

_encode = msgspec.json.Encoder().encode


async def changes(
    services: Services, task: A2aTask, find: Find, *, gone: asyncio.Future[None], seconds: float = float("inf")
) -> AsyncIterator[A2aTask | None]:
    """Yield the task each time that it stands differently, None now and then where it does not, for `seconds` at most.

    Ends when the client has gone, when the process ends, or where there is no run that could change anything.
    """
    if task.run_id is None:
        return
    clock = asyncio.get_running_loop().time
    until, phase = clock() + seconds, task.phase
    with services.feeds.watch(task.organization_id, task.run_id) as feed:
        while not (gone.done() or services.feeds.ended) and (left := until - clock()) > 0:
            wait = min(left, LOOK_SECONDS)
            rung = asyncio.ensure_future(services.bell.wait("aos_run", str(task.run_id), timeout_seconds=wait))
            try:
                await asyncio.sleep(0)  # whoever listens first misses nothing that happens after it has looked
                version = feed.version
                found = await find()
                if found.phase is not phase:
                    phase = found.phase
                    yield found
                    continue
                told = asyncio.ensure_future(feed.wait(version, gone, timeout_seconds=wait))
                await asyncio.wait((rung, told), return_when=asyncio.FIRST_COMPLETED)
                told.cancel()
                yield None
            finally:
                rung.cancel()


async def stream_task(
    services: Services, task: A2aTask, find: Find, *, framed: Framed, receive: Receive, send: Send
) -> None:
    """Send a task and what becomes of it until nothing more does without its sender, or the client goes away."""
    headers = [
        (b"content-type", b"text/event-stream"),
        (b"cache-control", b"no-store"),
        (b"x-accel-buffering", b"no"),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    clock = asyncio.get_running_loop().time
    gone = asyncio.create_task(until_gone(receive))

    async def say(body: bytes) -> None:
        await send({"type": "http.response.body", "body": body, "more_body": True})

    try:
        await say(_frame(framed(plain(first_event(task)))))
        spoke, phase = clock(), task.phase
        watched = changes(services, task, find, gone=gone)
        while not ends_stream(phase):
            try:
                found = await anext(watched, Ellipsis)
            except AosError:
                break  # who reads may not any more: the stream ends where it stands
            if found is Ellipsis:
                break
            if isinstance(found, A2aTask):
                phase, spoke = found.phase, clock()
                await say(b"".join(_frame(framed(plain(event))) for event in next_events(found)))
            elif clock() - spoke >= KEEP_ALIVE_SECONDS:
                spoke = clock()
                await say(b": still here\n\n")
        await send({"type": "http.response.body", "body": b""})
    finally:
        gone.cancel()


def _frame(document: dict[str, Any]) -> bytes:
    return b"data: %b\n\n" % _encode(document)
