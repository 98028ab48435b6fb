"""Tools that need no code, called through the gate like any tool: HTTP requests, statements of SQL, e-mails.

Secrets are opened here and go to their server alone: whatever comes back, an answer or an error, is scrubbed of them. A call
goes to hosts that the organization permits, at addresses that were looked at. A failure says whether anything was sent, and
whether it can be told what came of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import msgspec

from aos.kernel.email_tools import MailServer, Tls, read_letter, read_server
from aos.kernel.errors import AosError, UpstreamFailed
from aos.kernel.http_tools import Filled, fill
from aos.kernel.identity import Principal
from aos.kernel.json import Json, depth
from aos.kernel.limits import TOOL_ANSWER_BYTES_MAX
from aos.kernel.ports import Mailer, ModelTransport, SqlReader, ToolOutcome, UpstreamAnswer, UpstreamRequest
from aos.kernel.scrubbing import scrub, scrub_json, spellings
from aos.kernel.sql_tools import ROWS_USUAL, placeholders, read_dsn
from aos.kernel.tools import Effect, Repeat, Tool, secrets_of
from aos.operations.facts import FactsCache, OrganizationFacts

CONNECT_SECONDS_MAX: Final = 10.0
_CONNECT_SHARE: Final = 0.8
"""How much of a call's time the connection may take: so a deadline that passes says on which side of sending it was."""
_ERROR_CHARS: Final = 2_000
_ERROR_BYTES: Final = 100_000
_DEPTH_MAX: Final = 64
_GATEWAYS: Final = frozenset({502, 504})
"""What a server says that does not know itself what came of a request (RFC 9110 15.6)."""


class HttpTools:
    """The `ToolCaller` of HTTP requests."""

    def __init__(self, facts: FactsCache, transport: ModelTransport) -> None:
        self._facts = facts
        self._transport = transport

    async def call(
        self,
        tool: Tool,
        arguments: Mapping[str, Json],
        *,
        principal: Principal,
        idempotency_key: str,
        deadline_seconds: float,
    ) -> ToolOutcome:
        """Send the request that the tool's form makes of the caller's arguments and the tool's fixed ones."""
        facts = await self._facts.of(principal.organization_id)
        key = idempotency_key if tool.repeat is Repeat.KEYED else ""
        try:
            filled = fill(tool.options, {**arguments, **tool.fixed}, secret=facts.secret, key=key)
        except AosError as error:
            return _unsent(error)
        outcome = await self._send(tool, filled, facts, deadline_seconds=deadline_seconds)
        spelled = spellings(filled.secrets)
        return replace(outcome, value=scrub_json(outcome.value, spelled), error=scrub(outcome.error, spelled))

    async def _send(
        self, tool: Tool, filled: Filled, facts: OrganizationFacts, *, deadline_seconds: float
    ) -> ToolOutcome:
        request = UpstreamRequest(
            url=filled.url,
            headers=filled.headers,
            body=filled.body,
            permitted=facts.hosts,
            connect_seconds=min(CONNECT_SECONDS_MAX, deadline_seconds * _CONNECT_SHARE),
            first_byte_seconds=deadline_seconds,
            idle_seconds=deadline_seconds,
            method=filled.method,
            once=tool.repeat is Repeat.NEVER,
        )
        try:
            async with asyncio.timeout(deadline_seconds):
                answer = await self._transport.send(request)
                try:
                    return await _outcome(tool, answer, spellings(filled.secrets))
                finally:
                    await answer.close()
        except UpstreamFailed as error:
            return _lost(error.detail) if error.sent else _unsent(error)
        except TimeoutError:
            return _lost(f"no whole answer within {deadline_seconds:g} seconds")


class SqlTools:
    """The `ToolCaller` of statements that read a database."""

    def __init__(self, facts: FactsCache, reader: SqlReader) -> None:
        self._facts = facts
        self._reader = reader

    async def call(
        self,
        tool: Tool,
        arguments: Mapping[str, Json],
        *,
        principal: Principal,
        idempotency_key: str,
        deadline_seconds: float,
    ) -> ToolOutcome:
        """Run the tool's statement with the caller's arguments as parameters; one that is left out is null."""
        facts = await self._facts.of(principal.organization_id)
        query, rows = str(tool.options["query"]), tool.options.get("rows", ROWS_USUAL)
        given = {**arguments, **tool.fixed}
        try:
            (name,) = secrets_of(tool.options)
            dsn = facts.secret(name)
            server = read_dsn(dsn)
        except AosError as error:
            return _unsent(error)
        if tool.effect is not Effect.READ:
            return ToolOutcome(ok=False, error=f"`{tool.name}` is no reading tool", sent=False, frees_key=True)
        outcome = await self._reader.read(
            server,
            query,
            {each: given.get(each) for each in placeholders(query)[0]},
            organization_id=facts.id,
            permitted=facts.hosts,
            rows=rows if isinstance(rows, int) else ROWS_USUAL,
            deadline_seconds=deadline_seconds,
        )
        spelled = spellings((dsn, server.password))
        return replace(outcome, value=scrub_json(outcome.value, spelled), error=scrub(outcome.error, spelled))


