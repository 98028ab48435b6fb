"""The tools as MCP clients see them: those within the caller's reach, their names without dots, their fixed arguments left out.

Who may do what is decided at the call, by the gate alone; a list is a reading of the same rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mcp_types.jsonrpc import INVALID_PARAMS

from aos.data_plane.mcp.rpc import Fault
from aos.kernel.identity import Principal
from aos.kernel.limits import PAGE_ITEMS_MAX
from aos.kernel.policy.reach import is_within_reach
from aos.kernel.shown_tools import shown_name, shown_schema
from aos.kernel.tools import Effect, Repeat, Tool
from aos.operations.facts import OrganizationFacts

_CURSOR: Final = "after:"


def list_tools(principal: Principal, facts: OrganizationFacts, *, cursor: str | None) -> dict[str, Any]:
    """Return one page of the tools within reach, by name, with the cursor of the next; raise Fault for a cursor not ours."""
    if cursor is not None and not cursor.startswith(_CURSOR):
        raise Fault(INVALID_PARAMS, f"`{cursor[:60]}` is not a cursor that this list gave")
    after = cursor.removeprefix(_CURSOR) if cursor is not None else ""
    tools = [
        facts.tools[name]
        for name in sorted(facts.tools)
        if name > after and is_within_reach(facts.policies, principal, facts.tools[name], agents=facts.agents)
    ]
    page: dict[str, Any] = {"tools": [show_tool(tool) for tool in tools[:PAGE_ITEMS_MAX]]}
    if len(tools) > PAGE_ITEMS_MAX:
        page["nextCursor"] = _CURSOR + tools[PAGE_ITEMS_MAX - 1].name
    return page


def show_tool(tool: Tool) -> dict[str, Any]:
    """Return a tool as `tools/list` shows it."""
    return {
        "name": shown_name(tool.name),
        "title": tool.name,
        "description": tool.description,
        "inputSchema": shown_schema(tool),
        "annotations": {
            "readOnlyHint": tool.effect is Effect.READ,
            "destructiveHint": tool.effect is not Effect.READ and not tool.reversible,
            "idempotentHint": tool.repeat is Repeat.SAFE,
        },
        "_meta": {"aos/effect": tool.effect.value},
    }


def find_tool(tools: Mapping[str, Tool], name: str) -> Tool | None:
    """Return the tool that a client names, with its dots or without; None where there is none."""
    found = tools.get(name) or tools.get(name.replace("_", "."))
    if found is not None:
        return found
    return next((tool for tool in tools.values() if shown_name(tool.name) == name), None)
