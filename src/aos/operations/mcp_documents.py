"""MCP servers in the form in which people write them; secrets stand there by their names alone."""

from __future__ import annotations

from aos.kernel.json import Json
from aos.kernel.mcp_servers import Given, McpServer, SecretName
from aos.operations.documents import Fields


def mcp_server_document(server: McpServer) -> Fields:
    """Return an MCP server as a manifest writes it."""
    found: Fields = {}
    if server.command:
        found["command"] = list(server.command)
        found["env"] = _given(server.env)
        if server.folder:
            found["folder"] = server.folder
    else:
        found["url"] = server.url
        found["headers"] = _given(server.headers)
    if server.concurrency is not None:
        found["concurrency"] = server.concurrency
    return found


def _given(values: Given) -> Json:
    return {
        name: {"secret": value.secret} if isinstance(value, SecretName) else value for name, value in values.items()
    }
