"""What stands in the way of calls of MCP servers' tools: warned of when they are applied, refused when they are made."""

from __future__ import annotations

import shlex
from collections.abc import Sequence, Set
from urllib.parse import urlsplit

from aos.kernel.manifest.values import Manifest
from aos.kernel.mcp_servers import SecretName, is_permitted_command
from aos.kernel.permitted_hosts import is_permitted


def mcp_warnings(
    after: Manifest, names: Set[str], *, commands: Sequence[tuple[str, ...]] | None, secrets: Set[str]
) -> list[str]:
    """Return a sentence for whatever keeps the MCP servers of these names, as they stand in `after`, from being asked.

    `commands` are those that the operator permits; None where this process does not know them.
    """
    found: list[str] = []
    for server in after.mcp_servers:
        if server.name not in names:
            continue
        said = f"MCP server `{server.name}`"
        if server.command and commands is not None and not is_permitted_command(server.command, commands):
            shown = shlex.join(server.command)[:200]
            told = "name it in AOS_MCP_COMMANDS, then restart AOS with `aos down` and `aos up`"
            found.append(f"{said} is the command `{shown}`, which the operator does not permit: {told}")
        if server.url and not is_permitted(server.url, after.organization.hosts or ()):
            where = urlsplit(server.url).netloc
            found.append(f"{said} is at `{where}`: nothing is sent there until `organization.hosts` names it")
        named = {
            each.secret for each in (*server.env.values(), *server.headers.values()) if isinstance(each, SecretName)
        }
        found += [
            f"{said} is given the secret `{name}`, which is not set: `aos secrets set {name}`"
            for name in sorted(named - secrets)
        ]
    return found