class EmailTools:
    """The `ToolCaller` of e-mails."""

    def __init__(self, facts: FactsCache, mailer: Mailer) -> None:
        self._facts = facts
        self._mailer = mailer

    async def call(
        self,
        tool: Tool,
        arguments: Mapping[str, Json],
        *,
        principal: Principal,
        idempotency_key: str,
        deadline_seconds: float,
    ) -> ToolOutcome:
        """Send one message; the same key gives it the same Message-ID."""
        facts = await self._facts.of(principal.organization_id)
        try:
            names = secrets_of(tool.options)
            password = facts.secret(names[0]) if names else ""
            letter = read_letter(
                tool.options, {**arguments, **tool.fixed}, key=f"{facts.id}/{idempotency_key}", at=self._facts.now()
            )
        except AosError as error:
            return _unsent(error)
        host, port = read_server(str(tool.options["server"]))
        server = MailServer(
            host=host,
            port=port,
            tls=Tls(str(tool.options.get("tls", Tls.STARTTLS))),
            username=str(tool.options.get("username", "")),
            password=password,
            permitted=facts.hosts,
        )
        outcome = await self._mailer.send(server, letter, deadline_seconds=deadline_seconds)
        return replace(outcome, error=scrub(outcome.error, spellings((password,))))


async def _outcome(tool: Tool, answer: UpstreamAnswer, spelled: tuple[str, ...]) -> ToolOutcome:
    """Return what an answer says; raise UpstreamFailed where it is cut before a request is known to be refused."""
    if 300 <= answer.status < 400:
        detail = f"the server answered {answer.status}, a redirect, and redirects are not followed"
        return ToolOutcome(ok=False, error=detail)
    refused = answer.status >= 400
    try:
        body = await _body(answer, at_most=_ERROR_BYTES if refused else TOOL_ANSWER_BYTES_MAX)
    except UpstreamFailed:
        if not refused:
            raise
        body = None
    if refused:
        return _refused(tool, answer.status, scrub((body or b"").decode("utf-8", "replace"), spelled))
    if body is None:
        return _unreadable(tool, f"the server's answer is longer than {TOOL_ANSWER_BYTES_MAX} bytes")
    return _read(tool, answer.headers.get("content-type", ""), body)


async def _body(answer: UpstreamAnswer, *, at_most: int) -> bytes | None:
    """Return the whole body, None where it is longer."""
    parts, size = [], 0
    async for part in answer.parts():
        size += len(part)
        if size > at_most:
            return None
        parts.append(part)
    return b"".join(parts)


def _read(tool: Tool, kind: str, body: bytes) -> ToolOutcome:
    """Return a body that came whole as the tool's value: JSON, or text."""
    if not body:
        return ToolOutcome(ok=True)
    plain = kind.partition(";")[0].strip().lower()
    if plain == "application/json" or plain.endswith("+json"):
        try:
            value = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return _unreadable(tool, "the server's answer says that it is JSON, and is not")
        if depth(value, at_most=_DEPTH_MAX) > _DEPTH_MAX:
            return _unreadable(tool, f"the server's answer nests over {_DEPTH_MAX} deep")
        return ToolOutcome(ok=True, value=value)
    try:
        return ToolOutcome(ok=True, value=body.decode("utf-8"))
    except UnicodeDecodeError:
        return _unreadable(tool, f"the server's answer, {len(body)} bytes of `{plain[:80]}`, is neither JSON nor text")


def _unreadable(tool: Tool, detail: str) -> ToolOutcome:
    """Return the outcome of a request that the server did, and whose answer cannot be read: only a reading has failed."""
    if tool.effect is Effect.READ:
        return ToolOutcome(ok=False, error=detail)
    return ToolOutcome(ok=True, value={"done": True, "answer": None, "why": detail})


def _refused(tool: Tool, status: int, said: str) -> ToolOutcome:
    text = " ".join(said.split())[:_ERROR_CHARS]
    detail = f"the server answered {status}" + (f": {text}" if text else "")
    return ToolOutcome(ok=False, error=detail, unknown=status in _GATEWAYS and tool.effect is not Effect.READ)


def _lost(detail: str) -> ToolOutcome:
    return ToolOutcome(ok=False, error=detail, unknown=True)


def _unsent(error: AosError) -> ToolOutcome:
    return ToolOutcome(ok=False, error=error.detail, sent=False, frees_key=True)
