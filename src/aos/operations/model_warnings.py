"""What stands in the way of calls of models that are registered: warned of when they are applied, refused when they are made."""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

from aos.kernel.manifest.values import Manifest, ModelSpec, Purpose
from aos.kernel.models.catalogue import find
from aos.kernel.models.providers import permitted_hosts
from aos.kernel.models.spec import is_free
from aos.operations.registry import Entry, model_of

_NO_ID: Final = UUID(int=0)
"""Of whom nothing but the address is asked needs no id."""


def model_warnings(after: Manifest, models: Set[str], purposes: Set[str], *, secrets: Set[str]) -> list[str]:
    """Return a sentence for whatever keeps the models and purposes of these names, as they stand in `after`, from use.

    `secrets` are the names of those that are set.
    """
    found: list[str] = []
    for model in after.models:
        if model.name in models:
            found += [f"model `{model.name}` {each}" for each in _of_model(model, after, secrets=secrets)]
    for purpose in after.purposes:
        if purpose.name in purposes:
            found += [f"purpose `{purpose.name}` {each}" for each in _of_purpose(purpose, after)]
    return found


def _of_model(model: ModelSpec, after: Manifest, *, secrets: Set[str]) -> Iterator[str]:
    settings = after.organization
    if model.secret and model.secret not in secrets:
        yield f"is sent the secret `{model.secret}`, which is not set: `aos secrets set {model.secret}`"
    convertible = {settings.currency, *(code for code, _ in settings.rates or ())}
    for currency in sorted({each.currency for each in model.prices if not is_free(each)} - convertible):
        yield f"is priced in {currency}: its calls are refused until `organization.rates` says what one is worth"
    host = urlsplit(model.base_url).netloc
    permitted = permitted_hosts(model_of(model, Entry(_NO_ID)), settings.hosts or ())
    if host and not {host, host.rpartition(":")[0]} & set(permitted):
        yield f"is at `{host}`: its calls are refused until `organization.hosts` names it"
    known = find(model.upstream, model.provider)
    if known is not None and known.ends is not None:
        yield f"is no longer served by `{model.provider}` from {known.ends} on"


def _of_purpose(purpose: Purpose, after: Manifest) -> Iterator[str]:
    registered = {each.name for each in after.models}
    missing = [f"`{each}`" for each in purpose.models if each not in registered]
    if missing:
        yield f"passes over {', '.join(missing)} until registered under `models`"
