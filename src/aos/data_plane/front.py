"""The front of the one port: passes the control plane's and the console's paths on to their socket, as they came.

It waits where something may wait: `?wait=` and `Prefer: wait=` are taken off, the request is passed on, the bell awaited with
a sweep beneath, and the question asked once more; a run's pause is asked again until it has taken effect. The control plane itself never waits for anything but a statement.
Rules a reader must not break: path, query and headers are passed on as bytes, never taken apart and put together again;
a download is passed on piece by piece and ends when the client is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import unquote_plus

import aiohttp
import msgspec
from yarl import URL

from aos.data_plane.http import Receive, Scope, Send, read_body, until_gone
from aos.kernel.errors import DeadlineExceeded, InvalidRequest, Unavailable
from aos.kernel.limits import WAIT_SECONDS_MAX
from aos.operations.bell import Bell

SWEEP_SECONDS: Final = 2.0
"""How long a wait trusts the bell before it looks again by itself."""
UPSTREAM_SECONDS: Final = 60.0
"""How long the control plane may be silent, before its answer or within it."""
PAUSE_SECONDS_MAX: Final = 10.0
"""How long a pause is waited for until it has taken effect."""
PAUSE_AGAIN_SECONDS: Final = 0.1
CONNECTIONS_MAX: Final = 64
_UNSETTLED: Final = frozenset({"pending", "running", "paused", "queued"})
_CHANNELS: Final = {"approvals": "aos_approval", "runs": "aos_run"}
_HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"date",
        b"expect",
        b"keep-alive",
        b"proxy-authorization",
        b"server",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"x-forwarded-for",
    }
)
_OF_A_BODY: Final = frozenset({"content-length", "content-type", "idempotency-key"})

Headers = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class _Question:
    """One request to the control plane: `path` and `query` as the client spelled them."""

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class _Answer:
    """One whole answer of the control plane."""

    status: int
    headers: Headers
    body: bytes


class Front:
    """Passes requests on over a unix socket with pooled connections; `sweep_seconds` is for when the bell is lost."""

    def __init__(self, socket_path: str, bell: Bell, *, sweep_seconds: float = SWEEP_SECONDS) -> None:
        self._socket_path = socket_path
        self._bell = bell
        self._sweep_seconds = sweep_seconds
        self._session: aiohttp.ClientSession | None = None
        self._waiting: set[asyncio.Task[None]] = set()
        self._ended = False

    def end_waits(self) -> None:
        """Answer whoever waits with what stands, as if they were gone: the process ends."""
        self._ended = True
        for gone in self._waiting:
            gone.cancel()

    async def close(self) -> None:
        """Close the pooled connections."""
        if self._session is not None:
            await self._session.close()

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, waiting for its answer to settle where the client asked for that.

        Raises Unavailable where the control plane is away, DeadlineExceeded where it is silent for too long.
        """
        wait_seconds, question = _take_wait(_question(scope, await read_body(scope, receive)))
        gone = asyncio.create_task(until_gone(receive))
        try:
            if _is_pause(question):
                await _send(send, await self._paused(question, gone))
            elif wait_seconds and not self._ended:
                self._waiting.add(gone)
                await _send(send, await self._settled(question, gone, wait_seconds=wait_seconds))
            else:
                await self._pass_on(question, gone, send=send)
        finally:
            self._waiting.discard(gone)
            gone.cancel()

    async def _paused(self, question: _Question, gone: asyncio.Task[None]) -> _Answer:
        """Return the answer to a pause once nothing of the run runs any more, or as it stands when the time is up.

        A pause is repeated as often as one likes, and the end of a pass rings no bell: it is asked again and again.
        """
        clock = asyncio.get_running_loop().time
        deadline = clock() + PAUSE_SECONDS_MAX
        answer = await self._ask(question)
        while answer.status == 202 and clock() < deadline and not gone.done():
            await asyncio.wait([gone], timeout=PAUSE_AGAIN_SECONDS)
            answer = await self._ask(question)
        return answer

    async def _settled(self, question: _Question, gone: asyncio.Task[None], *, wait_seconds: float) -> _Answer:
        """Return the answer once it says that the matter is settled, or as it stands when the time is up."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + wait_seconds
        answer = await self._ask(question)
        while (found := _unsettled(question, answer)) is not None and not gone.done() and clock() < deadline:
            channel, subject, again = found
            timeout = min(deadline - clock(), self._sweep_seconds)
            # Listening begins before the question is asked again: what changes in between rings the bell.
            rung = asyncio.create_task(self._bell.wait(channel, subject, timeout_seconds=timeout))
            try:
                asked = await self._ask(again)
                if asked.status != 200:
                    break
                answer = replace(asked, status=answer.status, headers=_kept(answer.headers, asked.headers))
                if _unsettled(question, answer) is not None:
                    await asyncio.wait([rung, gone], return_when=asyncio.FIRST_COMPLETED)
            finally:
                rung.cancel()
        return answer

    async def _pass_on(self, question: _Question, gone: asyncio.Task[None], *, send: Send) -> None:
        async with self._asking(question) as answer:
            await send({"type": "http.response.start", "status": answer.status, "headers": _headers(answer)})
            async for chunk in answer.content.iter_any():
                if gone.done():
                    return
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})

    async def _ask(self, question: _Question) -> _Answer:
        async with self._asking(question) as answer:
            return _Answer(answer.status, _headers(answer), await answer.read())

    @asynccontextmanager
    async def _asking(self, question: _Question) -> AsyncIterator[aiohttp.ClientResponse]:
        address = f"http://control-plane{question.path}{question.query and '?'}{question.query}"
        try:
            async with self._client().request(
                question.method,
                URL(address, encoded=True),
                data=question.body or None,
                headers=question.headers,
                allow_redirects=False,
                skip_auto_headers=("user-agent", "content-type", "accept", "accept-encoding"),
            ) as answer:
                yield answer
        except (aiohttp.ClientConnectorError, FileNotFoundError) as error:
            raise Unavailable("the control plane is not ready; try again in a second") from error
        except TimeoutError as error:
            raise DeadlineExceeded(f"the control plane was silent for {UPSTREAM_SECONDS:.0f} seconds") from error
        except aiohttp.ClientError as error:
            detail = "the control plane went away before it had answered; a write may be done: repeat it under its key"
            raise Unavailable(detail) from error

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            # No time-out over all: a download may take as long as it keeps coming.
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=UPSTREAM_SECONDS)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(self._socket_path, limit=CONNECTIONS_MAX),
                timeout=timeout,
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session


async def _send(send: Send, answer: _Answer) -> None:
    length = () if answer.status in (204, 304) else ((b"content-length", str(len(answer.body)).encode("ascii")),)
    headers = (*(each for each in answer.headers if each[0] != b"content-length"), *length)
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


def _question(scope: Scope, body: bytes) -> _Question:
    named = _named_by_connection(scope["headers"])
    headers = [
        (name.decode("latin-1"), _text(value))
        for name, value in scope["headers"]
        if name not in _HOP_BY_HOP and name not in named and name != b"content-length"
    ]
    headers.append(("x-forwarded-for", str((scope.get("client") or ("unknown",))[0])))
    path, query = scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1")
    return _Question(scope["method"], path, query, tuple(headers), body)


def _text(value: bytes) -> str:
    """Return a header's value as aiohttp takes it: it writes UTF-8."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _headers(answer: aiohttp.ClientResponse) -> Headers:
    headers = [(name.lower(), value) for name, value in answer.raw_headers]
    named = _named_by_connection(headers)
    return tuple((name, value) for name, value in headers if name not in _HOP_BY_HOP and name not in named)


