"""What is shown of MCP servers, and the JSON Schemas that describe exactly this."""

from __future__ import annotations

from collections.abc import Sequence

from aos.control_plane.shapes import (
    MADE,
    NUMBER,
    TEXT,
    UUID,
    VERSION,
    Schema,
    closed,
    list_of,
    maybe,
    new_of,
    part_of,
    patch_of,
)
from aos.control_plane.wire import Shown, instant, made_of
from aos.kernel.mcp_servers import McpServer
from aos.operations.held_tools import Held
from aos.operations.mcp_documents import mcp_server_document
from aos.operations.mcp_servers import McpServerDetail, McpServerVersion


def mcp_server(detail: McpServerDetail, held: Sequence[Held]) -> Shown:
    """Show an MCP server, and which of its tools are held."""
    return {
        "id": detail.id,
        "name": detail.spec.name,
        "version": detail.version,
        "draft_version": detail.draft_version,
        "held_tools": [each.tool for each in held if each.server == detail.spec.name],
        **_fields(detail.spec),
        "created_at": instant(detail.created_at),
        "updated_at": instant(detail.updated_at),
        "retired_at": instant(detail.retired_at),
    }


def mcp_server_version(version: McpServerVersion) -> Shown:
    """Show one version of an MCP server."""
    return {"version": version.version, **_fields(version.spec), **made_of(version.digest, version)}


def _fields(spec: McpServer) -> Shown:
    """Show what a version says; secrets are known by their names alone."""
    nothing = dict.fromkeys(("command", "env", "folder", "url", "headers", "concurrency"))
    return {**nothing, **mcp_server_document(spec)}


def mcp_components() -> dict[str, Schema]:
    """Return the named schemas of MCP servers."""
    held = {
        **list_of(TEXT),
        "description": "Tools that it no longer offers as they were accepted: their calls are held",
    }
    columns: Schema = {"id": UUID, "name": TEXT, "version": NUMBER, "draft_version": maybe(NUMBER)}
    fields: Schema = {name: maybe(schema) for name, schema in part_of("mcp_servers")["properties"].items()}
    return {
        "McpServerNew": new_of("mcp_servers"),
        "McpServerPatch": patch_of("mcp_servers"),
        "McpServer": closed({**columns, "held_tools": held, **fields, **MADE}),
        "McpServerVersion": closed({**fields, **VERSION}),
    }
