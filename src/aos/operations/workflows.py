"""Workflows in the registry: what runs, in which order, in immutable versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from aos.kernel.errors import Conflict
from aos.kernel.ledger.record import RecordKind
from aos.kernel.manifest.values import WorkflowSpec
from aos.kernel.people import Actor, Permission
from aos.kernel.specs import spec_digest
from aos.operations.pages import Page, PageQuery, find_one, list_page, list_versions
from aos.operations.registry import Entry
from aos.operations.registry_records import Edit, reading
from aos.store.cold.connection import run_sql


@dataclass(frozen=True, slots=True)
class WorkflowDetail:
    """One workflow at its current version, as it is shown."""

    id: UUID
    spec: WorkflowSpec
    version: int
    created_at: datetime
    updated_at: datetime
    retired_at: datetime | None


@dataclass(frozen=True, slots=True)
class WorkflowVersion:
    """One immutable version of a workflow."""

    version: int
    spec: WorkflowSpec
    digest: bytes
    created_by: UUID | None
    created_at: datetime


def create_workflow(edit: Edit, spec: WorkflowSpec) -> UUID:
    """File a workflow with version 1, or bring a retired one back; raise Conflict where the name is taken."""
    edit.require(Permission.REGISTRY_WRITE)
    found = edit.registry.find("workflow", spec.name)
    if found is not None and not found.retired:
        raise Conflict(f"workflow `{spec.name}` exists already")
    entry = Entry(found.id, found.version + 1) if found else Entry(edit.drivers.ids.new(), 1)
    _write(edit, spec, entry, change="workflow.created", statement="update_workflow" if found else "insert_workflow")
    return entry.id


def change_workflow(edit: Edit, spec: WorkflowSpec) -> int:
    """Give a workflow a new version and return its number; runs that began keep theirs. Raises NotFound or Conflict."""
    edit.require(Permission.REGISTRY_WRITE)
    name, entry = edit.registry.get("workflow", spec.name)
    if entry.retired:
        raise Conflict(f"workflow `{name}` is retired: file it again")
    entry = Entry(entry.id, entry.version + 1)
    _write(edit, spec, entry, change="workflow.changed", statement="update_workflow")
    return entry.version


def retire_workflow(edit: Edit, key: str) -> None:
    """Retire a workflow: no run of it can start. Raises NotFound, or Conflict where it is retired."""
    edit.require(Permission.REGISTRY_WRITE)
    name, entry = edit.registry.get("workflow", key)
    if not run_sql("retire_workflow", {"organization_id": edit.organization_id, "id": entry.id}):
        raise Conflict(f"workflow `{name}` is retired already")
    edit.registry.entries["workflow", name] = Entry(entry.id, entry.version, retired=True)
    edit.record(RecordKind.REGISTRY_CHANGED, "workflow.retired", subject=f"workflow:{name}", version=entry.version)


def list_workflows(actor: Actor, query: PageQuery) -> Page[WorkflowDetail]:
    """Return a page of workflows."""
    with reading(actor, Permission.REGISTRY_READ):
        return find_workflows(actor.organization_id, query)


def show_workflow(actor: Actor, key: str) -> WorkflowDetail:
    """Return one workflow by name or id; raise NotFound."""
    with reading(actor, Permission.REGISTRY_READ):
        return find_workflow(actor.organization_id, key)


def find_workflow(organization_id: UUID, key: str) -> WorkflowDetail:
    """Return one workflow by name or id, in the open transaction; raise NotFound."""
    return find_one(find_workflows, organization_id, key, what="workflow")


def find_workflows(organization_id: UUID, query: PageQuery) -> Page[WorkflowDetail]:
    """Return a page of workflows, in the open transaction."""
    return list_page("list_workflows", organization_id, query, read=_detail, **{"retired": None, **query.filters})


def list_workflow_versions(actor: Actor, key: str, query: PageQuery) -> Page[WorkflowVersion]:
    """Return a page of a workflow's versions, newest first; raise NotFound."""
    with reading(actor, Permission.REGISTRY_READ):
        workflow = find_workflow(actor.organization_id, key)
        return list_versions(
            "list_workflow_versions",
            actor.organization_id,
            query,
            read=lambda row: WorkflowVersion(
                row["version"],
                _spec(workflow.spec.name, row["spec"]),
                row["digest"],
                row["created_by"],
                row["created_at"],
            ),
            workflow_id=workflow.id,
        )


def _write(edit: Edit, spec: WorkflowSpec, entry: Entry, *, change: str, statement: str) -> None:
    stored: dict[str, Any] = msgspec.to_builtins(spec)
    del stored["name"]
    digest = spec_digest(stored)
    params = {
        "organization_id": edit.organization_id,
        "id": entry.id,
        "name": spec.name,
        "version": entry.version - 1,
        "version_id": edit.drivers.ids.new(),
        "spec": msgspec.json.encode(stored).decode(),
        "digest": digest,
        "created_by": edit.actor.person_id,
    }
    if not run_sql(statement, params):
        raise Conflict(f"workflow `{spec.name}` exists already")
    edit.registry.entries["workflow", spec.name] = entry
    edit.record(
        RecordKind.REGISTRY_CHANGED, change, subject=f"workflow:{spec.name}", version=entry.version, digest=digest
    )


def _detail(row: Mapping[str, Any]) -> WorkflowDetail:
    spec = _spec(row["name"], row["spec"])
    return WorkflowDetail(row["id"], spec, row["version"], row["created_at"], row["updated_at"], row["retired_at"])


def _spec(name: str, stored: Mapping[str, Any]) -> WorkflowSpec:
    return msgspec.convert({**stored, "name": name}, WorkflowSpec)
