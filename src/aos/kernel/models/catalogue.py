"""The catalogue of models that AOS ships: what is known of a model by its name, before anyone registers it.

The data stand in `catalogue_data`, which `python -m aos.boot.catalogue` writes; nothing here is read from outside. What an
operator says of a model always counts for more than what stands here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from aos.kernel.dialects.values import Dialect
from aos.kernel.models.catalogue_data import CATALOGUE
from aos.kernel.models.values import CatalogueModel, Provider

_SNAPSHOT = re.compile(r"(?P<name>.+)-(\d{4}-\d{2}-\d{2}|\d{8})")
_OPEN_DIALECTS = (Dialect.CHAT, Dialect.EMBEDDINGS)

_BY_NAME: Final[Mapping[str, CatalogueModel]] = MappingProxyType(
    {alias: model for model in CATALOGUE for alias in model.aliases} | {model.name: model for model in CATALOGUE}
)


def models() -> tuple[CatalogueModel, ...]:
    """Return every model of the catalogue, in its order."""
    return CATALOGUE


def names() -> tuple[str, ...]:
    """Return the names of all models of the catalogue, in its order, aliases left out."""
    return tuple(model.name for model in CATALOGUE)


def find(name: str, provider: Provider | None = None) -> CatalogueModel | None:
    """Return what is known of a model by its name, an alias, or the name of a dated snapshot of it, served by `provider`.

    A snapshot keeps its own name as `upstream`, and so does whatever a compatible server serves, which has its own names.
    Served by another than its own provider a model keeps what it can do, has no address, and costs the same only at
    Azure, whose prices for OpenAI's models are OpenAI's. None: nothing is known.
    """
    model = _BY_NAME.get(name)
    if model is None and (snapshot := _SNAPSHOT.fullmatch(name)):
        model = _BY_NAME.get(snapshot["name"])
        model = replace(model, upstream=name) if model else None
    if model is None:
        return None
    if (provider or model.provider) is Provider.COMPATIBLE and model.upstream != name:
        model = replace(model, upstream=name)
    return model if provider in (None, model.provider) else _served_by(model, provider)


def _served_by(model: CatalogueModel, provider: Provider | None) -> CatalogueModel | None:
    if provider is Provider.AZURE and model.provider is Provider.OPENAI:
        return replace(model, provider=provider, base_url="", region="", ends=None)
    if provider is not Provider.COMPATIBLE or model.provider is Provider.LOCAL:
        return None
    spoken = tuple(dialect for dialect in model.dialects if dialect in _OPEN_DIALECTS) or (Dialect.CHAT,)
    return replace(model, provider=provider, base_url="", region="", dialects=spoken, prices=(), ends=None)
