"""MCP servers in the registry: programs and addresses whose tools agents may call, in immutable versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from aos.kernel.manifest.values import McpServer
from aos.kernel.people import Actor, Permission
from aos.operations import drafted
from aos.operations.drafted import MCP_SERVERS
from aos.operations.pages import Page, PageQuery, find_one, list_page, list_versions
from aos.operations.registry_records import Edit, reading


@dataclass(frozen=True, slots=True)
class McpServerDetail:
    """One MCP server at the version in force, as it is shown.

    Version 0: none is in force yet, and `spec` is what waits. `draft_version` is a newer one that waits, None where none does.
    """

    id: UUID
    spec: McpServer
    version: int
    created_at: datetime
    updated_at: datetime
    retired_at: datetime | None
    draft_version: int | None = None


@dataclass(frozen=True, slots=True)
class McpServerVersion:
    """One immutable version of an MCP server."""

    version: int
    spec: McpServer
    digest: bytes
    created_by: UUID | None
    created_at: datetime


def register_mcp_server(edit: Edit, spec: McpServer) -> UUID:
    """Register an MCP server with version 1, or bring a retired one back; raise Conflict where the name is taken."""
    return drafted.register(edit, MCP_SERVERS, spec)


def change_mcp_server(edit: Edit, spec: McpServer) -> int:
    """Give an MCP server a new version and return its number; raise NotFound, or Conflict where it is retired."""
    return drafted.change(edit, MCP_SERVERS, spec)


def publish_mcp_server(edit: Edit, key: str, *, version: int | None = None) -> int:
    """Put the version of an MCP server that waits in force and return its number; raise NotFound and Conflict."""
    return drafted.publish(edit, MCP_SERVERS, key, version=version)


def retire_mcp_server(edit: Edit, key: str) -> None:
    """Retire an MCP server; raise NotFound, or Conflict where it is retired."""
    drafted.retire(edit, MCP_SERVERS, key)


def list_mcp_servers(actor: Actor, query: PageQuery) -> Page[McpServerDetail]:
    """Return a page of MCP servers."""
    with reading(actor, Permission.REGISTRY_READ):
        return find_mcp_servers(actor.organization_id, query)


def show_mcp_server(actor: Actor, key: str) -> McpServerDetail:
    """Return one MCP server by name or id; raise NotFound."""
    with reading(actor, Permission.REGISTRY_READ):
        return find_mcp_server(actor.organization_id, key)


def find_mcp_server(organization_id: UUID, key: str) -> McpServerDetail:
    """Return one MCP server by name or id, in the open transaction; raise NotFound."""
    return find_one(find_mcp_servers, organization_id, key, what="MCP server")


def find_mcp_servers(organization_id: UUID, query: PageQuery) -> Page[McpServerDetail]:
    """Return a page of MCP servers, in the open transaction."""
    filters = {"retired": None, **query.filters}
    return list_page("list_mcp_servers", organization_id, query, read=_detail, **filters)


def list_mcp_server_versions(actor: Actor, key: str, query: PageQuery) -> Page[McpServerVersion]:
    """Return a page of an MCP server's versions, newest first; raise NotFound."""
    with reading(actor, Permission.REGISTRY_READ):
        found = find_mcp_server(actor.organization_id, key)
        return list_versions(
            "list_mcp_server_versions",
            actor.organization_id,
            query,
            read=lambda row: McpServerVersion(
                row["version"], _spec(found.spec.name, row["spec"]), row["digest"], row["created_by"], row["created_at"]
            ),
            mcp_server_id=found.id,
        )


def _detail(row: Mapping[str, Any]) -> McpServerDetail:
    spec = _spec(row["name"], row["spec"])
    return McpServerDetail(
        row["id"], spec, row["version"], row["created_at"], row["updated_at"], row["retired_at"], row["draft_version"]
    )


def _spec(name: str, stored: Mapping[str, Any]) -> McpServer:
    return msgspec.convert({**stored, "name": name}, McpServer)
