"""Models and purposes in the form in which people write them, complete: what came from the catalogue is said as well."""

from __future__ import annotations

from datetime import date
from typing import Any

from aos.kernel.json import Json
from aos.kernel.manifest.models import PER_MILLION
from aos.kernel.manifest.models_schema import FREE
from aos.kernel.manifest.values import ModelSpec, Purpose
from aos.kernel.models.catalogue import find
from aos.kernel.models.spec import is_free
from aos.kernel.models.values import Price
from aos.kernel.money import Money
from aos.operations.documents import Fields, duration_text


def model_document(spec: ModelSpec) -> Fields:
    """Return a model as a manifest writes it."""
    found: Fields = {
        "provider": spec.provider.value,
        "upstream": spec.upstream,
        "dialects": [each.value for each in spec.dialects],
        "output": spec.output_tokens_max,
        "price": prices_document(spec.prices),
        "capabilities": [each.value for each in spec.capabilities],
        "tags": list(spec.tags),
        "region": spec.region,
        "strength": spec.strength,
        "fallbacks": list(spec.fallbacks),
        "timeout": duration_text(spec.timeout_seconds),
        "options": dict(spec.options),
    }
    if spec.secret:
        found["api_key"] = {"secret": spec.secret}
    if spec.base_url:
        found["base_url"] = spec.base_url
    if spec.context_tokens:
        found["context"] = spec.context_tokens
    if spec.concurrency is not None:
        found["concurrency"] = spec.concurrency
    return found


def said_document(spec: ModelSpec) -> Fields:
    """Return a model as a manifest writes it, without what its provider and the catalogue would say by themselves.

    For a model that becomes another one: what was taken from the catalogue for the old one is not kept.
    """
    found = model_document(spec)
    known = find(spec.upstream, spec.provider) or find(spec.name, spec.provider)
    if known is None:
        return found
    filled = model_document(
        ModelSpec(
            name=spec.name,
            provider=known.provider,
            upstream=known.upstream,
            base_url=known.base_url,
            dialects=known.dialects,
            context_tokens=known.context_tokens,
            output_tokens_max=known.output_tokens_max,
            prices=known.prices,
            capabilities=known.capabilities,
            tags=known.tags,
            region=known.region,
            strength=known.strength,
        )
    )
    kept = ("provider", "upstream", "fallbacks", "timeout", "options")
    return {name: value for name, value in found.items() if name in kept or value != filled.get(name)}


def prices_document(prices: tuple[Price, ...]) -> Json:
    """Return what a model costs as a manifest writes it: `free`, figures, or a list of them."""
    if len(prices) == 1:
        return FREE if _is_plainly_free(prices[0]) else _price(prices[0])
    return [_price(each) for each in prices]


def _is_plainly_free(price: Price) -> bool:
    return is_free(price) and price == Price(price.currency, 0, 0)


def _price(price: Price) -> Fields:
    found: Fields = {}
    for name, field in PER_MILLION.items():
        nanos = getattr(price, field)
        if nanos is not None:
            found[name] = str(Money(nanos, price.currency))
    if price.since != date(1970, 1, 1):
        found["since"] = price.since.isoformat()
    if price.above_tokens:
        found["above_tokens"] = price.above_tokens
    if price.source:
        found["source"] = price.source
    return found


def purpose_document(purpose: Purpose) -> Fields:
    """Return a purpose as a manifest writes it."""
    found: dict[str, Any] = {
        "models": list(purpose.models),
        "objective": purpose.objective.value,
        "residency": list(purpose.residency),
        "canary": dict(purpose.canary),
        "cascade": [each.value for each in purpose.cascade],
        "cache": duration_text(purpose.cache_seconds),
        "attempts": purpose.attempts,
    }
    if purpose.hedge_after_ms is not None:
        found["hedge_after"] = duration_text(purpose.hedge_after_ms / 1000)
    return found
