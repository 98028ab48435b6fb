"""An MCP server behind an address whose answer is a stream that never ends, or ends without an answer: cut, and no other call harmed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest

from aos.drivers.mcp_client.pool import McpPool
from aos.drivers.model_http import ModelHttp
from aos.kernel.limits import MCP_MESSAGE_BYTES_MAX
from aos.kernel.mcp_servers import McpTarget
from aos.kernel.ports import ToolOutcome
from tests.contract.mcp_servers_peer import CONFIG, NOTE, call, tools_of
from tests.contract.model_http_peer import DEADLINE_SECONDS, Line, peer
from tests.worlds import THIS_MACHINE

(NOTED,) = tools_of("rogue", [NOTE]).values()
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
DONE = {"content": [{"type": "text", "text": "noted"}]}

Streaming = Callable[[Line, Any], Awaitable[None]]


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def event(message: Any) -> bytes:
    return b"event: message\ndata: %b\n\n" % json.dumps({"jsonrpc": "2.0", **message}).encode()


async def for_ever(line: Line, part: bytes) -> None:
    await line.say(STREAM)
    while not line.writer.is_closing():
        await line.say(chunk(part))
        await asyncio.sleep(0.005)


async def comments(line: Line, asked: Any) -> None:
    await for_ever(line, b": still here\n\n")


async def one_event(line: Line, asked: Any) -> None:
    """An event of which there is always more, past what a message may be."""
    await line.say(STREAM, chunk(b"data: "))
    for _ in range(2 * MCP_MESSAGE_BYTES_MAX // 65_536):
        await line.say(chunk(b"x" * 65_536))
    await for_ever(line, b"x")


async def progress(line: Line, asked: Any) -> None:
    token = asked["params"]["_meta"]["progressToken"]
    params = {"progressToken": token, "progress": 1}
    await for_ever(line, event({"method": "notifications/progress", "params": params}))


async def questions(line: Line, asked: Any) -> None:
    params = {"messages": [], "maxTokens": 1}
    await for_ever(line, event({"id": "q", "method": "sampling/createMessage", "params": params}))


async def ends(line: Line, asked: Any) -> None:
    await line.say(STREAM, chunk(b": nothing comes\n\n"), b"0\r\n\r\n")


async def breaks(line: Line, asked: Any) -> None:
    await line.say(STREAM, chunk(b"data: {"))
    line.cut()


def server(streaming: Streaming) -> Callable[[Line], Awaitable[None]]:
    """Return a server of 2025-11-25 whose every second call is answered so, and the others well."""
    calls = 0

    async def answer(line: Line) -> None:
        nonlocal calls
        asked = json.loads(line.request.partition(b"\r\n\r\n")[2])
        ident, method = asked.get("id"), asked.get("method")
        if method == "tools/call":
            calls += 1
            if calls % 2:
                await streaming(line, asked)
                return
        found: Any = {
            "initialize": {
                "protocolVersion": "2025-11-25",
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "r", "version": "1"},
            },
            "tools/list": {"tools": [{"name": NOTE.name, "description": NOTE.description, "inputSchema": NOTE.schema}]},
            "tools/call": DONE,
        }.get(method)
        if ident is None:
            await line.say_whole(b"", status="202 Accepted")
        elif found is None:
            error = {"jsonrpc": "2.0", "id": ident, "error": {"code": -32601, "message": "no such method"}}
            await line.say_whole(
                json.dumps(error).encode(), status="404 Not Found", head=b"content-type: application/json\r\n"
            )
        else:
            body = json.dumps({"jsonrpc": "2.0", "id": ident, "result": found}).encode()
            await line.say_whole(body, head=b"content-type: application/json\r\n")

    return answer


@pytest.mark.parametrize("streaming", [comments, one_event, progress, questions, ends, breaks])
def test_a_stream_without_an_answer_leaves_the_outcome_unknown_and_the_next_call_is_answered(
    streaming: Streaming,
) -> None:
    async def main() -> list[ToolOutcome]:
        async with asyncio.timeout(DEADLINE_SECONDS), peer(server(streaming)) as served:
            target = McpTarget(uuid4(), "rogue", url=f"http://127.0.0.1:{served.port}/mcp", permitted=("127.0.0.1",))
            transport = ModelHttp(private=THIS_MACHINE)
            pool = McpPool(CONFIG, transport)
            try:
                await pool.offers(target, deadline_seconds=20)
                return [await call(pool, target, NOTED, deadline_seconds=1.0) for _ in range(2)]
            finally:
                await pool.close()
                await transport.close()

    cut, answered = asyncio.run(main())
    assert (cut.ok, cut.unknown) == (False, True), cut
    assert (answered.ok, answered.value) == (True, "noted"), answered
