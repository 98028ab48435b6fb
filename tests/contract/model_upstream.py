"""A model's server that answers as a test says, over real sockets, in a thread of its own; it keeps what it got.

with serving_upstream(whole(reply.chat())) as upstream: ...
Answers are given in turn, the last one again and again; `by_model` goes before them. An answer is a coroutine function of
one `Line`, so a test may say anything: half an answer, another length, nothing at all.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.doors import until

START_SECONDS = 20.0
EVENT_STREAM = "text/event-stream"


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Held:
    """What an answer waits for until the test lets it go; may be let go before anybody waits."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open = False
        self._waiters: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
        self.waiting = 0

    def let_go(self) -> None:
        """Let every answer go on, now and later."""
        with self._lock:
            self._open = True
            for loop, event in self._waiters:
                loop.call_soon_threadsafe(event.set)

    async def wait(self) -> None:
        """Return once the test lets go."""
        event = asyncio.Event()
        with self._lock:
            self.waiting += 1
            if self._open:
                return
            self._waiters.append((asyncio.get_running_loop(), event))
        await event.wait()


@dataclass
class Line:
    """One request at the server, and the way back to its client."""

    received: Received
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    upstream: Upstream

    async def say(self, *parts: bytes) -> None:
        """Write and wait until the client has taken it."""
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()

    async def begin(self, status: str = "200 OK", *, kind: str = EVENT_STREAM, **headers: str) -> None:
        """Send the head of an answer in chunks."""
        more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        await self.say(
            f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n{more}\r\n".encode()
        )

    async def chunk(self, *parts: bytes) -> None:
        """Send parts of an answer that was begun."""
        for part in parts:
            await self.say(b"%x\r\n%b\r\n" % (len(part), part))

    async def end(self) -> None:
        """End an answer in chunks."""
        await self.say(b"0\r\n\r\n")

    async def until_gone(self) -> None:
        """Return once the client has closed the connection."""
        try:
            while await self.reader.read(65536):
                pass
        except ConnectionError:
            pass
        self.upstream.cut += 1

    def drop(self) -> None:
        """Drop the connection."""
        self.writer.transport.abort()


Answering = Callable[[Line], Awaitable[None]]


@dataclass
class Upstream:
    """The server: what it is to say, and what it got."""

    answers: deque[Answering]
    port: int = 0
    by_model: dict[str, Answering] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    cut: int = 0
    """How many answers' clients went away before the end, as far as an answer looked for it."""

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}/v1"

    @property
    def last(self) -> Received:
        return self.received[-1]

    def plan(self, *answers: Answering) -> None:
        """Say what comes next, the last of it again and again."""
        self.answers = deque(answers)

    def next(self, received: Received) -> Answering:
        """Return the answer to a request."""
        if self.by_model and (found := self.by_model.get(str(received.json.get("model")))) is not None:
            return found
        return self.answers.popleft() if len(self.answers) > 1 else self.answers[0]

    def asked(self, at_least: int = 1) -> None:
        """Return once so many requests have come."""
        until(lambda: len(self.received) >= at_least)


def whole(
    document: Any, *, status: str = "200 OK", headers: Sequence[tuple[str, str]] = (), held: Held | None = None
) -> Answering:
    """Return the answer of a document, or of bytes as they are."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    more = "".join(f"{name}: {value}\r\n" for name, value in headers)
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{more}content-length: {len(body)}\r\n\r\n"

    async def answer(line: Line) -> None:
        if held is not None:
            await held.wait()
        await line.say(head.encode() + body)

    return answer


def streamed(events: Sequence[bytes], *, held: Held | None = None, held_before: int = -1) -> Answering:
    """Return the answer of server-sent events, one part of the body each; `held` stands before one of them."""

    async def answer(line: Line) -> None:
        await line.begin()
        for position, event in enumerate(events):
            if held is not None and position == held_before % len(events):
                await held.wait()
            await line.chunk(event)
        await line.end()

    return answer


def silent(held: Held | None = None) -> Answering:
    """Return the answer that never comes: its client goes away."""

    async def answer(line: Line) -> None:
        if held is not None:
            held.waiting += 1
        await line.until_gone()

    return answer


def cut_after(events: Sequence[bytes]) -> Answering:
    """Return the answer that breaks off after some events."""

    async def answer(line: Line) -> None:
        await line.begin()
        await line.chunk(*events)
        line.drop()

    return answer


def saying(raw: bytes, *, drops: bool = True) -> Answering:
    """Return the answer of exactly these bytes of HTTP, after which the connection is dropped."""

    async def answer(line: Line) -> None:
        await line.say(raw)
        if drops:
            line.writer.close()

    return answer


@contextmanager
def serving_upstream(*answers: Answering) -> Iterator[Upstream]:
    """Serve until the end of the block."""
    upstream = Upstream(deque(answers))
    ready, stop = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        tasks: set[asyncio.Task[None]] = set()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            try:
                await _serve_connection(upstream, reader, writer)
            finally:
                tasks.discard(task)

        server = await asyncio.start_server(connected, "127.0.0.1", 0, backlog=512)
        upstream.port = server.sockets[0].getsockname()[1]
        loops.append(asyncio.get_running_loop())
        ready.set()
        await stop.wait()
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="upstream")
    thread.start()
    try:
        assert ready.wait(START_SECONDS), "the upstream does not open"
        yield upstream
    finally:
        if loops:
            loops[0].call_soon_threadsafe(stop.set)
        thread.join()


async def _serve_connection(upstream: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while (received := await _read(reader)) is not None:
            upstream.received.append(received)
            await upstream.next(received)(Line(received, reader, writer, upstream))
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def _read(reader: asyncio.StreamReader) -> Received | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Received(first.split(" ")[1], headers, body, head + body)
