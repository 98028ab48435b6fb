"""The sessions of one process of AOS with MCP servers; what speaks their protocol is loaded when the first is asked.

The official client brings some 9 MB and 200 modules, in each process that performs tools: a company without MCP servers
pays nothing for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aos.boot.config import Config
from aos.drivers.mcp_client.values import McpConfig
from aos.kernel.json import Json
from aos.kernel.mcp_servers import McpTarget, Offer
from aos.kernel.ports import Hears, McpUpstream, ModelTransport, ToolOutcome
from aos.kernel.tools import Tool

if TYPE_CHECKING:
    from aos.drivers.mcp_client.pool import McpPool

_MEGABYTE = 1024 * 1024


class LateMcp:
    """The `McpUpstream` of a process, made when it is first needed."""

    def __init__(self, settings: McpConfig, transport: ModelTransport) -> None:
        self._settings = settings
        self._transport = transport
        self._making = asyncio.Lock()
        self._pool: McpPool | None = None

    async def offers(self, target: McpTarget, *, deadline_seconds: float) -> Sequence[Offer]:
        """Return what the server offers now."""
        return await (await self._made()).offers(target, deadline_seconds=deadline_seconds)

    async def call(
        self,
        target: McpTarget,
        tool: Tool,
        arguments: Mapping[str, Json],
        *,
        idempotency_key: str,
        deadline_seconds: float,
        hears: Hears | None = None,
    ) -> ToolOutcome:
        """Call a tool at its server."""
        pool = await self._made()
        return await pool.call(
            target, tool, arguments, idempotency_key=idempotency_key, deadline_seconds=deadline_seconds, hears=hears
        )

    async def close(self) -> None:
        """End every session."""
        if self._pool is not None:
            await self._pool.close()

    async def _made(self) -> McpUpstream:
        async with self._making:
            if self._pool is None:
                # In a thread: it takes half a second, in which others are served.
                self._pool = (await asyncio.to_thread(_pool_class))(self._settings, self._transport)
            return self._pool


def _pool_class() -> type[McpPool]:
    from aos.drivers.mcp_client.pool import McpPool

    return McpPool


@asynccontextmanager
async def open_mcp(config: Config, transport: ModelTransport, environment: Mapping[str, str]) -> AsyncIterator[LateMcp]:
    """Keep the sessions until the end; programs are found where this process finds its own."""
    usual = McpConfig()
    settings = McpConfig(
        commands=config.mcp_commands,
        path=environment.get("PATH") or usual.path,
        zone=environment.get("TZ", ""),
        memory_bytes_max=config.mcp_memory_mb * _MEGABYTE,
    )
    mcp = LateMcp(settings, transport)
    try:
        yield mcp
    finally:
        await mcp.close()
