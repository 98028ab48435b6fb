"""MCP servers for AOS to ask: real ones of the official package, and rogues, as registered servers of a world of tests."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from aos.drivers.mcp_client.pool import McpPool
from aos.drivers.mcp_client.values import McpConfig
from aos.drivers.model_http import ModelHttp
from aos.kernel.mcp_servers import McpServer, McpTarget, Offer, proposed_tools, readable_schema
from aos.kernel.ports import McpUpstream, ToolOutcome
from aos.kernel.tools import Effect, Tool, ToolTransport
from tests.doors import START_SECONDS, until
from tests.worlds import THIS_MACHINE, tool

HERE = Path(__file__).parent
CONFIG = McpConfig(commands=((sys.executable,),), backoff_seconds=0.01)


def notes(folder: Path, **more: Any) -> McpServer:
    """Return the registration of the notes' server over stdio."""
    return McpServer("notes", command=(sys.executable, str(HERE / "mcp_upstream.py"), str(folder)), **more)


def rogue(mode: str, folder: Path) -> McpTarget:
    """Return how a server that misbehaves is reached."""
    return McpTarget(uuid4(), "rogue", command=(sys.executable, str(HERE / "mcp_rogue.py"), mode, str(folder)))


def reached(server: McpServer, **more: Any) -> McpTarget:
    """Return how a registered server without secrets is reached."""
    env = {name: str(value) for name, value in server.env.items()}
    return McpTarget(
        uuid4(), server.name, command=server.command, env=env, folder=server.folder, url=server.url, **more
    )


@contextmanager
def notes_over_http(folder: Path, *, plain_json: bool = False) -> Iterator[str]:
    """Serve the notes over HTTP in a process of their own, and return the address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, str(HERE / "mcp_upstream.py"), str(folder), str(port), *(["json"] if plain_json else [])],
        stderr=subprocess.DEVNULL,
    )

    def serves() -> bool:
        with socket.socket() as tried:
            tried.settimeout(START_SECONDS)
            return tried.connect_ex(("127.0.0.1", port)) == 0

    try:
        until(serves)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.kill()
        process.wait()


def offered(target: McpTarget, config: McpConfig = CONFIG) -> list[Offer]:
    """Return what a server offers, asked on a loop of its own."""

    async def ask(pool: McpPool) -> list[Offer]:
        return list(await pool.offers(target, deadline_seconds=START_SECONDS))

    return with_pool(ask, config)


def with_pool(work: Any, config: McpConfig = CONFIG) -> Any:
    """Run `work` with a pool of sessions, and close it."""

    async def main() -> Any:
        transport = ModelHttp(private=THIS_MACHINE)
        pool = McpPool(config, transport)
        try:
            return await work(pool)
        finally:
            await pool.close()
            await transport.close()

    return asyncio.run(main())


async def call(pool: McpUpstream, target: McpTarget, called: Tool, arguments: Any = None, **more: Any) -> ToolOutcome:
    """Call a tool at a server."""
    given = {"idempotency_key": "a key", "deadline_seconds": START_SECONDS, **more}
    return await pool.call(target, called, arguments or {}, **given)


def tools_of(server: str, offers: Sequence[Offer], **more: Any) -> dict[str, Tool]:
    """Return a tool for each offer, accepted as it is, by the name that its server gives it."""
    return {
        offer.name: tool(
            proposal.name,
            effect=Effect(str(proposal.entry["effect"])),
            schema=readable_schema(offer.schema)[0],
            transport=ToolTransport.MCP,
            entry="",
            options=proposal.entry["mcp"],
            description=offer.description,
            **more,
        )
        for offer, proposal in zip(offers, proposed_tools(server, offers), strict=True)
    }


NOTE = Offer("note", "Note.", {"type": "object", "properties": {}})
