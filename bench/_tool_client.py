"""The load of `tool_calls`, in a process of its own: callers that each keep one connection and call again at once.

Standard output carries one line of JSON: calls by status, and how long they took. Nothing of AOS is imported.
"""

from __future__ import annotations

import asyncio
import functools
import json
import re
import sys
import time
from collections import Counter
from typing import cast

import uvloop

_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


class Caller(asyncio.Protocol):
    """One connection: the next request leaves when the answer is whole, until the time is up."""

    def __init__(self, request: bytes, until: float, done: asyncio.Future[None]) -> None:
        self.request, self.until, self.done = request, until, done
        self.taken: list[float] = []
        self.statuses: Counter[str] = Counter()
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.send()

    def send(self) -> None:
        self.started = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not found or length is None or len(body) < int(length[1]):
            return
        now = time.perf_counter()
        self.taken.append(now - self.started)
        self.statuses[head[9:12].decode()] += 1
        self.buffer = b""
        if now < self.until:
            self.send()
        else:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


def _same(caller: Caller) -> Caller:
    return caller


async def load(port: int, request: bytes, *, callers: int, seconds: float) -> dict[str, object]:
    """Call until the time is up and return what was seen."""
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    ends = [loop.create_future() for _ in range(callers)]
    made = [Caller(request, started + seconds, end) for end in ends]
    for caller in made:
        await loop.create_connection(functools.partial(_same, caller), "127.0.0.1", port)
    await asyncio.gather(*ends)
    elapsed = time.perf_counter() - started
    taken = sorted(each for caller in made for each in caller.taken)
    statuses = sum((caller.statuses for caller in made), Counter())
    return {
        "calls": len(taken),
        "statuses": dict(statuses),
        "elapsed": elapsed,
        "p50": taken[len(taken) // 2],
        "p99": taken[len(taken) * 99 // 100],
    }


if __name__ == "__main__":
    asked = json.loads(sys.stdin.read())
    seen = load(asked["port"], asked["request"].encode(), callers=asked["callers"], seconds=asked["seconds"])
    print(json.dumps(uvloop.run(seen)))
