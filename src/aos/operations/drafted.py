"""What models, purposes and MCP servers have in common in the registry: immutable versions, of which one may wait to be in force.

A change that gives somebody more waits, unless its author may publish policies, until somebody who may accepts it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

import msgspec

from aos.kernel.errors import Conflict
from aos.kernel.ledger.record import RecordKind
from aos.kernel.manifest.gains import mcp_server_gains, model_gains, purpose_gains
from aos.kernel.manifest.values import McpServer, ModelSpec, Purpose
from aos.kernel.people import Permission
from aos.kernel.specs import spec_digest, spec_of
from aos.operations.limits import set_limit
from aos.operations.registry import Entry, model_of
from aos.operations.registry_records import Edit
from aos.store.cold.connection import run_sql

Spec = TypeVar("Spec", ModelSpec, Purpose, McpServer)


@dataclass(frozen=True, slots=True)
class Kind(Generic[Spec]):
    """One kind of registered thing: what it is called, what a change gives, what is stored, by which statements."""

    name: str
    standing: Callable[[Edit], Sequence[Spec]]
    gains: Callable[[Spec | None, Spec], list[str]]
    stored: Callable[[Spec, Entry], dict[str, Any]]
    limit: Callable[[Edit, str, Spec | None], None]
    """Sets what limit counts once a version is in force, or takes it away where none is any more."""
    insert: str
    update: str
    publish: str
    retire: str


MODELS: Final[Kind[ModelSpec]] = Kind(
    name="model",
    standing=lambda edit: edit.registry.manifest.models,
    gains=model_gains,
    stored=lambda spec, entry: spec_of(model_of(spec, entry)),
    limit=lambda edit, name, spec: set_limit(edit, "model", name, spec.concurrency if spec is not None else None),
    insert="insert_model",
    update="update_model",
    publish="publish_model",
    retire="retire_model",
)
PURPOSES: Final[Kind[Purpose]] = Kind(
    name="purpose",
    standing=lambda edit: edit.registry.manifest.purposes,
    gains=purpose_gains,
    stored=lambda spec, _: spec_of(spec),
    limit=lambda edit, name, spec: None,
    insert="insert_purpose",
    update="update_purpose",
    publish="publish_purpose",
    retire="retire_purpose",
)
MCP_SERVERS: Final[Kind[McpServer]] = Kind(
    name="mcp_server",
    standing=lambda edit: edit.registry.manifest.mcp_servers,
    gains=mcp_server_gains,
    stored=lambda spec, _: spec_of(spec),
    limit=lambda edit, name, spec: None,
    insert="insert_mcp_server",
    update="update_mcp_server",
    publish="publish_mcp_server",
    retire="retire_mcp_server",
)


def register(edit: Edit, kind: Kind[Spec], spec: Spec) -> UUID:
    """Register a thing with version 1, or bring a retired one back with a new version; raise Conflict where it is."""
    edit.require(Permission.REGISTRY_WRITE)
    found = edit.registry.find(kind.name, spec.name)
    if found is not None and not found.retired:
        raise Conflict(f"{kind.name} `{spec.name}` exists already")
    before = found or Entry(edit.drivers.ids.new())
    return _write(edit, kind, spec, before=before, change="registered").id


def change(edit: Edit, kind: Kind[Spec], spec: Spec) -> int:
    """Give a thing a new version and return its number; raise NotFound, or Conflict where it is retired.

    A version that waits replaces one that waited; what waits already as it is wanted is not stored again.
    """
    edit.require(Permission.REGISTRY_WRITE)
    name, before = edit.registry.get(kind.name, spec.name)
    if before.retired:
        raise Conflict(f"{kind.name} `{name}` is retired: register it again")
    entry = _write(edit, kind, spec, before=before, change="changed")
    return max(entry.version, entry.draft)


def publish(edit: Edit, kind: Kind[Spec], key: str, *, version: int | None = None) -> int:
    """Put the version that waits in force and return its number; `version` says which one is meant.

    Raises NotFound, and Conflict where nothing waits or another version than that one does.
    """
    edit.require(Permission.POLICY_PUBLISH)
    name, entry = edit.registry.get(kind.name, key)
    chosen = entry.waiting(f"{kind.name} `{name}`", version)
    rows = run_sql(kind.publish, {"organization_id": edit.organization_id, "id": entry.id, "version": chosen})
    if not rows:
        raise Conflict(f"{kind.name} `{name}` was changed meanwhile: try again")
    edit.registry.entries[kind.name, name] = Entry(entry.id, chosen)
    kind.limit(edit, name, edit.registry.drafts[kind.name, name])
    _record(edit, kind, name, change="published", version=chosen, digest=rows[0]["digest"])
    return chosen


def retire(edit: Edit, kind: Kind[Spec], key: str) -> None:
    """Retire a thing: nobody can ask for it any more. Raises NotFound, or Conflict where it is retired."""
    edit.require(Permission.REGISTRY_WRITE)
    name, entry = edit.registry.get(kind.name, key)
    if not run_sql(kind.retire, {"organization_id": edit.organization_id, "id": entry.id}):
        raise Conflict(f"{kind.name} `{name}` is retired already")
    edit.registry.entries[kind.name, name] = Entry(entry.id, entry.version, retired=True)
    kind.limit(edit, name, None)
    _record(edit, kind, name, change="retired", version=entry.version)


def _write(edit: Edit, kind: Kind[Spec], spec: Spec, *, before: Entry, change: str) -> Entry:
    """Store the next version, in force or waiting, and return where the thing stands now."""
    standing = next((each for each in kind.standing(edit) if each.name == spec.name), None)
    waits = edit.must_wait(kind.name, spec.name, kind.gains(standing, spec))
    if waits and edit.registry.drafts.get((kind.name, spec.name)) == spec:
        return before
    stored = kind.stored(spec, before)
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
    known = (kind.name, spec.name) in edit.registry.entries
    if not run_sql(kind.update if known else kind.insert, params):
        raise Conflict(f"{kind.name} `{spec.name}` was changed meanwhile: try again")
    entry = replace(before, draft=before.next) if waits else Entry(before.id, before.next)
    edit.registry.entries[kind.name, spec.name] = entry
    if not waits:
        kind.limit(edit, spec.name, spec)
    _record(edit, kind, spec.name, change="drafted" if waits else change, version=before.next, digest=digest)
    return entry


def _record(edit: Edit, kind: Kind[Spec], name: str, *, change: str, version: int, digest: bytes | None = None) -> None:
    change, subject = f"{kind.name}.{change}", f"{kind.name}:{name}"
    edit.record(RecordKind.REGISTRY_CHANGED, change, subject=subject, version=version, digest=digest)
