"""The data plane's application with its requests counted, and `/metrics` answered with what all processes count."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any, Final

from aos.data_plane.app import App
from aos.telemetry.metrics import CONTENT_TYPE, REQUEST_SECONDS, REQUESTS, exposition

_DOORS: Final = {"tools": "tools", "v1": "models", "mcp": "mcp", "a2a": "a2a", "access": "access", "oauth": "tokens"}
_ELSE: Final = "control-plane"


def measure(app: App, metrics: Path) -> App:
    """Return the application that counts each request of `app` and answers `/metrics` from the folder."""

    async def measured(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        if scope["path"] == "/metrics":
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
            REQUESTS.labels(door, str(status)).inc()
            REQUEST_SECONDS.labels(door).observe(time.perf_counter() - began)

    return measured


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
