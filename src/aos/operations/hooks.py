"""Hooks in the registry: signed doors through which systems outside start runs or signal them, with the rights of their owner.

A hook's secret lies sealed among the organization's secrets under a reserved name; it is told once, when it is made or
made anew, and leaves this module in no other way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from aos.kernel.errors import Conflict
from aos.kernel.hooks import SECRET_BYTES, HookSpec, hook_from, secret_text
from aos.kernel.ledger.record import RecordKind
from aos.kernel.people import Actor, Permission
from aos.operations.credentials import HOOK_PREFIX, seal_secret
from aos.operations.data_keys import load_data_keys
from aos.operations.pages import Page, PageQuery, find_one, list_page
from aos.operations.registry import Entry
from aos.operations.registry_records import Edit, reading
from aos.operations.run_owners import owner_of
from aos.store.cold.connection import run_sql


@dataclass(frozen=True, slots=True)
class HookDetail:
    """One hook as it is shown, without its secret."""

    id: UUID
    spec: HookSpec
    secret_id: UUID
    secret_version: int
    owner_id: UUID
    last_at: datetime | None
    created_at: datetime
    updated_at: datetime
    retired_at: datetime | None


@dataclass(frozen=True, slots=True)
class MadeHook:
    """A hook that was made, and its secret, which is told now and never again."""

    id: UUID
    secret: str


def create_hook(edit: Edit, spec: HookSpec) -> MadeHook:
    """Open a hook with a secret of its own; raise Conflict where the name is taken."""
    edit.require(Permission.REGISTRY_WRITE)
    edit.require(Permission.RUN_CONTROL if spec.signal else Permission.RUN_START)
    spec = replace(spec, owner=spec.owner or edit.actor.email)
    id, secret_id = edit.drivers.ids.new(), edit.drivers.ids.new()
    secret = _set_secret(edit, id, secret_id)
    params = {**_params(edit, id, spec, owner_id=None), "secret_id": secret_id}
    if not run_sql("insert_hook", params):
        raise Conflict(f"there is a hook `{spec.name}` already")
    edit.registry.entries["hook", spec.name] = Entry(id)
    edit.record(RecordKind.REGISTRY_CHANGED, "hook.created", subject=f"hook:{spec.name}")
    return MadeHook(id, secret)


def change_hook(edit: Edit, spec: HookSpec) -> None:
    """Change what a hook takes and starts; raise NotFound."""
    edit.require(Permission.REGISTRY_WRITE)
    name, entry = edit.registry.get("hook", spec.name)
    found = find_hook(edit.organization_id, str(entry.id))
    spec = replace(spec, owner=spec.owner or edit.actor.email)
    stopped_by = found.owner_id if replace(found.spec, enabled=False) == spec else None
    run_sql("update_hook", _params(edit, entry.id, spec, owner_id=stopped_by))
    edit.record(RecordKind.REGISTRY_CHANGED, "hook.changed", subject=f"hook:{name}")


def rotate_hook(edit: Edit, key: str) -> MadeHook:
    """Give a hook another secret: the old one counts no more. Raises NotFound, Forbidden for who may not write the hook."""
    edit.require(Permission.REGISTRY_WRITE)
    name, entry = edit.registry.get("hook", key)
    found = find_hook(edit.organization_id, str(entry.id))
    owner_of(edit, found.spec)
    secret = _set_secret(edit, entry.id, found.secret_id)
    edit.record(RecordKind.REGISTRY_CHANGED, "hook.rotated", subject=f"hook:{name}")
    return MadeHook(entry.id, secret)


def retire_hook(edit: Edit, key: str) -> None:
    """Close a hook for good and empty its secret; raise NotFound."""
    edit.require(Permission.REGISTRY_WRITE)
    name, entry = edit.registry.get("hook", key)
    run_sql("retire_hook", {"organization_id": edit.organization_id, "id": entry.id})
    edit.registry.entries.pop(("hook", name))
    edit.record(RecordKind.REGISTRY_CHANGED, "hook.retired", subject=f"hook:{name}")


def list_hooks(actor: Actor, query: PageQuery) -> Page[HookDetail]:
    """Return a page of hooks."""
    with reading(actor, Permission.REGISTRY_READ):
        return find_hooks(actor.organization_id, query)


def show_hook(actor: Actor, key: str) -> HookDetail:
    """Return one hook by name or id; raise NotFound."""
    with reading(actor, Permission.REGISTRY_READ):
        return find_hook(actor.organization_id, key)


def find_hook(organization_id: UUID, key: str) -> HookDetail:
    """Return one hook by name or id, in the open transaction; raise NotFound."""
    return find_one(find_hooks, organization_id, key, what="hook")


def find_hooks(organization_id: UUID, query: PageQuery) -> Page[HookDetail]:
    """Return a page of hooks, in the open transaction."""
    # A retired one is found by its id alone; lists leave them out unless they are asked for.
    retired = None if query.filters.get("id") else False
    filters = {"enabled": None, "retired": retired, **query.filters}
    return list_page("list_hooks", organization_id, query, read=_detail, **filters)


def _set_secret(edit: Edit, hook_id: UUID, secret_id: UUID) -> str:
    """Make and seal a secret and return it as senders are told it."""
    secret = edit.drivers.ids.random_bytes(SECRET_BYTES)
    keys = load_data_keys(edit.drivers, edit.organization_id)
    key = keys.by_id[keys.current_id]
    params = {
        "organization_id": edit.organization_id,
        "id": secret_id,
        "name": f"{HOOK_PREFIX}{hook_id}",
        "data_key_id": keys.current_id,
        "sealed": seal_secret(edit.drivers, edit.organization_id, secret_id, value=secret, key=key),
    }
    run_sql("upsert_secret", params)
    return secret_text(secret)


def _params(edit: Edit, id: UUID, spec: HookSpec, *, owner_id: UUID | None) -> dict[str, Any]:
    return {
        "organization_id": edit.organization_id,
        "id": id,
        "name": spec.name,
        "does": spec.does,
        "target_kind": None if spec.signal else "workflow" if spec.workflow else "agent",
        "target": spec.target,
        "mapping": msgspec.json.encode(spec.mapping).decode(),
        "accepts": msgspec.json.encode({"types": spec.types, "sources": spec.sources}).decode(),
        "owner_id": owner_id or owner_of(edit, spec),
        "enabled": spec.enabled,
    }


def _detail(row: Mapping[str, Any]) -> HookDetail:
    spec = hook_from(row, enabled=row["enabled"])
    plain = ("id", "secret_id", "secret_version", "owner_id", "last_at", "created_at", "updated_at", "retired_at")
    return HookDetail(spec=spec, **{name: row[name] for name in plain})
