"""Purposes in the registry: names for what models are wanted for, in immutable versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from aos.kernel.manifest.values import Purpose
from aos.kernel.people import Actor, Permission
from aos.operations import drafted
from aos.operations.drafted import PURPOSES
from aos.operations.pages import Page, PageQuery, find_one, list_page, list_versions
from aos.operations.registry_records import Edit, reading


@dataclass(frozen=True, slots=True)
class PurposeDetail:
    """One purpose at the version in force, as it is shown.

    Version 0: none is in force yet, and `spec` is what waits. `draft_version` is a newer one that waits, None where none does.
    """

    id: UUID
    spec: Purpose
    version: int
    created_at: datetime
    updated_at: datetime
    retired_at: datetime | None
    draft_version: int | None = None


@dataclass(frozen=True, slots=True)
class PurposeVersion:
    """One immutable version of a purpose."""

    version: int
    spec: Purpose
    digest: bytes
    created_by: UUID | None
    created_at: datetime


def register_purpose(edit: Edit, spec: Purpose) -> UUID:
    """Register a purpose with version 1, or bring a retired one back; raise Conflict where the name is taken."""
    return drafted.register(edit, PURPOSES, spec)


def change_purpose(edit: Edit, spec: Purpose) -> int:
    """Give a purpose a new version and return its number; raise NotFound, or Conflict where it is retired."""
    return drafted.change(edit, PURPOSES, spec)


def publish_purpose(edit: Edit, key: str, *, version: int | None = None) -> int:
    """Put the version of a purpose that waits in force and return its number; raise NotFound and Conflict."""
    return drafted.publish(edit, PURPOSES, key, version=version)


def retire_purpose(edit: Edit, key: str) -> None:
    """Retire a purpose; raise NotFound, or Conflict where it is retired."""
    drafted.retire(edit, PURPOSES, key)


def list_purposes(actor: Actor, query: PageQuery) -> Page[PurposeDetail]:
    """Return a page of purposes."""
    with reading(actor, Permission.REGISTRY_READ):
        return find_purposes(actor.organization_id, query)


def show_purpose(actor: Actor, key: str) -> PurposeDetail:
    """Return one purpose by name or id; raise NotFound."""
    with reading(actor, Permission.REGISTRY_READ):
        return find_purpose(actor.organization_id, key)


def find_purpose(organization_id: UUID, key: str) -> PurposeDetail:
    """Return one purpose by name or id, in the open transaction; raise NotFound."""
    return find_one(find_purposes, organization_id, key, what="purpose")


def find_purposes(organization_id: UUID, query: PageQuery) -> Page[PurposeDetail]:
    """Return a page of purposes, in the open transaction."""
    filters = {"retired": None, **query.filters}
    return list_page("list_purposes", organization_id, query, read=_detail, **filters)


def list_purpose_versions(actor: Actor, key: str, query: PageQuery) -> Page[PurposeVersion]:
    """Return a page of a purpose's versions, newest first; raise NotFound."""
    with reading(actor, Permission.REGISTRY_READ):
        found = find_purpose(actor.organization_id, key)
        return list_versions(
            "list_purpose_versions",
            actor.organization_id,
            query,
            read=lambda row: PurposeVersion(
                row["version"], _spec(found.spec.name, row["spec"]), row["digest"], row["created_by"], row["created_at"]
            ),
            purpose_id=found.id,
        )


def _detail(row: Mapping[str, Any]) -> PurposeDetail:
    spec = _spec(row["name"], row["spec"])
    return PurposeDetail(
        row["id"], spec, row["version"], row["created_at"], row["updated_at"], row["retired_at"], row["draft_version"]
    )


def _spec(name: str, stored: Mapping[str, Any]) -> Purpose:
    return msgspec.convert({**stored, "name": name}, Purpose)
