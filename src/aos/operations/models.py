"""Models in the registry: what agents may ask, where it is, what it costs, in immutable versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from aos.kernel.manifest.values import ModelSpec
from aos.kernel.people import Actor, Permission
from aos.operations import drafted
from aos.operations.drafted import MODELS
from aos.operations.pages import Page, PageQuery, find_one, list_page, list_versions
from aos.operations.registry_records import Edit, reading


@dataclass(frozen=True, slots=True)
class ModelDetail:
    """One model at the version in force, as it is shown.

    Version 0: none is in force yet, and `spec` is what waits. `draft_version` is a newer one that waits, None where none does.
    """

    id: UUID
    spec: ModelSpec
    version: int
    created_at: datetime
    updated_at: datetime
    retired_at: datetime | None
    draft_version: int | None = None


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One immutable version of a model."""

    version: int
    spec: ModelSpec
    digest: bytes
    created_by: UUID | None
    created_at: datetime


def register_model(edit: Edit, spec: ModelSpec) -> UUID:
    """Register a model with version 1, or bring a retired one back; raise Conflict where the name is taken."""
    return drafted.register(edit, MODELS, spec)


def change_model(edit: Edit, spec: ModelSpec) -> int:
    """Give a model a new version and return its number; raise NotFound, or Conflict where it is retired."""
    return drafted.change(edit, MODELS, spec)


def publish_model(edit: Edit, key: str, *, version: int | None = None) -> int:
    """Put the version of a model that waits in force and return its number; raise NotFound and Conflict."""
    return drafted.publish(edit, MODELS, key, version=version)


def retire_model(edit: Edit, key: str) -> None:
    """Retire a model; raise NotFound, or Conflict where it is retired."""
    drafted.retire(edit, MODELS, key)


def list_models(actor: Actor, query: PageQuery) -> Page[ModelDetail]:
    """Return a page of models."""
    with reading(actor, Permission.REGISTRY_READ):
        return find_models(actor.organization_id, query)


def show_model(actor: Actor, key: str) -> ModelDetail:
    """Return one model by name or id; raise NotFound."""
    with reading(actor, Permission.REGISTRY_READ):
        return find_model(actor.organization_id, key)


def find_model(organization_id: UUID, key: str) -> ModelDetail:
    """Return one model by name or id, in the open transaction; raise NotFound."""
    return find_one(find_models, organization_id, key, what="model")


def find_models(organization_id: UUID, query: PageQuery) -> Page[ModelDetail]:
    """Return a page of models, in the open transaction."""
    filters = {"provider": None, "retired": None, **query.filters}
    return list_page("list_models", organization_id, query, read=_detail, **filters)


def list_model_versions(actor: Actor, key: str, query: PageQuery) -> Page[ModelVersion]:
    """Return a page of a model's versions, newest first; raise NotFound."""
    with reading(actor, Permission.REGISTRY_READ):
        found = find_model(actor.organization_id, key)
        return list_versions(
            "list_model_versions",
            actor.organization_id,
            query,
            read=lambda row: ModelVersion(
                row["version"], _spec(found.spec.name, row["spec"]), row["digest"], row["created_by"], row["created_at"]
            ),
            model_id=found.id,
        )


def _detail(row: Mapping[str, Any]) -> ModelDetail:
    spec = _spec(row["name"], row["spec"])
    return ModelDetail(
        row["id"], spec, row["version"], row["created_at"], row["updated_at"], row["retired_at"], row["draft_version"]
    )


def _spec(name: str, stored: Mapping[str, Any]) -> ModelSpec:
    return msgspec.convert({**stored, "name": name}, ModelSpec)
