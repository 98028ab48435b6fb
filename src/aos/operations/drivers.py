"""The drivers that operations act through, as one value; boot fills it, faces get it by `bind`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from aos.kernel.ports import Cards, Crypto, Ids, Jwts, KeyEncryption, McpUpstream, ModelTransport, Ticker, ToolCaller
from aos.kernel.tools import ToolTransport


@dataclass(frozen=True, slots=True)
class ModelServers:
    """How models' servers are reached. `local_url` is where AOS serves its own model, empty where it does not."""

    transport: ModelTransport
    local_url: str = ""
    local_key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Drivers:
    """Everything outside that an operation may touch besides the store."""

    ids: Ids
    ticker: Ticker
    crypto: Crypto
    keys: KeyEncryption
    tools: Mapping[ToolTransport, ToolCaller] = field(default_factory=dict)
    models: ModelServers | None = None
    """None in a process that asks no model."""
    jwts: Jwts | None = None
    """None in a process that neither gives access tokens nor takes them."""
    web: ModelTransport | None = None
    """How other agents and receivers of notifications are reached; None in a process that reaches none."""
    mcp: McpUpstream | None = None
    """None in a process that asks no MCP server."""
    mcp_commands: tuple[tuple[str, ...], ...] | None = None
    """What programs of MCP servers must begin with to be started here; None in a process that does not know."""
    cards: Cards | None = None
    """None in a process that neither signs cards of A2A nor checks them."""