def _named_by_connection(headers: list[tuple[bytes, bytes]]) -> set[bytes]:
    """Return the headers that are for one hop only because `Connection` says so (RFC 9110, section 7.6.1)."""
    return {part.strip().lower() for name, value in headers if name == b"connection" for part in value.split(b",")}


def _kept(first: Headers, last: Headers) -> Headers:
    """Return the headers of the first answer, such as its Location, over the body of the last one."""
    of_body = {b"content-type", b"content-encoding", b"etag"}
    return (*(each for each in first if each[0] not in of_body), *(each for each in last if each[0] in of_body))


def _take_wait(question: _Question) -> tuple[float, _Question]:
    """Return how long the client wants to wait, and the question without that wish."""
    parts = question.query.split("&") if question.query else []
    kept = [part for part in parts if unquote_plus(part.partition("=")[0]) != "wait"]
    wanted = [unquote_plus(part.partition("=")[2]) for part in parts if part not in kept][-1:]
    headers: list[tuple[str, str]] = []
    for name, value in question.headers:
        wishes = [wish.strip() for wish in value.split(",")] if name == "prefer" else []
        waits = [wish for wish in wishes if wish.partition("=")[0].strip().lower() == "wait"]
        wanted = wanted or [wish.partition("=")[2].strip() for wish in waits]
        rest = ", ".join(wish for wish in wishes if wish not in waits)
        if not waits or rest:
            headers.append((name, rest if waits else value))
    if not wanted:
        return 0.0, question
    text = wanted[0]
    if not (text.isascii() and text.isdigit()):
        raise InvalidRequest(f"wait must be a whole number of seconds up to {WAIT_SECONDS_MAX}, not `{text[:20]}`")
    seconds = WAIT_SECONDS_MAX if len(text) > 9 else min(int(text), WAIT_SECONDS_MAX)
    return float(seconds), replace(question, query="&".join(kept), headers=tuple(headers))


def _is_pause(question: _Question) -> bool:
    parts = question.path.strip("/").split("/")
    return question.method == "POST" and len(parts) == 3 and (parts[0], parts[2]) == ("runs", "pause")


def _unsettled(question: _Question, answer: _Answer) -> tuple[str, str, _Question] | None:
    """Return the bell's channel, the subject to wait for and the question to repeat; None where nothing is awaited."""
    collection = question.path.strip("/").partition("/")[0]
    if collection not in _CHANNELS or answer.status not in (200, 201):
        return None
    document: object = None
    with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
        document = msgspec.json.decode(answer.body)
    if not isinstance(document, Mapping) or not isinstance(document.get("id"), str):
        return None
    if document.get("state", document.get("status")) not in _UNSETTLED:
        return None
    subject = document["id"]
    headers = tuple((name, value) for name, value in question.headers if name not in _OF_A_BODY)
    return _CHANNELS[collection], subject, _Question("GET", f"/{collection}/{subject}", "", headers, b"")
