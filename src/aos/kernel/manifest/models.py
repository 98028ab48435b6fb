"""Reads models and purposes. What a model does not say comes from the catalogue, so that a version is whole in itself."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date
from typing import Final, TypeVar, cast

from aos.kernel.dialects.values import Dialect
from aos.kernel.errors import InvalidRequest
from aos.kernel.json import Json
from aos.kernel.manifest.models_schema import FREE
from aos.kernel.manifest.parts import Fields, Part
from aos.kernel.models.catalogue import find
from aos.kernel.models.providers import DIALECTS_OF, check_base_url
from aos.kernel.models.spec import OUTPUT_TOKENS_USUAL, ModelSpec, is_free
from aos.kernel.models.values import (
    Capability,
    CascadeCheck,
    CatalogueModel,
    Objective,
    Price,
    Provider,
    Purpose,
)
from aos.kernel.money import Money, parse_money
from aos.kernel.policy.permissions import PURPOSE_PREFIX

Value = TypeVar("Value")

AUTO: Final = "auto"
"""What a request names as its model where the choice is left to AOS."""
_WORDS: Final = frozenset({"publish", "versions", "test", "explain"})
"""What stands behind a model's name in a path: no name may end in it."""
_OWN_SERVER: Final = frozenset({Provider.AZURE, Provider.COMPATIBLE})
"""Providers of which there is no one server."""
_OWN_SECRETS: Final = ("signing/", "hook/")
"""What the names of AOS's own secrets begin with; none of them is any provider's key."""


def read_model(name: str, part: Part, *, currency: str) -> ModelSpec:
    """Read one model; `currency` is that of the organization, in which what is free costs nothing."""
    provider = Provider(part.text("provider")) if "provider" in part.fields else None
    known = _find(name, part, provider)
    if provider is None and known is None:
        part.note("provider", f"is missing: the catalogue does not know a model `{name}`")
    provider = provider or (known.provider if known else Provider.COMPATIBLE)
    _check_name(name, part)
    return ModelSpec(
        name=name,
        provider=provider,
        upstream=part.text("upstream") or (known.upstream if known else name),
        base_url=_base_url(part, provider, known),
        dialects=_closed(part, "dialects", Dialect, known.dialects if known else _usual_dialects(provider)),
        secret=_secret(part),
        context_tokens=part.count("context") or (known.context_tokens if known else 0),
        output_tokens_max=part.count("output") or (known.output_tokens_max if known else OUTPUT_TOKENS_USUAL),
        prices=_read_prices(part, known.prices if known else (), currency=currency),
        capabilities=_closed(part, "capabilities", Capability, known.capabilities if known else ()),
        tags=part.texts("tags") if "tags" in part.fields or known is None else known.tags,
        region=part.text("region") if "region" in part.fields or known is None else known.region,
        strength=part.count("strength") or (known.strength if known else 3),
        fallbacks=part.texts("fallbacks"),
        concurrency=part.count("concurrency"),
        timeout_seconds=_timeout(part),
        options=cast(dict[str, str], part.sub("options").fields),
    )


def read_purpose(name: str, part: Part) -> Purpose:
    """Read one purpose."""
    models = part.texts("models")
    canary = cast(dict[str, int], part.sub("canary").fields)
    for model in canary:
        if model not in models:
            part.sub("canary").note(model, f"`{model}` is none of the purpose's models")
    if sum(canary.values()) > 100:
        part.note("canary", f"comes to {sum(canary.values())} per cent, at most 100")
    return Purpose(
        name=name,
        models=models,
        objective=Objective(part.text("objective", Objective.BALANCED)),
        residency=part.texts("residency"),
        canary=canary,
        hedge_after_ms=_milliseconds(part, "hedge_after"),
        cascade=tuple(CascadeCheck(each) for each in part.texts("cascade")),
        cache_seconds=math.ceil(part.seconds("cache", 0)),
        attempts=part.count("attempts") or Purpose(name, models).attempts,
    )


def _find(name: str, part: Part, provider: Provider | None) -> CatalogueModel | None:
    """Return what the catalogue holds of the model: by its name at the provider, else by the one it has here."""
    upstream = part.text("upstream")
    return (find(upstream, provider) if upstream else None) or find(name, provider)


def _usual_dialects(provider: Provider) -> tuple[Dialect, ...]:
    """Return what a server of the provider speaks to a model that answers in words."""
    return tuple(each for each in DIALECTS_OF[provider] if each is not Dialect.EMBEDDINGS)


