"""Tools in the registry: what agents can do to the world, in immutable versions.

A change after which a policy in force would no longer compile is refused: such a rule would fail closed for every act. Every
policy believes what a tool declares: a new tool, or one that declares less, waits, unless its author may publish policies,
until somebody who may accepts it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from aos.kernel.errors import Conflict, FieldError, InvalidRequest
from aos.kernel.ledger.record import RecordKind
from aos.kernel.manifest.gains import tool_gains
from aos.kernel.manifest.values import ToolSpec
from aos.kernel.people import Actor, Permission
from aos.kernel.specs import spec_digest, spec_of
from aos.operations.held_tools import Held
from aos.operations.limits import set_limit
from aos.operations.pages import Page, PageQuery, find_one, list_page, list_versions
from aos.operations.policies import check_rules_with_tools
from aos.operations.registry import Entry, tool_of
from aos.operations.registry_records import Edit, reading
from aos.store.cold.connection import run_sql


@dataclass(frozen=True, slots=True)
class ToolDetail:
    """One tool at the version in force, as it is shown.

    Version 0: none is in force yet, and `spec` is what waits. `draft_version` is a newer one that waits, None where none does.
    """

    id: UUID
    spec: ToolSpec
    version: int
    created_at: datetime
    updated_at: datetime
    retired_at: datetime | None
    draft_version: int | None = None
    held: Held | None = None


@dataclass(frozen=True, slots=True)
class ToolVersion:
    """One immutable version of a tool."""

    version: int
    spec: ToolSpec
    digest: bytes
    created_by: UUID | None
    created_at: datetime


def register_tool(edit: Edit, spec: ToolSpec, *, checked: bool = False) -> UUID:
    """Register a tool with version 1, or bring a retired one back with a new version.

    Raises Conflict where the name is taken, InvalidRequest where it collides with another once dots are underscores,
    InvalidCondition where a policy that would cover it does not fit; `checked` says that the caller saw to that.
    """
    edit.require(Permission.REGISTRY_WRITE)
    found = edit.registry.find("tool", spec.name)
    if found is not None and not found.retired:
        raise Conflict(f"tool `{spec.name}` exists already")
    _check_collision(edit, spec.name)
    before = found or Entry(edit.drivers.ids.new())
    entry = _write(edit, spec, before, change="registered", statement="update_tool" if found else "insert_tool")
    if not checked:
        check_rules_with_tools(edit, spec)
    return entry.id


def change_tool(edit: Edit, spec: ToolSpec, *, checked: bool = False) -> int:
    """Give a tool a new version and return its number; raise as `register_tool` does, and NotFound.

    A version that waits replaces one that waited; what waits already as it is wanted is not stored again.
    """
    edit.require(Permission.REGISTRY_WRITE)
    name, before = edit.registry.get("tool", spec.name)
    if before.retired:
        raise Conflict(f"tool `{name}` is retired: register it again")
    entry = _write(edit, spec, before, change="changed", statement="update_tool")
    if not checked:
        check_rules_with_tools(edit, spec)
    return max(entry.version, entry.draft)


def publish_tool(edit: Edit, key: str, *, version: int | None = None) -> int:
    """Put the version of a tool that waits in force and return its number; `version` says which one is meant.

    Raises NotFound, Conflict where nothing waits or another version than that one does, and as `register_tool`.
    """
    edit.require(Permission.POLICY_PUBLISH)
    name, entry = edit.registry.get("tool", key)
    chosen = entry.waiting(f"tool `{name}`", version)
    _check_collision(edit, name)
    rows = run_sql("publish_tool", {"organization_id": edit.organization_id, "id": entry.id, "version": chosen})
    if not rows:
        raise Conflict(f"tool `{name}` was changed meanwhile: try again")
    edit.registry.entries["tool", name] = Entry(entry.id, chosen)
    set_limit(edit, "tool", name, edit.registry.drafts["tool", name].concurrency)
    edit.record(
        RecordKind.REGISTRY_CHANGED, "tool.published", subject=f"tool:{name}", version=chosen, digest=rows[0]["digest"]
    )
    check_rules_with_tools(edit, edit.registry.drafts["tool", name])
    return chosen


def retire_tool(edit: Edit, key: str) -> None:
    """Retire a tool: no agent can call it any more. Raises NotFound, or Conflict where it is retired."""
    edit.require(Permission.REGISTRY_WRITE)
    name, entry = edit.registry.get("tool", key)
    if not run_sql("retire_tool", {"organization_id": edit.organization_id, "id": entry.id}):
        raise Conflict(f"tool `{name}` is retired already")
    edit.registry.entries["tool", name] = Entry(entry.id, entry.version, retired=True)
    set_limit(edit, "tool", name, None)
    edit.record(RecordKind.REGISTRY_CHANGED, "tool.retired", subject=f"tool:{name}", version=entry.version)


def list_tools(actor: Actor, query: PageQuery) -> Page[ToolDetail]:
    """Return a page of tools."""
    with reading(actor, Permission.REGISTRY_READ):
        return find_tools(actor.organization_id, query)


def show_tool(actor: Actor, key: str) -> ToolDetail:
    """Return one tool by name or id; raise NotFound."""
    with reading(actor, Permission.REGISTRY_READ):
        return find_tool(actor.organization_id, key)


def find_tool(organization_id: UUID, key: str) -> ToolDetail:
    """Return one tool by name or id, in the open transaction; raise NotFound."""
    return find_one(find_tools, organization_id, key, what="tool")


def find_tools(organization_id: UUID, query: PageQuery) -> Page[ToolDetail]:
    """Return a page of tools, in the open transaction."""
    filters = {"effect": None, "retired": None, **query.filters}
    return list_page("list_tools", organization_id, query, read=_detail, **filters)


def list_tool_versions(actor: Actor, key: str, query: PageQuery) -> Page[ToolVersion]:
    """Return a page of a tool's versions, newest first; raise NotFound."""
    with reading(actor, Permission.REGISTRY_READ):
        tool = find_tool(actor.organization_id, key)
        return list_versions(
            "list_tool_versions",
            actor.organization_id,
            query,
            read=lambda row: ToolVersion(
                row["version"], _spec(tool.spec.name, row["spec"]), row["digest"], row["created_by"], row["created_at"]
            ),
            tool_id=tool.id,
        )


