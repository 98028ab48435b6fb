"""The sessions of one process of AOS with MCP servers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from aos.boot.config import Config
from aos.drivers.mcp_client.pool import McpPool
from aos.drivers.mcp_client.values import McpConfig
from aos.kernel.ports import ModelTransport

_MEGABYTE = 1024 * 1024


@asynccontextmanager
async def open_mcp(config: Config, transport: ModelTransport, environment: Mapping[str, str]) -> AsyncIterator[McpPool]:
    """Keep the sessions until the end; programs are found where this process finds its own."""
    usual = McpConfig()
    settings = McpConfig(
        commands=config.mcp_commands,
        path=environment.get("PATH") or usual.path,
        memory_bytes_max=config.mcp_memory_mb * _MEGABYTE,
    )
    pool = McpPool(settings, transport)
    try:
        yield pool
    finally:
        await pool.close()
