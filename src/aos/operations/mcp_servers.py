"""MCP servers in the registry: programs and addresses whose tools agents may call, in immutable versions."""

from __future__ import annotations

from typing import Final, TypeAlias

from aos.kernel.manifest.gains import mcp_server_gains
from aos.kernel.manifest.values import McpServer
from aos.operations.drafted import Detail, Drafted, Version

McpServerDetail: TypeAlias = Detail[McpServer]
McpServerVersion: TypeAlias = Version[McpServer]

MCP_SERVERS: Final[Drafted[McpServer]] = Drafted(
    name="mcp_server",
    type=McpServer,
    standing=lambda edit: edit.registry.manifest.mcp_servers,
    gains=mcp_server_gains,
)