def _write(edit: Edit, spec: ToolSpec, before: Entry, *, change: str, statement: str) -> Entry:
    """Store the tool's next version, in force or waiting, and return where the tool stands now."""
    standing = next((each for each in edit.registry.manifest.tools if each.name == spec.name), None)
    waits = edit.must_wait("tool", spec.name, tool_gains(standing, spec))
    if waits and edit.registry.drafts.get(("tool", spec.name)) == spec:
        return before
    stored = spec_of(tool_of(spec, before))
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
    if not run_sql(statement, params):
        raise Conflict(f"tool `{spec.name}` exists already")
    entry = replace(before, draft=before.next) if waits else Entry(before.id, before.next)
    edit.registry.entries["tool", spec.name] = entry
    if not waits:
        set_limit(edit, "tool", spec.name, spec.concurrency)
    change = f"tool.{'drafted' if waits else change}"
    edit.record(RecordKind.REGISTRY_CHANGED, change, subject=f"tool:{spec.name}", version=before.next, digest=digest)
    return entry


def _check_collision(edit: Edit, name: str) -> None:
    shown = name.replace(".", "_")
    for (kind, other), entry in edit.registry.entries.items():
        if kind == "tool" and not entry.retired and other != name and other.replace(".", "_") == shown:
            detail = f"is `{shown}` where names have no dots, as `{other}` is: choose another name"
            raise InvalidRequest(f"tool `{name}` {detail}", errors=[FieldError("/name", detail)])


def _detail(row: Mapping[str, Any]) -> ToolDetail:
    spec = _spec(row["name"], row["spec"])
    return ToolDetail(
        row["id"], spec, row["version"], row["created_at"], row["updated_at"], row["retired_at"], row["draft_version"],
        Held(row["name"], str(spec.options.get("server", "")), row["held_why"], row["held_since"]) if row["held_why"] else None,
    )  # fmt: skip


def _spec(name: str, stored: Mapping[str, Any]) -> ToolSpec:
    return msgspec.convert({**stored, "name": name}, ToolSpec)
