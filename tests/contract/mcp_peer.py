"""The official MCP client against a data plane of `tests.doors`, in both eras of the protocol, and by hand."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from uuid import UUID

import httpx
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult

from aos.kernel.people import Actor, Role
from aos.kernel.policy.values import Approvers, Outcome, Rule
from aos.operations.approvals import Answer, Approvals
from tests.doors import Door

STATELESS, HANDSHAKE = "2026-07-28", "2025-11-25"
MODES = {STATELESS: "auto", HANDSHAKE: "legacy"}
BOTH_MODES = tuple(MODES.values())
SECONDS = 30

PAY = {"iban": "DE89370400440532013000", "amount": "12.50", "currency": "EUR"}
LARGE = {**PAY, "amount": "5000.00"}
ASK = Rule(
    "large-payments", 1, Outcome.ESCALATE, ("finance",), ("tool:payments.create",), "args.amount > 1000",
    "payment of {args.amount} {args.currency} is over the limit", approvers=Approvers(),
)  # fmt: skip
NEVER = Rule("no-dollars", 1, Outcome.DENY, (), ("tool:payments.create",), 'args.currency == "USD"', "no dollars")

T = TypeVar("T")


@asynccontextmanager
async def connected(
    door: Door, token: str, revision: str, *, ports: Sequence[int] = (), **more: Any
) -> AsyncIterator[Client]:
    """Connect the official client as the agent whose key `token` is; its requests go to `ports` in turn."""
    headers = {"Authorization": f"Bearer {token}"}
    turns = itertools.cycle(ports or (door.port,))

    async def turn(request: httpx2.Request) -> None:
        request.url = request.url.copy_with(port=next(turns))

    async with httpx2.AsyncClient(headers=headers, timeout=SECONDS, event_hooks={"request": [turn]}) as http:
        transport = streamable_http_client(f"{door.url}/mcp", http_client=http)
        async with Client(transport, mode=MODES[revision], read_timeout_seconds=SECONDS, **more) as client:
            assert client.protocol_version == revision
            yield client


def speak(door: Door, token: str, revision: str, work: Callable[[Client], Awaitable[T]], **more: Any) -> T:
    """Run `work` with a connected client and return what it returns."""

    async def main() -> T:
        async with connected(door, token, revision, **more) as client:
            return await work(client)

    return asyncio.run(main())


def call(door: Door, token: str, revision: str, tool: str, arguments: Any = None, **more: Any) -> CallToolResult:
    """Call a tool once on a connection of its own."""
    return speak(door, token, revision, lambda client: client.call_tool(tool, arguments or {}), **more)


def fault(door: Door, token: str, revision: str, work: Callable[[Client], Awaitable[object]], **more: Any) -> MCPError:
    """Return the protocol's error that `work` ends in."""

    async def main() -> MCPError:
        async with connected(door, token, revision, **more) as client:
            try:
                await work(client)
            except MCPError as error:
                return error
        raise AssertionError("no error came")

    return asyncio.run(main())


def text_of(result: CallToolResult) -> str:
    """Return the text of a result, of which there is one."""
    (block,) = result.content
    assert block.type == "text"
    return block.text


def message(method: str, params: Any = None, *, revision: str = HANDSHAKE, ident: Any = 1) -> dict[str, Any]:
    """Return a request as it is sent by hand."""
    params = dict(params or {})
    if revision == STATELESS:
        meta = {
            "io.modelcontextprotocol/protocolVersion": STATELESS,
            "io.modelcontextprotocol/clientCapabilities": {},
        }
        params["_meta"] = {**meta, **params.get("_meta", {})}
    return {"jsonrpc": "2.0", "id": ident, "method": method, "params": params}


def headers_for(body: Any, revision: str) -> dict[str, str]:
    """Return the headers of a revision that repeat what the body says."""
    headers = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": revision}
    if revision == STATELESS and isinstance(body, dict):
        headers["Mcp-Method"] = str(body.get("method"))
        name = (body.get("params") or {}).get("name")
        if name is not None:
            headers["Mcp-Name"] = str(name)
    return headers


def send(door: Door, token: str | None, body: Any, *, revision: str = HANDSHAKE, **headers: str) -> httpx.Response:
    """Send one message by hand; `headers` replace those of the revision, an empty one takes it away."""
    sent = headers_for(body, revision)
    if token is not None:
        sent["Authorization"] = f"Bearer {token}"
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    sent = {name: value for name, value in sent.items() if value}
    if isinstance(body, bytes):
        return door.client.post("/mcp", content=body, headers={"Content-Type": "application/json", **sent})
    return door.client.post("/mcp", json=body, headers=sent)


def answer(door: Door, approval: str, said: Answer, comment: str = "") -> None:
    """Answer an approval as a person does."""
    actor = Actor(
        door.world.organization_id, door.world.person_id, "maria@larkspur.example", frozenset({Role.APPROVER})
    )
    does = Approvals(door.running.database, door.running.facts, door.running.drivers)
    door.run(does.answer_approval(actor, UUID(approval), answer=said, comment=comment))
