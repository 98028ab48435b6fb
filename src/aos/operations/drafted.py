"""What is registered in immutable versions, of which one may wait to be in force: models, purposes, MCP servers.

A change that gives somebody more waits, unless its author may publish policies, until somebody who may accepts it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

import msgspec

from aos.kernel.errors import Conflict
from aos.kernel.ledger.record import RecordKind
from aos.kernel.manifest.values import McpServer, ModelSpec, Purpose
from aos.kernel.people import Actor, Permission
from aos.kernel.specs import spec_digest, spec_of
from aos.operations.pages import Page, PageQuery, find_one, list_page, list_versions
from aos.operations.registry import Entry
from aos.operations.registry_records import Edit, reading
from aos.store.cold.connection import run_sql

Spec = TypeVar("Spec", ModelSpec, Purpose, McpServer)


@dataclass(frozen=True, slots=True)
class Detail(Generic[Spec]):
    """One registered thing at the version in force, as it is shown.

    Version 0: none is in force yet, and `spec` is what waits. `draft_version` is a newer one that waits, None where none does.
    """

    id: UUID
    spec: Spec
    version: int
    created_at: datetime
    updated_at: datetime
    retired_at: datetime | None
    draft_version: int | None = None


@dataclass(frozen=True, slots=True)
class Version(Generic[Spec]):
    """One immutable version."""

    version: int
    spec: Spec
    digest: bytes
    created_by: UUID | None
    created_at: datetime


def _stored(spec: Any, _: Entry) -> dict[str, Any]:
    return spec_of(spec)


def _unlimited(edit: Edit, name: str, spec: Any) -> None:
    """Nothing of this kind has a limit."""


@dataclass(frozen=True, slots=True)
class Drafted(Generic[Spec]):
    """One kind of registered thing: what it is called, what a change gives, what is stored.

    Its statements are called by `name`: insert_, update_, publish_ and retire_NAME, list_NAMEs, list_NAME_versions.
    """

    name: str
    type: type[Spec]
    standing: Callable[[Edit], Sequence[Spec]]
    gains: Callable[[Spec | None, Spec], list[str]]
    stored: Callable[[Spec, Entry], dict[str, Any]] = _stored
    limit: Callable[[Edit, str, Spec | None], None] = _unlimited
    """Sets what limit counts once a version is in force, or takes it away where none is any more."""
    filters: Mapping[str, None] = field(default_factory=lambda: {"retired": None})
    """What a page may be asked by."""

    def register(self, edit: Edit, spec: Spec) -> UUID:
        """Register a thing with version 1, or bring a retired one back with a new version; raise Conflict where it is."""
        edit.require(Permission.REGISTRY_WRITE)
        found = edit.registry.find(self.name, spec.name)
        if found is not None and not found.retired:
            raise Conflict(f"{self.name} `{spec.name}` exists already")
        before = found or Entry(edit.drivers.ids.new())
        return self._write(edit, spec, before=before, change="registered").id

    def change(self, edit: Edit, spec: Spec) -> int:
        """Give a thing a new version and return its number; raise NotFound, or Conflict where it is retired.

        A version that waits replaces one that waited; what waits already as it is wanted is not stored again.
        """
        edit.require(Permission.REGISTRY_WRITE)
        name, before = edit.registry.get(self.name, spec.name)
        if before.retired:
            raise Conflict(f"{self.name} `{name}` is retired: register it again")
        entry = self._write(edit, spec, before=before, change="changed")
        return max(entry.version, entry.draft)

    def publish(self, edit: Edit, key: str, *, version: int | None = None) -> int:
        """Put the version that waits in force and return its number; `version` says which one is meant.

        Raises NotFound, and Conflict where nothing waits or another version than that one does.
        """
        edit.require(Permission.POLICY_PUBLISH)
        name, entry = edit.registry.get(self.name, key)
        chosen = entry.waiting(f"{self.name} `{name}`", version)
        params = {"organization_id": edit.organization_id, "id": entry.id, "version": chosen}
        rows = run_sql(f"publish_{self.name}", params)
        if not rows:
            raise Conflict(f"{self.name} `{name}` was changed meanwhile: try again")
        edit.registry.entries[self.name, name] = Entry(entry.id, chosen)
        self.limit(edit, name, edit.registry.drafts[self.name, name])
        self._record(edit, name, change="published", version=chosen, digest=rows[0]["digest"])
        return chosen

    def retire(self, edit: Edit, key: str) -> None:
        """Retire a thing: nobody can ask for it any more. Raises NotFound, or Conflict where it is retired."""
        edit.require(Permission.REGISTRY_WRITE)
        name, entry = edit.registry.get(self.name, key)
        if not run_sql(f"retire_{self.name}", {"organization_id": edit.organization_id, "id": entry.id}):
            raise Conflict(f"{self.name} `{name}` is retired already")
        edit.registry.entries[self.name, name] = Entry(entry.id, entry.version, retired=True)
        self.limit(edit, name, None)
        self._record(edit, name, change="retired", version=entry.version)

    def page(self, actor: Actor, query: PageQuery) -> Page[Detail[Spec]]:
        """Return a page of these things."""
        with reading(actor, Permission.REGISTRY_READ):
            return self._page(actor.organization_id, query)

    def show(self, actor: Actor, key: str) -> Detail[Spec]:
        """Return one by name or id; raise NotFound."""
        with reading(actor, Permission.REGISTRY_READ):
            return self.find(actor.organization_id, key)

    def find(self, organization_id: UUID, key: str) -> Detail[Spec]:
        """Return one by name or id, in the open transaction; raise NotFound."""
        return find_one(self._page, organization_id, key, what=self.name)

    def versions(self, actor: Actor, key: str, query: PageQuery) -> Page[Version[Spec]]:
        """Return a page of one's versions, newest first; raise NotFound."""
        with reading(actor, Permission.REGISTRY_READ):
            found = self.find(actor.organization_id, key)
            return list_versions(
                f"list_{self.name}_versions",
                actor.organization_id,
                query,
                read=lambda row: Version(
                    row["version"],
                    self._spec(found.spec.name, row["spec"]),
                    row["digest"],
                    row["created_by"],
                    row["created_at"],
                ),
                **{f"{self.name}_id": found.id},
            )

    def _page(self, organization_id: UUID, query: PageQuery) -> Page[Detail[Spec]]:
        filters = {**self.filters, **query.filters}
        return list_page(f"list_{self.name}s", organization_id, query, read=self._detail, **filters)

    def _detail(self, row: Mapping[str, Any]) -> Detail[Spec]:
        columns = ("version", "created_at", "updated_at", "retired_at", "draft_version")
        return Detail(row["id"], self._spec(row["name"], row["spec"]), *(row[each] for each in columns))

    def _spec(self, name: str, stored: Mapping[str, Any]) -> Spec:
        return msgspec.convert({**stored, "name": name}, self.type)

    def _write(self, edit: Edit, spec: Spec, *, before: Entry, change: str) -> Entry:
        """Store the next version, in force or waiting, and return where the thing stands now."""
        standing = next((each for each in self.standing(edit) if each.name == spec.name), None)
        waits = edit.must_wait(self.name, spec.name, self.gains(standing, spec))
        if waits and edit.registry.drafts.get((self.name, spec.name)) == spec:
            return before
        stored = self.stored(spec, before)
        digest = spec_digest(stored)
        params = {
            "organization_id": edit.organization_id,
            "id": before.id,
            "name": spec.name,
            "version": before.version,
            "next": before.next,
            "in_force": not waits,
            "version_id": edit.drivers.ids.new(),
            "spec": msgspec.json.encode(stored).decode(),
            "digest": digest,
            "created_by": edit.actor.person_id,
        }
        known = (self.name, spec.name) in edit.registry.entries
        if not run_sql(f"update_{self.name}" if known else f"insert_{self.name}", params):
            raise Conflict(f"{self.name} `{spec.name}` was changed meanwhile: try again")
        entry = replace(before, draft=before.next) if waits else Entry(before.id, before.next)
        edit.registry.entries[self.name, spec.name] = entry
        if not waits:
            self.limit(edit, spec.name, spec)
        self._record(edit, spec.name, change="drafted" if waits else change, version=before.next, digest=digest)
        return entry

    def _record(self, edit: Edit, name: str, *, change: str, version: int, digest: bytes | None = None) -> None:
        change, subject = f"{self.name}.{change}", f"{self.name}:{name}"
        edit.record(RecordKind.REGISTRY_CHANGED, change, subject=subject, version=version, digest=digest)
