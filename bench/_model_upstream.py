"""A model's server for benchmarks: answers chat completions at once, whole or streamed, and costs next to nothing itself.

Standard output carries its port, then nothing. `max_tokens` says how many parts a stream has, `"user": "pace=2"` that they
come 2 ms apart and not as fast as they are taken. What it reported as used differs from call to call and is added up:
`GET /totals`. Nothing of AOS is imported.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import sys
from typing import Any, Final, cast

import uvloop

_LENGTH: Final = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_LIMIT: Final = re.compile(rb'"max_(?:completion_)?tokens": ?(\d+)')
_STREAM: Final = re.compile(rb'"stream": ?true')
_PACE: Final = re.compile(rb'"user": ?"pace=(\d+)"')
_ID: Final = {"id": "chatcmpl-bench", "created": 1, "model": "bench"}
_CONTENT: Final = "The quick brown fox jumps over the lazy dog."
PARTS: Final = 10
INPUTS: Final = (17, 18, 19, 20, 21, 22, 23)
"""Input tokens reported, in turn."""


def _usage(input_tokens: int, output_tokens: int) -> dict[str, Any]:
    details: dict[str, Any] = {
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }
    total = input_tokens + output_tokens
    return {"prompt_tokens": input_tokens, "completion_tokens": output_tokens, "total_tokens": total, **details}


def _whole(input_tokens: int) -> bytes:
    message = {"role": "assistant", "content": _CONTENT}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    said = {**_ID, "object": "chat.completion", "choices": [choice], "usage": _usage(input_tokens, PARTS)}
    body = json.dumps(said).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


def _event(choices: list[dict[str, Any]], **more: Any) -> bytes:
    return _chunk(json.dumps({**_ID, "object": "chat.completion.chunk", "choices": choices, **more}).encode())


def _chunk(data: bytes) -> bytes:
    event = b"data: %b\n\n" % data
    return b"%x\r\n%b\r\n" % (len(event), event)


def _tail(input_tokens: int, output_tokens: int) -> bytes:
    stop = _event([{"index": 0, "delta": {}, "finish_reason": "stop"}])
    return stop + _event([], usage=_usage(input_tokens, output_tokens)) + _chunk(b"[DONE]") + b"0\r\n\r\n"


WHOLE: Final = {each: _whole(each) for each in INPUTS}
HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
PART: Final = _event([{"index": 0, "delta": {"content": " word"}, "finish_reason": None}])
TAILS: Final = {each: _tail(each, PARTS) for each in INPUTS}

totals = {"calls": 0, "input_tokens": 0, "output_tokens": 0}
inputs = itertools.cycle(INPUTS)


def _report(output_tokens: int) -> int:
    """Count a call and return the input tokens it reports."""
    used = next(inputs)
    totals["calls"] += 1
    totals["input_tokens"] += used
    totals["output_tokens"] += output_tokens
    return used


class Server(asyncio.Protocol):
    """One connection of a caller."""

    def __init__(self) -> None:
        self.buffer = b""
        self.writable = asyncio.Event()
        self.writable.set()
        self.streaming: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.streaming is not None:
            self.streaming.cancel()

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not found or len(body) < (int(length[1]) if length else 0):
            return
        self.buffer = b""
        if head.startswith(b"GET "):
            said = json.dumps(totals).encode()
            self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(said), said))
        elif _STREAM.search(body):
            limit, pace = _LIMIT.search(body), _PACE.search(body)
            parts = int(limit[1]) if limit else PARTS
            self.streaming = asyncio.create_task(self.stream(parts, int(pace[1]) / 1e3 if pace else 0))
        else:
            self.transport.write(WHOLE[_report(PARTS)])

    async def stream(self, parts: int, pace_seconds: float) -> None:
        """Send so many parts, each on its own: so long apart, or as fast as they are taken."""
        self.transport.write(HEAD)
        for _ in range(parts):
            if not self.writable.is_set():
                await self.writable.wait()
            self.transport.write(PART)
            await asyncio.sleep(pace_seconds)
        used = _report(parts)
        self.transport.write(TAILS[used] if parts == PARTS else _tail(used, parts))


async def serve() -> None:
    """Serve on a free port until killed."""
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    sys.exit(uvloop.run(serve()))
