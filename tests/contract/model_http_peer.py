"""A model's server that does exactly what a test says, over real sockets, in the test's own event loop."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import uvloop

from aos.drivers.model_http import ModelHttp
from aos.kernel.ports import UpstreamRequest
from tests.worlds import THIS_MACHINE

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}
DEADLINE_SECONDS = 30

Answering = Callable[["Line"], Awaitable[None]]


@dataclass
class Line:
    """One request at the server: what came, and the writer for what is said."""

    request: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    connection: int
    """Which connection it is, from 1."""
    asked: int
    """How many requests have come, this one among them."""

    async def say(self, *parts: bytes) -> None:
        """Write and wait until the client has taken it."""
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()

    async def say_whole(self, body: bytes = b"{}", *, status: str = "200 OK", head: bytes = b"") -> None:
        """Answer with a body of its length."""
        await self.say(b"HTTP/1.1 %b\r\ncontent-length: %d\r\n%b\r\n%b" % (status.encode(), len(body), head, body))

    def cut(self) -> None:
        """Drop the connection."""
        self.writer.transport.abort()


@dataclass
class Peer:
    """The server; `answer` may be changed while it runs."""

    port: int
    answer: Answering
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    open: int = 0
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """Set whenever a connection has ended."""

    def request(self, **changes: Any) -> UpstreamRequest:
        """Return a request to it, which `changes` change."""
        usual = UpstreamRequest(
            url=f"http://127.0.0.1:{self.port}/v1/chat/completions",
            headers=((b"authorization", b"Bearer key"), (b"content-type", b"application/json")),
            body=b'{"model": "m"}',
            permitted=("127.0.0.1",),
            connect_seconds=10,
            first_byte_seconds=30,
            idle_seconds=30,
        )
        return replace(usual, **changes)


async def whole(line: Line) -> None:
    """Answer with an empty object."""
    await line.say_whole()


@asynccontextmanager
async def peer(
    answer: Answering = whole, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[Peer]:
    """Serve until the end of the block."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())  # type: ignore[arg-type]
        served.connections += 1
        served.open += 1
        number = served.connections
        try:
            while request := await _read_request(reader):
                served.requests.append(request)
                await served.answer(Line(request, reader, writer, number, len(served.requests)))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            served.open -= 1
            served.gone.set()
            writer.close()

    server = await asyncio.start_server(serve, host, 0, ssl=tls)
    served = Peer(server.sockets[0].getsockname()[1], answer)
    try:
        yield served
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _read_request(reader: asyncio.StreamReader) -> bytes:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""
    lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return head + await reader.readexactly(int(lengths[0]) if lengths else 0)


def to_this_machine() -> ModelHttp:
    """Return a client that may reach servers of this machine."""
    return ModelHttp(private=THIS_MACHINE)


def with_peer(
    loop: str,
    test: Callable[[Peer, ModelHttp], Coroutine[Any, Any, None]],
    *,
    answer: Answering = whole,
    http: Callable[[], ModelHttp] = to_this_machine,
) -> None:
    """Run a test with a server and a client in a fresh event loop; both are closed whatever happens."""

    async def run() -> None:
        async with asyncio.timeout(DEADLINE_SECONDS), peer(answer) as served:
            client = http()
            try:
                await test(served, client)
            finally:
                await client.close()

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(run())
