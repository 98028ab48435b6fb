"""`POST /mcp-servers/{name}/discover`: what a registered MCP server offers, for the people who register tools.

It stands here and not in the control plane because the data plane holds the sessions. Nothing is registered by it: what comes
of it is written by who asked, as any other change of a tool.
"""

from __future__ import annotations

from aos.data_plane.binding import Services
from aos.data_plane.http import Request, Response, json_response
from aos.operations.mcp_tools import Discovered, discover


async def discover_offers(services: Services, request: Request, name: str) -> Response:
    """Ask the server and answer with each offer, the tool that stands for it, and what a manifest could say of it."""
    principal = await services.authenticator.principal(
        request.bearer(), organization=request.headers.get("aos-organization")
    )
    found = await discover(services.facts, services.upstream, principal, name=name, notes=services.held)
    return json_response(200, {"items": [_shown(each) for each in found]})


def _shown(each: Discovered) -> dict[str, object]:
    return {
        "name": each.tool or each.proposal.name,
        "state": each.state,
        "why": each.why,
        "notes": list(each.proposal.notes),
        "entry": dict(each.proposal.entry),
    }
