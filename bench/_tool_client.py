"""The load of `tool_calls` and `gateway`, in a process of its own: callers that keep one connection and call again at once.

Standard output carries one line of JSON: calls by status, and how long they took. A streamed answer is counted and not
kept; one without its last event counts as `cut`. `stood_still` is how long this process itself was held up at worst: then
what it saw says nothing of who was asked. Run it with `python -P`; nothing of AOS is imported.
"""

from __future__ import annotations

import asyncio
import functools
import json
import re
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any, Final, cast

import uvloop

FRESH: Final = b"00000000-0000-0000-0000-000000000000"
"""What stands in a request for an id that is another each time."""
_LENGTH: Final = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_LAST: Final = b"data: [DONE]\n\n\r\n0\r\n\r\n"
_END: Final = b"\r\n0\r\n\r\n"
_EVENT: Final = b"data: "
TICK_SECONDS: Final = 0.05
PAIR_SECONDS_MAX: Final = 30.0


class Caller(asyncio.Protocol):
    """One connection: `answered` is called with it once an answer is whole, and asks again or closes it."""

    def __init__(self, request: bytes, answered: Callable[[Caller], None], done: asyncio.Future[None]) -> None:
        self.request, self.answered, self.done = request, answered, done
        self.taken: list[float] = []
        self.first: list[float] = []
        self.statuses: Counter[str] = Counter()
        self.pieces = self.events = 0
        self.asking = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def ask(self) -> None:
        """Send the request."""
        self.buffer = b""
        self.status = ""
        self.asking = True
        self.started = time.perf_counter()
        request = self.request
        self.transport.write(request.replace(FRESH, str(uuid.uuid4()).encode()) if FRESH in request else request)

    def data_received(self, data: bytes) -> None:
        if not self.status:
            head, found, data = (self.buffer + data).partition(b"\r\n\r\n")
            if not found:
                self.buffer = head
                return
            self.status, self.buffer = head[9:12].decode(), b""
            length = _LENGTH.search(head)
            self.length = int(length[1]) if length else None
            self.first.append(0.0)
        if self.length is None:
            self.part_received(data)
            return
        self.buffer += data
        if len(self.buffer) >= self.length:
            self.end()

    def part_received(self, data: bytes) -> None:
        """Count a piece of a streamed answer."""
        if data and not self.first[-1]:
            self.first[-1] = time.perf_counter() - self.started
        kept = self.buffer
        self.buffer = kept + data
        self.pieces += 1
        self.events += self.buffer.count(_EVENT) - kept.count(_EVENT)
        if self.buffer.endswith(_END):
            if not self.buffer.endswith(_LAST):
                self.status = "cut"
            self.end()
        else:
            self.buffer = self.buffer[-len(_LAST) :]

    def end(self) -> None:
        self.asking = False
        self.taken.append(time.perf_counter() - self.started)
        self.statuses[self.status] += 1
        self.answered(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.asking:
            self.statuses["lost"] += 1
        if not self.done.done():
            self.done.set_result(None)


def _same(caller: Caller) -> Caller:
    return caller


async def _connect(port: int, request: str, answered: Callable[[Caller], None]) -> Caller:
    loop = asyncio.get_running_loop()
    caller = Caller(request.encode(), answered, loop.create_future())
    await loop.create_connection(functools.partial(_same, caller), "127.0.0.1", port)
    return caller


async def load(port: int, request: str, *, callers: int, seconds: float) -> dict[str, object]:
    """Call until the time is up, each caller once at least, and return what was seen."""

    def answered(caller: Caller) -> None:
        if time.perf_counter() < until:
            caller.ask()
        else:
            caller.transport.close()

    made = [await _connect(port, request, answered) for _ in range(callers)]
    started = time.perf_counter()
    until = started + seconds
    for caller in made:
        caller.ask()
    await asyncio.gather(*(caller.done for caller in made))
    return {"elapsed": time.perf_counter() - started, **_seen(made)}


async def pairs(ports: tuple[int, int], requests: tuple[str, str], *, times: int) -> dict[str, object]:
    """Ask two servers in turn so many times, and return what was seen of each: the times of both in their order."""
    made = []
    answers: asyncio.Queue[None] = asyncio.Queue()
    for port, request in zip(ports, requests, strict=True):
        made.append(await _connect(port, request, lambda _: answers.put_nowait(None)))
    for _ in range(times):
        for caller in made:
            caller.ask()
            await asyncio.wait_for(answers.get(), PAIR_SECONDS_MAX)
    return {
        "statuses": _seen(made)["statuses"],
        "both": [{"each_taken": caller.taken, "each_first": caller.first} for caller in made],
    }


def _seen(made: list[Caller]) -> dict[str, object]:
    taken = sorted(each for caller in made for each in caller.taken)
    first = sorted(each for caller in made for each in caller.first)
    return {
        "calls": len(taken),
        "statuses": dict(sum((caller.statuses for caller in made), Counter())),
        "p50": _at(taken, 50),
        "p99": _at(taken, 99),
        "first_p50": _at(first, 50),
        "first_p99": _at(first, 99),
        "events": sum(caller.events for caller in made),
        "pieces": sum(caller.pieces for caller in made),
    }


def _at(ordered: list[float], per_cent: int) -> float:
    return ordered[len(ordered) * per_cent // 100] if ordered else 0.0


class Ticker:
    """Notes how late this process is called back at worst: it was stopped, or got no CPU. A slow answer does not count."""

    def __init__(self) -> None:
        self.worst = 0.0
        self.tick()

    def tick(self) -> None:
        """Note how late this call is, and be called again."""
        now = time.perf_counter()
        self.worst = max(self.worst, now - getattr(self, "due", now))
        self.due = now + TICK_SECONDS
        asyncio.get_running_loop().call_later(TICK_SECONDS, self.tick)


async def _run(asked: dict[str, Any]) -> dict[str, object]:
    ticker = Ticker()
    seen = await _work(asked)
    return {**seen, "stood_still": ticker.worst}


async def _work(asked: dict[str, Any]) -> dict[str, object]:
    if "pairs" in asked:
        return await pairs(asked["ports"], asked["requests"], times=asked["pairs"])
    return await load(asked["port"], asked["request"], callers=asked["callers"], seconds=asked["seconds"])


if __name__ == "__main__":
    print(json.dumps(uvloop.run(_run(json.loads(sys.stdin.read())))))
