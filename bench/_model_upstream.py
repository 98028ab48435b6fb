"""A model's server for benchmarks: answers chat completions at once, whole or streamed, and costs next to nothing itself.

Standard output carries its port, then nothing. `max_tokens` says how many chunks a stream has. Nothing of AOS is imported.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from typing import Final, cast

import uvloop

_LENGTH: Final = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_LIMIT: Final = re.compile(rb'"max_(?:completion_)?tokens": ?(\d+)')
_USAGE: Final = {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30}
_ID: Final = {"id": "chatcmpl-bench", "created": 1, "model": "bench"}
_WRITE_BYTES: Final = 65_536


def _whole() -> bytes:
    message = {"role": "assistant", "content": "The quick brown fox jumps over the lazy dog."}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = json.dumps({**_ID, "object": "chat.completion", "choices": [choice], "usage": _USAGE}).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


def _event(delta: dict[str, str], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {**_ID, "object": "chat.completion.chunk", "choices": [choice]}
    return _chunk(b"data: %s\n\n" % json.dumps(chunk).encode())


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


WHOLE: Final = _whole()
HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
PART: Final = _event({"content": " word"})
USAGE: Final = _chunk(
    b"data: %s\n\n" % json.dumps({**_ID, "object": "chat.completion.chunk", "choices": [], "usage": _USAGE}).encode()
)
TAIL: Final = _event({}, "stop") + USAGE + _chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"


class Server(asyncio.Protocol):
    """One connection of a caller."""

    def __init__(self) -> None:
        self.buffer = b""
        self.writable = asyncio.Event()
        self.writable.set()
        self.streaming: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not found or length is None or len(body) < int(length[1]):
            return
        self.buffer = b""
        if b'"stream":true' in body or b'"stream": true' in body:
            limit = _LIMIT.search(body)
            self.streaming = asyncio.create_task(self.stream(int(limit[1]) if limit else 10))
        else:
            self.transport.write(WHOLE)

    async def stream(self, parts: int) -> None:
        """Send so many parts, a few at a time where there are many, as fast as they are taken."""
        self.transport.write(HEAD)
        group = 1 if parts <= 1_000 else 20
        for begun in range(0, parts, group):
            await self.writable.wait()
            self.transport.write(PART * min(group, parts - begun))
            await asyncio.sleep(0)
        self.transport.write(TAIL)


async def serve() -> None:
    """Serve on a free port until killed."""
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    sys.exit(uvloop.run(serve()))