def _check_name(name: str, part: Part) -> None:
    """Note a name that would be read as something else, in a request or in a path."""
    if name == AUTO or name.startswith(PURPOSE_PREFIX):
        part.note("", f"a model cannot be called `{name}`: requests mean something else by it")
    if name.rpartition("/")[2] in _WORDS or "//" in name or name.endswith("/"):
        part.note("", f"a model cannot be called `{name}`: its last part has a meaning of its own in paths")


def _base_url(part: Part, provider: Provider, known: CatalogueModel | None) -> str:
    if "base_url" in part.fields and provider is Provider.LOCAL:
        part.note("base_url", "is AOS's own to say: it serves the models of `local` itself")
    elif "base_url" in part.fields:
        try:
            return check_base_url(provider, part.text("base_url"))
        except InvalidRequest as error:
            part.note("base_url", error.detail)
    elif provider in _OWN_SERVER:
        part.note("base_url", f"is missing: `{provider}` has no server of its own")
    return known.base_url if known else ""


def _secret(part: Part) -> str:
    name = part.sub("api_key").text("secret")
    if name.startswith(_OWN_SECRETS):
        part.sub("api_key").note("secret", f"`{name}` is a key of AOS itself")
    return name


def _timeout(part: Part) -> int:
    seconds = math.ceil(part.seconds("timeout", 600))
    if not seconds:
        part.note("timeout", "`timeout` must be longer than 0s: no call would be given any time")
    return seconds


def _milliseconds(part: Part, field: str) -> int | None:
    if field not in part.fields:
        return None
    found = round(part.seconds(field, 1) * 1000)
    if not found:
        part.note(field, f"`{field}` must be longer than 0s: leave it out where nothing is hedged")
    return found


def _closed(part: Part, field: str, kind: type[Value], default: tuple[Value, ...]) -> tuple[Value, ...]:
    """Return the members of a closed set that a field names, else the default."""
    if field not in part.fields:
        return default
    return tuple(kind(each) for each in part.texts(field))  # type: ignore[call-arg]


def _read_prices(part: Part, known: tuple[Price, ...], *, currency: str) -> tuple[Price, ...]:
    written = part.fields.get("price")
    if written is None:
        if not known:
            part.note("price", "is missing, and the catalogue has none: give it, or say `free`")
        return tuple(replace(each, currency=currency) if is_free(each) else each for each in known)
    if written == FREE:
        return (Price(currency, 0, 0),)
    if isinstance(written, list):
        at = part.sub("price").at
        parts = [Part(cast(Fields, each), f"{at}/{index}", part.problems) for index, each in enumerate(written)]
    else:
        parts = [part.sub("price")]
    prices = tuple(_read_price(each, currency) for each in parts)
    seen = [(each.since, each.above_tokens) for each in prices]
    if len(set(seen)) != len(seen):
        part.note("price", "has two figures for one day and one size")
    return prices


def _read_price(part: Part, currency: str) -> Price:
    money = {name: _money(part, name) for name in PER_MILLION if name in part.fields}
    currencies = sorted({each.currency for each in money.values()})
    if len(currencies) > 1:
        part.note("", f"is in one currency, not in {' and '.join(currencies)}")
    nanos = {PER_MILLION[name]: each.nanos for name, each in money.items()}
    return Price(
        currency=currencies[0] if currencies else currency,
        input=nanos["input"],
        output=nanos.get("output", 0),
        cached=nanos.get("cached"),
        cache_writes=nanos.get("cache_writes"),
        cache_writes_hour=nanos.get("cache_writes_hour"),
        since=_date(part, "since"),
        above_tokens=part.count("above_tokens") or 0,
        source=part.text("source"),
    )


PER_MILLION: Final = {
    "input_per_million": "input",
    "output_per_million": "output",
    "cached_per_million": "cached",
    "cache_write_per_million": "cache_writes",
    "cache_write_hour_per_million": "cache_writes_hour",
}
"""The figures of a price as they are written, and as `Price` calls them."""


def _money(part: Part, name: str) -> Money:
    try:
        return parse_money(part.text(name))
    except InvalidRequest as error:
        part.note(name, error.detail)
        return Money(0, "EUR")


def _date(part: Part, name: str) -> date:
    found: Json = part.fields.get(name)
    return date.fromisoformat(found) if isinstance(found, str) else date(1970, 1, 1)
