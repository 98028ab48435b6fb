"""How registered things stand in the store: the kernel's own values as plain JSON, without what the row's columns hold.

What is written by `spec_of` is read back by `agent_from`, `tool_from`, `model_from`, `purpose_from`, `mcp_server_from` and `rule_from`; an unknown field is refused, a
field that is missing takes the value's default, so that an added field keeps old versions readable.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from aos.kernel.agents import Agent
from aos.kernel.json import canonical_json
from aos.kernel.mcp_servers import McpServer
from aos.kernel.models.values import Model, Purpose
from aos.kernel.policy.values import Rule
from aos.kernel.tools import Tool

_COLUMNS: Final[Mapping[type, frozenset[str]]] = {
    Agent: frozenset(
        {
            "id",
            "name",
            "version",
            "type",
            "status",
            "department_id",
            "department",
            "owner",
            "purposes",
        }
    ),
    Tool: frozenset({"id", "name", "version"}),
    Model: frozenset({"id", "name", "version"}),
    Purpose: frozenset({"name"}),
    McpServer: frozenset({"name"}),
    Rule: frozenset({"version", "source"}),
}


def spec_of(value: Agent | Tool | Model | Purpose | McpServer | Rule) -> dict[str, Any]:
    """Return the JSON that is stored as one immutable version of `value`."""
    plain: dict[str, Any] = msgspec.to_builtins(value)
    return {name: item for name, item in plain.items() if name not in _COLUMNS[type(value)]}


def spec_digest(spec: Mapping[str, Any]) -> bytes:
    """Return the SHA-256 of a version's canonical form."""
    return hashlib.sha256(canonical_json(dict(spec))).digest()


def agent_from(columns: Mapping[str, Any], spec: Mapping[str, Any]) -> Agent:
    """Return the agent of a row and its version's spec."""
    return msgspec.convert({**spec, **columns}, Agent)


def tool_from(columns: Mapping[str, Any], spec: Mapping[str, Any]) -> Tool:
    """Return the tool of a row and its version's spec."""
    return msgspec.convert({**spec, **columns}, Tool)


def model_from(columns: Mapping[str, Any], spec: Mapping[str, Any]) -> Model:
    """Return the model of a row and its version's spec."""
    return msgspec.convert({**spec, **columns}, Model)


def purpose_from(name: str, spec: Mapping[str, Any]) -> Purpose:
    """Return the purpose of a row and its version's spec."""
    return msgspec.convert({**spec, "name": name}, Purpose)


def mcp_server_from(name: str, spec: Mapping[str, Any]) -> McpServer:
    """Return the MCP server of a row and its version's spec."""
    return msgspec.convert({**spec, "name": name}, McpServer)


def rule_from(spec: Mapping[str, Any], version: int) -> Rule:
    """Return the rule of a policy's version."""
    return msgspec.convert({**spec, "version": version}, Rule)
