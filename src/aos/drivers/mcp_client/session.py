"""One session with one MCP server: begun, asked what it offers, called, ended; a task of its own holds it open.

- What the server offers is asked again when it says that it changed, and when it is older than a caller believes.
- The server's own requests (sampling, elicitation, roots) are refused by the official client, which is told of no way to
  answer them; what it says of its progress keeps nobody waiting longer.
- A call ends at its deadline, and the server is told; after `SILENT_MAX` calls in a row without an answer the session is over.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, cast

from anyio import BrokenResourceError, ClosedResourceError
from mcp import Client
from mcp.client._transport import TransportStreams
from mcp.client.session import IncomingMessage
from mcp.client.subscriptions import SubscriptionLost
from mcp.shared.dispatcher import ProgressFnT
from mcp.shared.exceptions import MCPError
from mcp_types import (
    REQUEST_TIMEOUT,
    CallToolRequest,
    CallToolRequestParams,
    CallToolResult,
    Implementation,
    InputRequiredResult,
    PaginatedRequestParams,
    RequestParamsMeta,
    ToolListChangedNotification,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import TypeAdapter, ValidationError

from aos.drivers.mcp_client.answers import failure_of, is_session_gone, outcome_of
from aos.drivers.mcp_client.values import KEY_META, Wire
from aos.kernel.errors import AosError, Unavailable
from aos.kernel.json import Json
from aos.kernel.limits import MCP_PAGES_MAX, MCP_TOOLS_MAX
from aos.kernel.mcp_servers import Offer
from aos.kernel.ports import Hears, ToolOutcome

SILENT_MAX: Final = 3
READ_SECONDS: Final = 30.0
"""How long a request that is no call may take."""
CLOSE_SECONDS: Final = 8.0
WRITE_SECONDS: Final = 1.0
"""How long after a call's deadline its cancellation may take to be written."""
LISTEN_AGAIN_SECONDS: Final = 30.0
_CLAIMS: Final = ("readOnlyHint", "destructiveHint", "idempotentHint")
_RESULT: Final[TypeAdapter[CallToolResult | InputRequiredResult]] = TypeAdapter(CallToolResult | InputRequiredResult)

log = logging.getLogger(__name__)


class SessionGone(Exception):
    """The server no longer knows the session and has worked on nothing: begin another."""


