"""What one version of a model holds, before it has an id and a number; a `Purpose` is its own spec."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from aos.kernel.dialects.values import Dialect
from aos.kernel.models.values import Capability, Price, Provider
from aos.kernel.money import format_amount

OUTPUT_TOKENS_USUAL: Final = 4096
"""How much a model may answer where neither its operator nor the catalogue says it."""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model: as `aos.kernel.models.values.Model`, before it has an id and a version."""

    name: str
    provider: Provider
    upstream: str
    base_url: str
    dialects: tuple[Dialect, ...]
    secret: str = ""
    context_tokens: int = 0
    output_tokens_max: int = OUTPUT_TOKENS_USUAL
    prices: tuple[Price, ...] = ()
    capabilities: tuple[Capability, ...] = ()
    tags: tuple[str, ...] = ()
    region: str = ""
    strength: int = 3
    fallbacks: tuple[str, ...] = ()
    concurrency: int | None = None
    timeout_seconds: int = 600
    options: Mapping[str, str] = field(default_factory=dict)


def is_free(price: Price) -> bool:
    """Say whether nothing costs anything at this price."""
    return not any((price.input, price.output, price.cached, price.cache_writes, price.cache_writes_hour))


def price_text(price: Price) -> str:
    """Return a price of a million tokens in a few words: of input and of output."""
    if is_free(price):
        return "free"
    since = f" since {price.since}" if price.since != date(1970, 1, 1) else ""
    above = f" from {price.above_tokens} tokens on" if price.above_tokens else ""
    figures = "/".join(format_amount(each) for each in (price.input, price.output))
    return f"{figures} {price.currency}{above}{since}"
