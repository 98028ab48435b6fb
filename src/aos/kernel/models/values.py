"""Models as the gate and the router know them: where they are, what they can do, what they cost.

Prices are nanos of their currency for a million tokens, so a price per token is exact without fractions. A model is a
registered, versioned thing of one organization; what it does not say is filled from the catalogue when it is registered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from uuid import UUID

from aos.kernel.dialects.values import Dialect


class Provider(StrEnum):
    """Who serves a model, which decides how its address and its key are written."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    MISTRAL = "mistral"
    AZURE = "azure"
    COMPATIBLE = "openai-compatible"
    LOCAL = "local"


class Capability(StrEnum):
    """What a request may need of a model."""

    TOOLS = "tools"
    IMAGES = "images"
    JSON_SCHEMA = "json_schema"
    REASONING = "reasoning"
    EMBEDDINGS = "embeddings"


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs from a day on: nanos of `currency` for a million tokens of each sort.

    `above_tokens` is the least number of input tokens from which this price holds for the whole call, 0 for the usual one.
    `source` says where the figures were read.
    """

    currency: str
    input: int
    output: int
    cached: int | None = None
    """None: what is read from a cache costs as other input."""
    cache_writes: int | None = None
    """None: what is written to a cache costs as other input."""
    cache_writes_hour: int | None = None
    """What is written to be kept for an hour; None: as other cache writes."""
    since: date = date(1970, 1, 1)
    above_tokens: int = 0
    source: str = ""


@dataclass(frozen=True, slots=True)
class Model:
    """One model at its current version."""

    id: UUID
    name: str
    version: int
    provider: Provider
    upstream: str
    """Its name at the provider."""
    base_url: str
    dialects: tuple[Dialect, ...]
    """What its server speaks."""
    secret: str = ""
    """The name of the secret that holds the provider's key; empty where none is needed."""
    context_tokens: int = 0
    """How many tokens a request and its answer may have together; 0: not known."""
    output_tokens_max: int = 4096
    prices: tuple[Price, ...] = ()
    capabilities: tuple[Capability, ...] = ()
    tags: tuple[str, ...] = ()
    region: str = ""
    """Where data is worked on, as the operator says: `eu`, `us`; empty: not said."""
    strength: int = 3
    """How much it can: 1 (light) to 5 (strongest), by the catalogue's judgement or the operator's."""
    fallbacks: tuple[str, ...] = ()
    concurrency: int | None = None
    """How many of its calls may be under way at once; None: as many as are made."""
    timeout_seconds: int = 600
    options: Mapping[str, str] = field(default_factory=dict)
    """What one provider needs besides: `api_version` and `deployment` of Azure."""


@dataclass(frozen=True, slots=True)
class CatalogueModel:
    """What is known of a model before anyone registers it, from the catalogue that is shipped.

    It fills what a registration leaves out, under the same names. `base_url` is empty where only the operator knows it;
    `prices` are empty where nobody but the operator can say them.
    """

    name: str
    provider: Provider
    upstream: str
    base_url: str
    dialects: tuple[Dialect, ...]
    context_tokens: int
    output_tokens_max: int
    strength: int
    capabilities: tuple[Capability, ...] = ()
    tags: tuple[str, ...] = ()
    prices: tuple[Price, ...] = ()
    region: str = ""
    aliases: tuple[str, ...] = ()
    """Other names it is found by."""
    ends: date | None = None
    """Since when its provider no longer serves it, where that is known."""


class Objective(StrEnum):
    """What a purpose prefers among candidates that can do the work."""

    BALANCED = "balanced"
    QUALITY = "quality"
    LATENCY = "latency"
    COST = "cost"


class CascadeCheck(StrEnum):
    """What a small model's answer must pass before it counts."""

    NOT_EMPTY = "not_empty"
    JSON = "json"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class Purpose:
    """A name for what models are wanted for, with its candidates in order of preference."""

    name: str
    models: tuple[str, ...]
    objective: Objective = Objective.BALANCED
    residency: tuple[str, ...] = ()
    """The regions its requests may go to; empty: any."""
    canary: Mapping[str, int] = field(default_factory=dict)
    """Per cent of its requests that go to a model first, by name."""
    hedge_after_ms: int | None = None
    """After how long without a first byte a second candidate is asked too; None: never."""
    cascade: tuple[CascadeCheck, ...] = ()
    """Where any is named, candidates are asked from the lightest on until an answer passes every check."""
    cache_seconds: int = 0
    """How long the same request is answered from the same answer; 0: never."""
    attempts: int = 2
    """How many candidates may be tried for one request."""
