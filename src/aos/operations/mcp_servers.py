"""MCP servers in the registry: programs and addresses whose tools agents may call, in immutable versions."""

from __future__ import annotations

from typing import Final, TypeAlias

from aos.kernel.errors import Conflict
from aos.kernel.ledger.record import RecordKind
from aos.kernel.manifest.gains import mcp_server_gains
from aos.kernel.manifest.values import McpServer
from aos.kernel.people import Permission
from aos.operations.drafted import Detail, Drafted, Version
from aos.operations.registry_records import Edit
from aos.store.cold.connection import run_sql

McpServerDetail: TypeAlias = Detail[McpServer]
McpServerVersion: TypeAlias = Version[McpServer]

MCP_SERVERS: Final[Drafted[McpServer]] = Drafted(
    name="mcp_server",
    type=McpServer,
    standing=lambda edit: edit.registry.manifest.mcp_servers,
    gains=mcp_server_gains,
)


def restart_mcp_server(edit: Edit, key: str) -> int:
    """Have every process end its session with a server and begin a new one at its next call; return how often that was done.

    Calls under way end in the session that they began in. What the server offers is asked anew, and which of its tools were
    held is forgotten until somebody sees it again. Raises NotFound, and Conflict where no version of it is in force.
    """
    edit.require(Permission.REGISTRY_WRITE)
    name, entry = edit.registry.get("mcp_server", key)
    rows = run_sql("restart_mcp_server", {"organization_id": edit.organization_id, "id": entry.id})
    if not rows:
        raise Conflict(f"MCP server `{name}` is not in force: there is nothing to begin anew")
    edit.record(
        RecordKind.REGISTRY_CHANGED, "mcp_server.restarted", subject=f"mcp_server:{name}", version=rows[0]["version"]
    )
    restarts: int = rows[0]["restarts"]
    return restarts
