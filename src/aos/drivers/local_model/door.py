"""The door of the local model: plain ASGI, for whoever holds the key that boot made.

- As many answers are made at once as the engine has slots; WAITING_MAX more wait their turn, the next gets 503.
- A client who goes away stops the answer, or leaves the queue.
- The engine blocks, so it is asked in threads of the door's own; its chunks come back by the loop's bell alone.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Protocol

import msgspec

from aos.drivers.local_model.requests import (
    MODEL_NAME,
    Asked,
    Json,
    Refusal,
    read_request,
    refusal_of,
    shown_chunk,
    whole_answer,
)
from aos.kernel.errors import UpstreamFailed
from aos.kernel.limits import BODY_BYTES_MAX

WAITING_MAX: Final = 64
"""Requests that may wait for a slot."""
RETRY_AFTER_SECONDS: Final = 5

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Asks(Protocol):
    """The engine, as the door uses it."""

    def ask(self, body: Json, say: Callable[[Json], bool]) -> None:
        """Make one answer; see `Engine.ask`."""
        ...


class _Gone(Exception):
    """The client went away."""


class Door:
    """The application; `close` ends its threads."""

    def __init__(self, engine: Asks, key: str, *, slots: int, waiting_max: int = WAITING_MAX) -> None:
        self._engine = engine
        self._expected = f"Bearer {key}".encode()
        self._places = slots + waiting_max
        self._taken = 0
        self._threads = ThreadPoolExecutor(slots, thread_name_prefix="local-model")

    def close(self) -> None:
        """Let go of the threads; answers under way end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            await self._answer(scope, receive, send)
        except Refusal as refusal:
            await _send_whole(send, refusal.status, refusal.body())
        except _Gone:
            return

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        given = dict(scope["headers"]).get(b"authorization", b"")
        if not hmac.compare_digest(given, self._expected):
            raise Refusal(
                401, "the key of this model is AOS's own: ask for it through the gate", code="invalid_api_key"
            )
        if (path, method) == ("/v1/models", "GET"):
            model = {"id": MODEL_NAME, "object": "model", "created": 0, "owned_by": "local"}
            await _send_whole(send, 200, msgspec.json.encode({"object": "list", "data": [model]}))
            return
        if (path, method) != ("/v1/chat/completions", "POST"):
            raise Refusal(404, "this model answers `POST /v1/chat/completions` alone")
        asked = read_request(await _read(receive))
        if self._taken >= self._places:
            raise Refusal(503, f"{self._taken} requests are under way or wait; try again soon", code="queue_full")
        self._taken += 1
        answering = _Answering(self._engine, asked, send)
        try:
            await answering.run(self._threads, receive)
        finally:
            self._taken -= 1


class _Answering:
    """One answer: the thread that makes it, and the task that passes it on."""

    def __init__(self, engine: Asks, asked: Asked, send: Send) -> None:
        self._engine = engine
        self._asked = asked
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._chunks: asyncio.Queue[Json | None] = asyncio.Queue()
        self._gone = False

    async def run(self, threads: ThreadPoolExecutor, receive: Receive) -> None:
        """Answer; end early when the client goes away. Returns when the engine has let go too."""
        making = threads.submit(self._make)
        watching = asyncio.ensure_future(_until_gone(receive))
        passing = asyncio.ensure_future(self._pass_on())
        try:
            await asyncio.wait([watching, passing], return_when=asyncio.FIRST_COMPLETED)
            if not passing.done():
                raise _Gone
            await passing
        finally:
            self._gone = True
            for task in (watching, passing):
                task.cancel()
            if not making.cancel():
                # The place is given away when the slot is free again: at the engine's next chunk.
                await asyncio.wait([asyncio.wrap_future(making)])

    def _make(self) -> None:
        """Run in a thread: ask, and put what comes onto the queue."""

        def say(chunk: Json) -> bool:
            if not self._gone:
                self._loop.call_soon_threadsafe(self._chunks.put_nowait, chunk)
            return self._gone

        try:
            if not self._gone:
                self._engine.ask(self._asked.body, say)
        except UpstreamFailed as error:
            say({"error": {"code": 400, "message": error.detail}})
        except Exception as error:
            say({"error": {"code": 500, "message": f"the model failed: {error}"}})
        self._loop.call_soon_threadsafe(self._chunks.put_nowait, None)

    async def _pass_on(self) -> None:
        first = await self._next()
        if first is None:
            raise Refusal(500, "the model gave no answer")
        if self._asked.stream:
            await self._stream(first)
            return
        chunks = [first]
        while (chunk := await self._next()) is not None:
            chunks.append(chunk)
        await _send_whole(self._send, 200, whole_answer(chunks))

    async def _next(self) -> Json | None:
        """Return the next chunk, None at the end; raise Refusal where the engine says an error instead."""
        chunk = await self._chunks.get()
        if chunk is not None and "error" in chunk:
            raise refusal_of(chunk["error"])
        return chunk

    async def _stream(self, first: Json) -> None:
        headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        chunk: Json | None = first
        try:
            while chunk is not None:
                if chunk.get("choices") or self._asked.usage_shown:
                    await self._say(b"data: %b\n\n" % msgspec.json.encode(shown_chunk(chunk)))
                chunk = await self._next()
            await self._say(b"data: [DONE]\n\n")
        except Refusal as refusal:
            await self._say(b"data: %b\n\n" % refusal.body())
        await self._send({"type": "http.response.body", "body": b""})

    async def _say(self, event: bytes) -> None:
        await self._send({"type": "http.response.body", "body": event, "more_body": True})


async def _read(receive: Receive) -> bytes:
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > BODY_BYTES_MAX:
            raise Refusal(413, f"the body has more than {BODY_BYTES_MAX} bytes")
        if not message.get("more_body"):
            return b"".join(parts)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_whole(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 503:
        headers.append((b"retry-after", str(RETRY_AFTER_SECONDS).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
