"""What a tool's server says of its progress while a call is under way, told to the client that asks for it.

Such a call is answered by a stream of its own: notifications, then the result, as JSON-RPC has them. Rules a reader must not
break:
- Numbers alone are passed on: a server's words come with the outcome, which is recorded with its origin.
- What is told rises, and is bounded in number; a client that reads too slowly loses notifications, never the result.
- A call that ends without a word of progress is answered as if nobody had asked.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from aos.data_plane.http import Response, Send
from aos.data_plane.mcp.rpc import Message
from aos.kernel.limits import NAME_LENGTH_MAX
from aos.operations.mcp_tools import hearing

TOLD_MAX: Final = 1_000
"""Notifications of one call; what a server says past it is not passed on."""
WAITING_MAX: Final = 64
"""Notifications that wait for a client to read them."""
KEEP_ALIVE_SECONDS: Final = 15.0

_encode = msgspec.json.Encoder().encode


def token_of(headers: Mapping[str, str], message: Message) -> str | int | None:
    """Return the token under which a client wants to hear of a call's progress, None where it does not or reads no streams."""
    meta = message.params.get("_meta")
    token = meta.get("progressToken") if message.method == "tools/call" and isinstance(meta, dict) else None
    if isinstance(token, bool) or not isinstance(token, str | int) or len(str(token)) > NAME_LENGTH_MAX:
        return None
    kinds = [each.partition(";")[0].strip().lower() for each in headers.get("accept", "").split(",")]
    return token if "text/event-stream" in kinds and not message.is_notification else None


async def answered_with_progress(token: str | int, answering: Coroutine[Any, Any, Response]) -> Response | Progressing:
    """Begin to answer a call; return its answer where it ends before any progress is told, else the stream that it is."""
    heard = _Heard(token)
    with hearing(heard):
        task = asyncio.create_task(answering, name="mcp-progress")
    first = asyncio.create_task(heard.waiting.get())
    try:
        await asyncio.wait([task, first], return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        task.cancel()
        raise
    finally:
        if not first.done():
            first.cancel()
    return Progressing(first.result(), heard, task) if first.done() and not first.cancelled() else task.result()


class _Heard:
    """Collects what is told of one call; called with each step."""

    def __init__(self, token: str | int) -> None:
        self.waiting: asyncio.Queue[bytes] = asyncio.Queue(WAITING_MAX)
        self._token = token
        self._come = -math.inf
        self._told = 0

    def __call__(self, progress: float, total: float | None) -> None:
        """Take a step, unless it is none, or there is no room."""
        if not (math.isfinite(progress) and progress > self._come) or self._told >= TOLD_MAX or self.waiting.full():
            return
        self._come = progress
        self._told += 1
        params: dict[str, Any] = {"progressToken": self._token, "progress": progress}
        if total is not None and math.isfinite(total):
            params["total"] = total
        self.waiting.put_nowait(
            _frame(_encode({"jsonrpc": "2.0", "method": "notifications/progress", "params": params}))
        )


@dataclass(frozen=True, slots=True)
class Progressing:
    """The stream that a call is answered by: its `first` notification, what is `heard` later, and the `task` that ends it."""

    first: bytes
    heard: _Heard
    task: asyncio.Task[Response]

    async def send_to(self, send: Send) -> None:
        """Send notifications as they come, then the result; ended before its time, it ends the call as a client that goes does."""
        headers = [
            (b"content-type", b"text/event-stream"),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),
        ]
        try:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await _say(send, self.first)
            while not self.task.done():
                await _say(send, await self._next())
            while not self.heard.waiting.empty():
                await _say(send, self.heard.waiting.get_nowait())
            await send({"type": "http.response.body", "body": _frame(self.task.result().body)})
        finally:
            self.task.cancel()

    async def _next(self) -> bytes:
        """Return what is to be sent next, nothing where the call has ended."""
        coming = asyncio.create_task(self.heard.waiting.get())
        done, _ = await asyncio.wait(
            [coming, self.task], timeout=KEEP_ALIVE_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
        if coming in done:
            return coming.result()
        coming.cancel()
        return b"" if self.task in done else b": still here\n\n"


async def _say(send: Send, body: bytes) -> None:
    if body:
        await send({"type": "http.response.body", "body": body, "more_body": True})


def _frame(document: bytes) -> bytes:
    return b"event: message\ndata: %b\n\n" % document
