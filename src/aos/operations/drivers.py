"""The drivers that operations act through, as one value; boot fills it, faces get it by `bind`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from aos.kernel.ports import Crypto, Ids, KeyEncryption, ModelTransport, Ticker, ToolCaller
from aos.kernel.tools import ToolTransport


@dataclass(frozen=True, slots=True)
class Drivers:
    """Everything outside that an operation may touch besides the store."""

    ids: Ids
    ticker: Ticker
    crypto: Crypto
    keys: KeyEncryption
    tools: Mapping[ToolTransport, ToolCaller] = field(default_factory=dict)
    models: ModelTransport | None = None
    """None in a process that asks no model."""
