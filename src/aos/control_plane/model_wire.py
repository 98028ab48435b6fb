"""What is shown of models and purposes; the schemas of `model_shapes` describe exactly this."""

from __future__ import annotations

from datetime import date

from aos.control_plane.wire import Shown, instant, made_of, money
from aos.kernel.manifest.models import PER_MILLION
from aos.kernel.manifest.values import ModelSpec, Purpose
from aos.kernel.models.values import Price
from aos.kernel.money import Money
from aos.operations.model_documents import model_document, purpose_document
from aos.operations.models import ModelDetail, ModelVersion
from aos.operations.purposes import PurposeDetail, PurposeVersion


def model(detail: ModelDetail) -> Shown:
    """Show a model."""
    return {**_columns(detail), **model_fields(detail.spec), **_times(detail)}


def model_fields(spec: ModelSpec) -> Shown:
    """Show what a model's version says; the key is known by its secret's name alone."""
    return {
        "api_key": None,
        "base_url": None,
        "context": None,
        "concurrency": None,
        **model_document(spec),
        "price": [_price(each) for each in spec.prices],
    }


def _price(price: Price) -> Shown:
    """Show one price of a million tokens of each sort."""
    figures = {name: getattr(price, field) for name, field in PER_MILLION.items()}
    return {
        **{name: None if nanos is None else money(Money(nanos, price.currency)) for name, nanos in figures.items()},
        "since": None if price.since == date(1970, 1, 1) else price.since.isoformat(),
        "above_tokens": price.above_tokens,
        "source": price.source,
    }


def model_version(version: ModelVersion) -> Shown:
    """Show one version of a model."""
    return {"version": version.version, **model_fields(version.spec), **made_of(version.digest, version)}


def purpose(detail: PurposeDetail) -> Shown:
    """Show a purpose."""
    return {**_columns(detail), **purpose_fields(detail.spec), **_times(detail)}


def purpose_fields(spec: Purpose) -> Shown:
    """Show what a purpose's version says."""
    return {"hedge_after": None, **purpose_document(spec)}


def purpose_version(version: PurposeVersion) -> Shown:
    """Show one version of a purpose."""
    return {"version": version.version, **purpose_fields(version.spec), **made_of(version.digest, version)}


def _columns(detail: ModelDetail | PurposeDetail) -> Shown:
    return {
        "id": detail.id,
        "name": detail.spec.name,
        "version": detail.version,
        "draft_version": detail.draft_version,
    }


def _times(detail: ModelDetail | PurposeDetail) -> Shown:
    return {
        "created_at": instant(detail.created_at),
        "updated_at": instant(detail.updated_at),
        "retired_at": instant(detail.retired_at),
    }
