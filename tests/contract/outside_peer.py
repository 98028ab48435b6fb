"""Tools that need no code as a manifest writes them, in a small organization, with their servers on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import fields
from typing import Any

from aos.kernel.acts import Recorded
from aos.kernel.manifest.parse import parse_manifest
from aos.kernel.manifest.values import ToolSpec
from aos.kernel.tools import Tool
from tests.contract.model_http_peer import DEADLINE_SECONDS, Answering, Peer, peer, whole
from tests.databases import Database
from tests.worlds import IDS, Running, World, agent, make_world


def tools_of(written: Mapping[str, Any]) -> list[Tool]:
    """Return tools that a manifest writes."""
    manifest = parse_manifest({"aos": 1, "tools": dict(written)})
    names = [each.name for each in fields(ToolSpec)]
    return [Tool(id=IDS.new(), version=1, **{name: getattr(spec, name) for name in names}) for spec in manifest.tools]


def outside_world(
    database: Database,
    tools: Mapping[str, Any],
    *,
    hosts: Sequence[str] = ("127.0.0.1",),
    secrets: Mapping[str, str] | None = None,
) -> World:
    """Return an organization whose agent `clerk` may call these tools."""
    return make_world(database, agents=[agent("clerk", "*")], tools=tools_of(tools), hosts=hosts, secrets=secrets or {})


def done(world: World, tool: str, arguments: Any = None, **more: Any) -> Any:
    """Call a tool through a gate of its own and return what is recorded."""

    async def work(aos: Running) -> Any:
        return await perform(world, aos, tool, arguments, **more)

    return with_gate(world, work)


def with_gate(world: World, work: Callable[[Running], Coroutine[Any, Any, Any]]) -> Any:
    """Run a coroutine with a gate."""

    async def main() -> Any:
        async with asyncio.timeout(DEADLINE_SECONDS), world.running() as aos:
            return await work(aos)

    return asyncio.run(main())


def at_server(
    database: Database,
    tools: Callable[[int], Mapping[str, Any]],
    work: Callable[[World, Running, Peer], Coroutine[Any, Any, Any]],
    *,
    answer: Answering = whole,
    hosts: Callable[[int], Sequence[str]] = lambda port: ("127.0.0.1",),
    secrets: Mapping[str, str] | None = None,
) -> Any:
    """Run a coroutine with a gate and an HTTP server, whose port `tools` and `hosts` are given."""

    async def main() -> Any:
        async with asyncio.timeout(DEADLINE_SECONDS), peer(answer) as served:
            world = outside_world(database, tools(served.port), hosts=hosts(served.port), secrets=secrets)
            async with world.running() as aos:
                return await work(world, aos, served)

    return asyncio.run(main())


async def perform(world: World, aos: Running, tool: str, arguments: Any = None, **more: Any) -> Any:
    """Call a tool and return what is recorded."""
    recorded = await aos.gate.perform(world.act("clerk", tool, arguments, **more))
    assert isinstance(recorded, Recorded), recorded
    return recorded


def kept(world: World) -> str:
    """Return all that the database holds of acts and records as text, and what is sealed opened by nobody."""
    rows = world.rows("select to_jsonb(a)::text from action a union all select to_jsonb(r)::text from record r")
    return "\n".join(row[0] for row in rows)
