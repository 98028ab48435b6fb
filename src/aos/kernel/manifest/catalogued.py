"""What the manifest takes from the catalogue of models: all that its author did not say of a model.

The catalogue's figures become part of the version that is stored: a later catalogue changes nothing by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from datetime import date
from typing import Final, Protocol

from aos.kernel.dialects.values import Dialect
from aos.kernel.models.values import Capability, Price, Provider


class Known(Protocol):
    """What the catalogue holds of a model, in the words of `Model`."""

    @property
    def provider(self) -> Provider: ...
    @property
    def upstream(self) -> str: ...
    @property
    def base_url(self) -> str: ...
    @property
    def dialects(self) -> tuple[Dialect, ...]: ...
    @property
    def context_tokens(self) -> int: ...
    @property
    def output_tokens_max(self) -> int: ...
    @property
    def prices(self) -> tuple[Price, ...]: ...
    @property
    def capabilities(self) -> tuple[Capability, ...]: ...
    @property
    def tags(self) -> tuple[str, ...]: ...
    @property
    def strength(self) -> int: ...


def find_known(name: str, provider: Provider | None = None) -> Known | None:
    """Return what the catalogue holds of a model, by its name and, where it is said, its provider."""
    return None


def known_names() -> Set[str]:
    """Return the names of all models in the catalogue: they may be referred to before they are registered."""
    return frozenset()


DIALECTS: Final[Mapping[Provider, tuple[Dialect, ...]]] = {
    Provider.OPENAI: (Dialect.CHAT, Dialect.RESPONSES),
    Provider.ANTHROPIC: (Dialect.MESSAGES, Dialect.COUNT_TOKENS),
    Provider.MISTRAL: (Dialect.CHAT,),
    Provider.AZURE: (Dialect.CHAT,),
    Provider.COMPATIBLE: (Dialect.CHAT,),
    Provider.LOCAL: (Dialect.CHAT,),
}
"""What a provider's servers speak, where neither the manifest nor the catalogue says it."""

OWN_SERVER: Final = frozenset({Provider.AZURE, Provider.COMPATIBLE})
"""Providers of which there is no one server: `base_url` must be given."""


def price_text(price: Price) -> str:
    """Return a price in a few words, for a line of changes."""
    since = f" since {price.since}" if price.since != date(1970, 1, 1) else ""
    above = f" from {price.above_tokens} tokens on" if price.above_tokens else ""
    return f"{_units(price.input)}/{_units(price.output)} {price.currency}{above}{since}"


def _units(nanos: int) -> str:
    return f"{nanos / 1_000_000_000:g}"
