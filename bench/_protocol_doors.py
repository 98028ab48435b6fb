"""The HTTP protocols of `protocols`: tool calls through MCP, and messages through A2A that a run answers."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any, Final

from bench._installation import Installation
from bench._tool_client import FRESH
from bench.tool_calls import ARGUMENTS, CLIENT, SETTLE_SECONDS, counted

MCP: Final = "2026-07-28"
REPLIES: Final = "async def reply(ctx):\n    return {'ok': True}\n"
"""The agent that A2A's messages go to: it runs in a host and does nothing."""


def mcp_tool_calls(aos: Installation, key: str, *, callers: int, seconds: float) -> dict[str, Any]:
    """Call the no-op tool through `/mcp`, a request of its own each time, as the stateless revision has it."""
    name = "bench_nothing"
    meta = {"io.modelcontextprotocol/protocolVersion": MCP, "io.modelcontextprotocol/clientCapabilities": {}}
    params = {"name": name, "arguments": ARGUMENTS["bench.nothing"], "_meta": meta}
    said = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    headers = {
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": MCP,
        "mcp-method": "tools/call",
        "mcp-name": name,
    }
    _load(aos, key, "/mcp", said, headers, callers=16, seconds=2.0)
    before, cpu = counted(aos), aos.cpu_seconds()
    seen = _load(aos, key, "/mcp", said, headers, callers=callers, seconds=seconds)
    after, calls = counted(aos), seen["calls"]
    found = {each: after[each] - before[each] for each in after}
    wanted = {"intended": calls, "concluded": calls, "charged": calls, "waiting": 0}
    if seen["statuses"] != {"200": calls} or found != wanted:
        return {"void": True, "statuses": seen["statuses"], "found": found}
    return _line(aos, seen, cpu, callers)


def a2a_messages(aos: Installation, key: str, *, callers: int, seconds: float) -> dict[str, Any]:
    """Send messages to an agent and wait for its answers: each is an act, a run and a task in a host."""
    part = {"messageId": FRESH.decode(), "role": "ROLE_USER", "parts": [{"text": "hello"}]}
    said = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": part}}
    headers = {"a2a-version": "1.0"}
    _load(aos, key, "/a2a/replies", said, headers, callers=4, seconds=2.0)
    before, cpu = _ended(aos), aos.cpu_seconds()
    seen = _load(aos, key, "/a2a/replies", said, headers, callers=callers, seconds=seconds)
    found, calls = _ended(aos) - before, seen["calls"]
    if seen["statuses"] != {"200": calls} or found != calls:
        return {"void": True, "calls": calls, "statuses": seen["statuses"], "ended": found}
    return _line(aos, seen, cpu, callers)


def _load(
    aos: Installation, key: str, path: str, said: Any, headers: Mapping[str, str], *, callers: int, seconds: float
) -> dict[str, Any]:
    body = json.dumps(said)
    head = [
        f"POST {path} HTTP/1.1", f"host: 127.0.0.1:{aos.port}", f"authorization: Bearer {key}",
        "content-type: application/json", f"content-length: {len(body)}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]  # fmt: skip
    asked = {"port": aos.port, "request": "\r\n".join([*head, "", body]), "callers": callers, "seconds": seconds}
    done = subprocess.run(
        [sys.executable, "-P", CLIENT],
        input=json.dumps(asked),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=seconds + SETTLE_SECONDS,
    )
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


def _ended(aos: Installation) -> int:
    """Return how many tasks of A2A's clients have ended well, once every record has its leaf."""
    counted(aos)
    until = time.monotonic() + SETTLE_SECONDS
    query = (
        "select count(*) filter (where r.state = 'succeeded'), count(*) from a2a_task t join run r on r.id = t.run_id"
    )
    with aos.owner() as connection:
        while True:
            ended, every = connection.execute(query.encode()).fetchone() or (0, 0)
            if ended == every or time.monotonic() > until:
                return int(ended)
            time.sleep(0.1)


def _line(aos: Installation, seen: Mapping[str, Any], cpu: Mapping[str, float], callers: int) -> dict[str, Any]:
    used = {kind: value - cpu.get(kind, 0.0) for kind, value in aos.cpu_seconds().items()}
    calls = seen["calls"]
    return {
        "callers": callers,
        "requests_per_second": round(calls / seen["elapsed"], 1),
        "p50_ms": round(seen["p50"] * 1e3, 2),
        "p99_ms": round(seen["p99"] * 1e3, 2),
        "cpu_us_per_request": round(used["data_plane"] / calls * 1e6, 1),
        "cpu_us_per_request_postgres": round(used["postgres"] / calls * 1e6, 1),
        "cpu_us_per_request_worker": round(used["worker"] / calls * 1e6, 1),
        "rss_mb": aos.rss_mb("data_plane"),
        "fdatasync_us": aos.fdatasync_us(),
    }
