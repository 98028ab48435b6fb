"""The data plane's application with its requests counted, and `/metrics` answered with what all processes count."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

from aos.data_plane.app import App
from aos.telemetry.metrics import CONTENT_TYPE, REQUEST_SECONDS, REQUESTS, exposition

_DOORS: Final = {"tools": "tools", "v1": "models", "mcp": "mcp", "a2a": "a2a", "access": "access", "oauth": "tokens"}
HAND_ON_SECONDS: Final = 0.5
_ELSE: Final = "control-plane"


def measure(app: App, metrics: Path) -> App:
    """Return the application that counts each request of `app` and answers `/metrics` from the folder."""

    counts = _Counts()

    async def measured(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        if scope["path"] == "/metrics":
            counts.hand_on()
            await _answer(send, await asyncio.to_thread(exposition, metrics))
            return
        began, status = time.perf_counter(), 0

        async def sending(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        door = door_of(scope["path"])
        try:
            await app(scope, receive, sending)
        finally:
            counts.add(door, status, time.perf_counter() - began)

    return measured


class _Counts:
    """Requests that are counted here for a moment and handed on together: the shared counters cost several system calls each."""

    def __init__(self) -> None:
        self._waiting: list[tuple[str, int, float]] = []
        self._counters: dict[tuple[str, int], Any] = {}
        self._histograms: dict[str, Any] = {}

    def add(self, door: str, status: int, seconds: float) -> None:
        """Count one request."""
        self._waiting.append((door, status, seconds))
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_later(HAND_ON_SECONDS, self.hand_on)

    def hand_on(self) -> None:
        """Give what waits to the shared counters, one step for each label and bucket."""
        waiting, self._waiting = self._waiting, []
        for (door, status), number in Counter((door, status) for door, status, _ in waiting).items():
            counter = self._counters.get((door, status))
            if counter is None:
                counter = self._counters[door, status] = REQUESTS.labels(door, str(status))
            counter.inc(number)
        for door, _, seconds in waiting:
            histogram = self._histograms.get(door)
            if histogram is None:
                histogram = self._histograms[door] = REQUEST_SECONDS.labels(door)
            histogram.observe(seconds)


def door_of(path: str) -> str:
    """Return the door that a path belongs to, out of a closed set."""
    first, _, rest = path.lstrip("/").partition("/")
    if first == "tools" and not rest.endswith("/call"):
        return _ELSE
    return _DOORS.get(first, _ELSE)


async def _answer(send: Any, body: bytes) -> None:
    headers = [(b"content-type", CONTENT_TYPE.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
