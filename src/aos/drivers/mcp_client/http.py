"""A server behind an address, over streamable HTTP: the official client's requests, sent by our own `ModelTransport`.

So an MCP server is reached by the same rules as a model's: a permitted host, resolved once, no redirect, no proxy, nothing
decompressed. Only POST is sent: a stream opened by GET, and the DELETE that ends a session, are answered here. Whatever goes
wrong becomes an answer that carries what is known of the request under `MARK`, so that no error ends the other calls.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import httpx2
import msgspec
from mcp.client._transport import TransportStreams
from mcp.client.streamable_http import streamable_http_client
from mcp_types import INTERNAL_ERROR

from aos.drivers.mcp_client.values import MARK, Wire
from aos.kernel.errors import UpstreamFailed
from aos.kernel.limits import MCP_MESSAGE_BYTES_MAX
from aos.kernel.mcp_servers import McpTarget
from aos.kernel.ports import ModelTransport, UpstreamAnswer, UpstreamRequest

SESSION_HEADER: Final = "mcp-session-id"
FIRST_BYTE_SECONDS: Final = 3_600.0
"""A call's own deadline ends it long before."""
IDLE_SECONDS: Final = 3_600.0
_UNSENT_STATUS: Final = frozenset({401, 403, 405, 406, 413, 415, 429})
"""A request that is answered so was not worked on."""


@asynccontextmanager
async def address(target: McpTarget, transport: ModelTransport, wire: Wire) -> AsyncIterator[TransportStreams]:
    """Carry messages to and from the server at an address."""
    carrier = _Carrier(target, transport)
    async with httpx2.AsyncClient(
        transport=carrier, headers=dict(target.headers), timeout=None, trust_env=False
    ) as client:
        carried = streamable_http_client(
            target.url, http_client=client, terminate_on_close=False, max_sse_event_size=MCP_MESSAGE_BYTES_MAX
        )
        try:
            async with carried as streams:
                yield streams
        finally:
            wire.ended = True


class _Carrier(httpx2.AsyncBaseTransport):
    """Sends the client's requests through a `ModelTransport`."""

    def __init__(self, target: McpTarget, transport: ModelTransport) -> None:
        self._target = target
        self._transport = transport

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Return the answer, or one of our own that says what went wrong."""
        if request.method != "POST":
            return httpx2.Response(405, request=request)
        sent = UpstreamRequest(
            url=str(request.url),
            headers=tuple((name.lower(), value) for name, value in request.headers.raw),
            body=await request.aread(),
            permitted=self._target.permitted,
            first_byte_seconds=FIRST_BYTE_SECONDS,
            idle_seconds=IDLE_SECONDS,
        )
        try:
            answer = await self._transport.send(sent)
        except UpstreamFailed as error:
            return _failed(request, error.detail, kind="lost" if error.sent else "unsent")
        return await self._read(request, answer)

    async def _read(self, request: httpx2.Request, answer: UpstreamAnswer) -> httpx2.Response:
        kind = answer.headers.get("content-type", "").lower()
        encoding = answer.headers.get("content-encoding", "identity").lower()
        if 300 <= answer.status < 400 or encoding != "identity":
            await answer.close()
            what = "with a redirect, which is not followed" if encoding == "identity" else "compressed, unasked"
            return _failed(request, f"`{self._target.name}` answered {what}", kind="unsent")
        headers = [(name, value) for name, value in answer.headers.items() if name in ("content-type", SESSION_HEADER)]
        if answer.status < 400 and kind.startswith("text/event-stream"):
            return httpx2.Response(answer.status, headers=headers, stream=_Body(answer), request=request)
        try:
            body = await answer.read(at_most=MCP_MESSAGE_BYTES_MAX)
        except UpstreamFailed as error:
            return _failed(request, error.detail, kind="lost")
        finally:
            await answer.close()
        if answer.status == 404 and SESSION_HEADER in request.headers:
            return _failed(request, f"`{self._target.name}` has ended the session", kind="session")
        if answer.status >= 400 and not _is_error(body):
            told = "unsent" if answer.status in _UNSENT_STATUS else "refused" if answer.status < 500 else "lost"
            if answer.status in (400, 404, 405):
                return httpx2.Response(answer.status, content=b"", request=request)  # says of what era it is
            return _failed(request, f"`{self._target.name}` answered with the status {answer.status}", kind=told)
        return httpx2.Response(answer.status, headers=headers, content=body, request=request)


class _Body(httpx2.AsyncByteStream):
    """The body of an answer as it comes."""

    def __init__(self, answer: UpstreamAnswer) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the parts; a cut stream is an error of the client's own kind."""
        try:
            async for part in self._answer.parts():
                yield part
        except UpstreamFailed as error:
            raise httpx2.ReadError(error.detail) from error

    async def aclose(self) -> None:
        """Let go of the connection."""
        await self._answer.close()


def _is_error(body: bytes) -> bool:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return isinstance(found, dict) and "error" in found


def _failed(request: httpx2.Request, detail: str, *, kind: str) -> httpx2.Response:
    """Return the answer that carries an error of our own to the one request that it is of."""
    error = {"code": INTERNAL_ERROR, "message": detail, "data": {MARK: kind}}
    body = msgspec.json.encode({"jsonrpc": "2.0", "id": None, "error": error})
    return httpx2.Response(502, headers={"content-type": "application/json"}, content=body, request=request)
