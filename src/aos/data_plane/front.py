"""The front of the one port: passes the control plane's and the console's paths on to their socket.

It waits where something may wait: `?wait=` and `Prefer: wait=` are taken off, the request is passed on, the bell awaited with
a sweep beneath, and the question asked once more. The control plane itself never waits for anything but a statement.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp
import msgspec

from aos.data_plane.http import Receive, Request, Response, Scope, Send, read_request
from aos.kernel.errors import InvalidRequest, Unavailable
from aos.kernel.limits import WAIT_SECONDS_MAX
from aos.operations.bell import Bell

SWEEP_SECONDS: Final = 2.0
"""How long a wait trusts the bell before it looks again by itself."""
_UNSETTLED: Final = frozenset({"pending", "running", "paused", "queued"})
_HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "date",
        "host",
        "keep-alive",
        "proxy-authorization",
        "server",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_CHANNELS: Final = {"approvals": "aos_approval", "runs": "aos_run"}
UPSTREAM_SECONDS: Final = 60.0
CONNECTIONS_MAX: Final = 64


class Front:
    """Passes requests on over a unix socket with pooled connections."""

    def __init__(self, socket_path: str, bell: Bell) -> None:
        self._socket_path = socket_path
        self._bell = bell
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close the pooled connections."""
        if self._session is not None:
            await self._session.close()

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, waiting for its answer to settle where the client asked for that."""
        request = await read_request(scope, receive)
        wait_seconds, request = _take_wait(request)
        if not wait_seconds:
            await self._stream(request, scope, send)
            return
        deadline = asyncio.get_running_loop().time() + wait_seconds
        response = await self._ask(request, scope)
        while (found := _unsettled(request, response)) is not None:
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                break
            channel, subject, again = found
            await self._bell.wait(channel, subject, timeout_seconds=min(left, SWEEP_SECONDS))
            asked = await self._ask(again, scope)
            if asked.status != 200:
                break
            response = Response(response.status, asked.body, asked.media_type, response.headers)
        await _send(send, response)

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.UnixConnector(self._socket_path, limit=CONNECTIONS_MAX)
            timeout = aiohttp.ClientTimeout(total=UPSTREAM_SECONDS, sock_connect=5)
            self._session = aiohttp.ClientSession(
                connector=connector, timeout=timeout, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session

    def _upstream(self, request: Request, scope: Scope) -> Any:
        headers = {name: value for name, value in request.headers.items() if name not in _HOP_BY_HOP}
        headers["host"] = request.headers.get("host", "localhost")
        headers["x-forwarded-for"] = str((scope.get("client") or ("unknown",))[0])
        query = f"?{urlencode(request.query)}" if request.query else ""
        return self._client().request(
            request.method,
            f"http://control-plane{scope.get('raw_path', b'').decode('latin-1').partition('?')[0] or request.path}{query}",
            data=request.body or None,
            headers=headers,
            allow_redirects=False,
            skip_auto_headers=("user-agent", "content-type", "accept"),
        )

    async def _stream(self, request: Request, scope: Scope, send: Send) -> None:
        try:
            async with self._upstream(request, scope) as answer:
                await send(
                    {"type": "http.response.start", "status": answer.status, "headers": _headers(answer.headers)}
                )
                async for chunk in answer.content.iter_any():
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
        except (aiohttp.ClientConnectorError, aiohttp.ServerDisconnectedError, FileNotFoundError) as error:
            raise Unavailable("the control plane is not ready; try again in a second") from error

    async def _ask(self, request: Request, scope: Scope) -> Response:
        try:
            async with self._upstream(request, scope) as answer:
                body = await answer.read()
                media_type = answer.headers.get("content-type", "application/json").encode("latin-1")
                kept = tuple(
                    (name, value)
                    for name, value in _headers(answer.headers)
                    if name not in (b"content-type", b"content-length")
                )
                return Response(answer.status, body, media_type, kept)
        except (aiohttp.ClientConnectorError, aiohttp.ServerDisconnectedError, FileNotFoundError) as error:
            raise Unavailable("the control plane is not ready; try again in a second") from error


async def _send(send: Send, response: Response) -> None:
    headers = [
        (b"content-type", response.media_type),
        (b"content-length", str(len(response.body)).encode("ascii")),
        *response.headers,
    ]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


def _headers(headers: Any) -> list[tuple[bytes, bytes]]:
    return [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in headers.items()
        if name.lower() not in _HOP_BY_HOP
    ]


def _take_wait(request: Request) -> tuple[float, Request]:
    """Return how long the client wants to wait, and the request without that wish."""
    wanted = request.query.get("wait")
    prefer = request.headers.get("prefer", "")
    if wanted is None:
        for part in prefer.split(","):
            name, _, value = part.strip().partition("=")
            if name.lower() == "wait":
                wanted = value
    if wanted is None:
        return 0.0, request
    if not wanted.isdigit():
        raise InvalidRequest(f"wait must be a whole number of seconds up to {WAIT_SECONDS_MAX}, not `{wanted[:20]}`")
    query = {name: value for name, value in request.query.items() if name != "wait"}
    headers = {name: value for name, value in request.headers.items() if name != "prefer"}
    seconds = float(min(int(wanted), WAIT_SECONDS_MAX))
    return seconds, Request(request.method, request.path, query, headers, request.body)


def _unsettled(request: Request, response: Response) -> tuple[str, str, Request] | None:
    """Return the bell's channel, the subject to wait for and the question to repeat; None where nothing is awaited."""
    collection = request.path.strip("/").partition("/")[0]
    if collection not in _CHANNELS or response.status not in (200, 201):
        return None
    document: object = None
    with contextlib.suppress(msgspec.DecodeError):
        document = msgspec.json.decode(response.body)
    if not isinstance(document, Mapping) or not isinstance(document.get("id"), str):
        return None
    if document.get("state", document.get("status")) not in _UNSETTLED:
        return None
    subject = document["id"]
    headers = {name: value for name, value in request.headers.items() if name not in ("content-length", "content-type")}
    headers.pop("idempotency-key", None)
    return _CHANNELS[collection], subject, Request("GET", f"/{collection}/{subject}", {}, headers, b"")