class McpSession:
    """A session; `name` is how its server is called."""

    def __init__(self, name: str, streams: Callable[[Wire], AbstractAsyncContextManager[TransportStreams]]) -> None:
        self._name = name
        self._streams = streams
        self._wire = Wire()
        self._ready: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._listing = asyncio.Lock()
        self._offers: dict[str, Offer] = {}
        self._listed_at: float | None = None
        self._silent = 0
        self._broken = False
        self.began_at = asyncio.get_running_loop().time()

    @property
    def alive(self) -> bool:
        """Return whether it can be used."""
        return not (self._wire.ended or self._broken or self._closing.is_set())

    async def begin(self) -> None:
        """Open the session; raise Unavailable where the server cannot be reached or does not speak MCP."""
        self._task = asyncio.create_task(self._hold(), name=f"mcp-{self._name}")
        await asyncio.shield(self._ready)

    async def close(self) -> None:
        """End the session and what it started, within a bound."""
        self._closing.set()
        if self._task is not None:
            if not self._ready.done():
                self._task.cancel()
            self._ready.add_done_callback(_seen)  # whoever began it may be gone
            _, late = await asyncio.wait([self._task], timeout=CLOSE_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def offers(self, *, newer_than_seconds: float) -> Mapping[str, Offer]:
        """Return what the server offers, asked again where that is older; raise Unavailable where it cannot be asked."""
        client, clock = await asyncio.shield(self._ready), asyncio.get_running_loop().time
        async with self._listing:
            if self._listed_at is None or clock() - self._listed_at > newer_than_seconds:
                asked_at = clock()
                self._listed_at = None
                try:
                    async with asyncio.timeout(READ_SECONDS):
                        self._offers = await _list(client, self._name)
                except (MCPError, ValidationError, TimeoutError, ValueError, RuntimeError) as error:
                    if isinstance(error, MCPError) and is_session_gone(error):
                        self._broken = True
                        raise SessionGone from error
                    raise Unavailable(f"`{self._name}` does not say what it offers: {_said(error)}") from error
                self._listed_at = asked_at
            return self._offers

    async def call(
        self,
        tool: str,
        arguments: Mapping[str, Json],
        *,
        idempotency_key: str,
        deadline_seconds: float,
        hears: Hears | None = None,
    ) -> ToolOutcome:
        """Call a tool and return its outcome; raise SessionGone where nothing was done because the session is over."""
        client = await asyncio.shield(self._ready)
        meta = cast(RequestParamsMeta, {KEY_META: idempotency_key})
        params = CallToolRequestParams(name=tool, arguments=dict(arguments), _meta=meta)
        try:
            async with asyncio.timeout(deadline_seconds + WRITE_SECONDS):
                result = await client.session.send_request(
                    CallToolRequest(params=params),
                    _RESULT,
                    request_read_timeout_seconds=deadline_seconds,
                    progress_callback=_told_to(hears),
                )
        except MCPError as error:
            if is_session_gone(error):
                self._broken = True
                raise SessionGone from error
            return self._failed(error, idempotency_key)
        except TimeoutError:
            self._silent += 1
            return self._late()
        except (ValidationError, ValueError, RuntimeError, OSError, ClosedResourceError, BrokenResourceError) as error:
            return ToolOutcome(
                ok=False, error=f"`{self._name}` answered with no result of MCP: {_said(error)}", unknown=True
            )
        finally:
            self._wire.written.discard(idempotency_key)
        self._silent = 0
        return outcome_of(result)

    def _failed(self, error: MCPError, key: str) -> ToolOutcome:
        if error.error.code == REQUEST_TIMEOUT:
            self._silent += 1
            self._broken = self._silent >= SILENT_MAX
            return self._late()
        self._silent = 0
        outcome = failure_of(error, written=key in self._wire.written or not self._wire.reason)
        if not self.alive:
            why = self._wire.reason or "its connection was lost"
            told = "before it answered" if outcome.unknown else "before the call was sent"
            return ToolOutcome(
                ok=False,
                error=f"`{self._name}` is gone: {why}, {told}",
                sent=outcome.sent,
                unknown=outcome.unknown,
                frees_key=outcome.frees_key,
            )
        return outcome

    def _late(self) -> ToolOutcome:
        return ToolOutcome(ok=False, error=f"`{self._name}` did not answer in time; it was told to stop", unknown=True)

    async def _hold(self) -> None:
        """Hold the session open until it is closed or its transport ends; what keeps it from beginning is told to `begin`."""
        try:
            client = Client(
                self._streams(self._wire),
                cache=None,
                message_handler=self._heard,
                read_timeout_seconds=READ_SECONDS,
                client_info=Implementation(name="aos", version="1"),
            )
            async with client:
                self._ready.set_result(client)
                listening = asyncio.create_task(self._listen(client), name=f"mcp-listen-{self._name}")
                try:
                    await self._closing.wait()
                finally:
                    listening.cancel()
                    await asyncio.gather(listening, return_exceptions=True)
        except BaseException as error:
            if self._ready.done():
                if not isinstance(error, asyncio.CancelledError):
                    log.warning("a session with the MCP server `%s` broke: %s", self._name, _said(error))
            elif isinstance(error, asyncio.CancelledError):
                self._ready.cancel()
            else:
                self._ready.set_exception(self._unavailable(error))
            if isinstance(error, asyncio.CancelledError | KeyboardInterrupt | SystemExit):
                raise
        finally:
            self._wire.ended = True

    async def _listen(self, client: Client) -> None:
        """Listen for changes of what the server offers, where it says since 2026-07-28 that it tells of them.

        A stream that is lost is opened again after a while; what is offered counts as changed then.
        """
        tools = client.server_capabilities.tools
        if client.protocol_version not in MODERN_PROTOCOL_VERSIONS or tools is None or not tools.list_changed:
            return
        while True:
            with contextlib.suppress(MCPError, SubscriptionLost, TimeoutError, ValueError):
                async with client.listen(tools_list_changed=True) as changes:
                    async for _ in changes:
                        self._listed_at = None
            self._listed_at = None
            await asyncio.sleep(LISTEN_AGAIN_SECONDS)

    def _unavailable(self, error: BaseException) -> Unavailable:
        inner = _innermost(error)
        if isinstance(inner, Unavailable):
            return inner
        why = self._wire.reason or _said(inner)
        return Unavailable(f"`{self._name}` cannot be reached: {why}")

    async def _heard(self, message: IncomingMessage) -> None:
        """Note that what it offers changed; everything else that a server says unasked is of no consequence."""
        if isinstance(message, ToolListChangedNotification):
            self._listed_at = None


async def _list(client: Client, name: str) -> dict[str, Offer]:
    """Return every tool that a server offers; raise Unavailable where they are too many, or two have one name."""
    found: dict[str, Offer] = {}
    cursor: str | None = None
    for _ in range(MCP_PAGES_MAX):
        page = await client.session.list_tools(params=PaginatedRequestParams(cursor=cursor) if cursor else None)
        for tool in page.tools:
            if tool.name in found:
                raise Unavailable(f"`{name}` offers two tools `{tool.name[:80]}`: none of its tools is called")
            hints: dict[str, Any] = tool.annotations.model_dump(by_alias=True) if tool.annotations else {}
            claims = tuple(hint for hint in _CLAIMS if hints.get(hint) is True)
            offer = Offer(tool.name, tool.description or "", tool.input_schema, claims)
            _ = offer.pin  # raises ValueError here, where nothing is called yet, for numbers that are none
            found[tool.name] = offer
        if len(found) > MCP_TOOLS_MAX:
            break
        cursor = page.next_cursor
        if not cursor:
            return found
    raise Unavailable(f"`{name}` offers more than {MCP_TOOLS_MAX} tools: none of them is called")


def _told_to(hears: Hears | None) -> ProgressFnT:
    """Return what takes a server's word of its progress: its numbers are passed on, the deadline stays what it is."""

    async def note(progress: float, total: float | None, message: str | None) -> None:
        if hears is not None:
            hears(progress, total)

    return note


def _seen(ready: asyncio.Future[Client]) -> None:
    if not ready.cancelled():
        ready.exception()


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _said(error: BaseException) -> str:
    """Return what an error says, in a line."""
    inner = _innermost(error)
    text = inner.detail if isinstance(inner, AosError) else str(inner)
    with contextlib.suppress(IndexError):
        text = text.splitlines()[0]
    return text[:300] or type(inner).__name__
