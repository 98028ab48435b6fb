"""Workflows in the registry: what runs, in which order, in immutable versions.

A version of a workflow that a schedule or hook of another person runs waits until somebody who may publish policies accepts
it: its author would otherwise act with that person's rights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from aos.kernel.errors import Conflict
from aos.kernel.ledger.record import RecordKind
from aos.kernel.manifest.gains import runs_for, workflow_gains
from aos.kernel.manifest.values import HookSpec, ScheduleSpec, WorkflowSpec
from aos.kernel.people import Actor, Permission
from aos.kernel.specs import spec_digest
from aos.operations.pages import Page, PageQuery, find_one, list_page, list_versions
from aos.operations.registry import Entry
from aos.operations.registry_records import Edit, reading
from aos.store.cold.connection import run_sql


@dataclass(frozen=True, slots=True)
class WorkflowDetail:
    """One workflow at the version in force, as it is shown; `draft_version` is a newer one that waits, None where none does."""

    id: UUID
    spec: WorkflowSpec
    version: int
    created_at: datetime
    updated_at: datetime
    retired_at: datetime | None
    draft_version: int | None = None


@dataclass(frozen=True, slots=True)
class WorkflowVersion:
    """One immutable version of a workflow."""

    version: int
    spec: WorkflowSpec
    digest: bytes
    created_by: UUID | None
    created_at: datetime


def create_workflow(edit: Edit, spec: WorkflowSpec) -> UUID:
    """File a workflow with version 1, or bring a retired one back; raise Conflict where the name is taken.

    One that comes back waits where `change_workflow` would have it wait.
    """
    edit.require(Permission.REGISTRY_WRITE)
    found = edit.registry.find("workflow", spec.name)
    if found is None:
        entry = Entry(edit.drivers.ids.new(), 1)
        _write(edit, spec, entry, change="workflow.created", statement="insert_workflow")
        edit.registry.entries["workflow", spec.name] = entry
        return entry.id
    if not found.retired:
        raise Conflict(f"workflow `{spec.name}` exists already")
    _add_version(edit, spec, found, change="workflow.created")
    return found.id


def change_workflow(edit: Edit, spec: WorkflowSpec) -> int:
    """Give a workflow a new version and return its number; runs that began keep theirs. Raises NotFound or Conflict.

    What a schedule or hook of somebody else runs is run with their rights: the version then waits, unless its author may
    publish policies. It replaces one that waited; what waits already as it is wanted is not stored again.
    """
    edit.require(Permission.REGISTRY_WRITE)
    name, entry = edit.registry.get("workflow", spec.name)
    if entry.retired:
        raise Conflict(f"workflow `{name}` is retired: file it again")
    return _add_version(edit, spec, entry, change="workflow.changed")


def publish_workflow(edit: Edit, key: str, *, version: int | None = None) -> int:
    """Put the version of a workflow that waits in force and return its number; `version` says which one is meant.

    Whoever may publish policies may, and who owns every schedule and hook that runs the workflow. Raises NotFound, Forbidden,
    Conflict where nothing waits or another version than that one does, VersionRequired where none is named.
    """
    name, entry = edit.registry.get("workflow", key)
    if not edit.actor.may(Permission.POLICY_PUBLISH):
        _require_own(edit, name)
    chosen = entry.waiting(f"workflow `{name}`", version)
    rows = run_sql("publish_workflow", {"organization_id": edit.organization_id, "id": entry.id, "version": chosen})
    if not rows:
        raise Conflict(f"workflow `{name}` was changed meanwhile: try again")
    edit.registry.entries["workflow", name] = Entry(entry.id, chosen)
    digest = rows[0]["digest"]
    change = "workflow.published"
    edit.record(RecordKind.REGISTRY_CHANGED, change, subject=f"workflow:{name}", version=chosen, digest=digest)
    return chosen


def _require_own(edit: Edit, name: str) -> None:
    """Raise Forbidden unless all that runs the workflow by itself runs with the actor's rights."""
    manifest, email = edit.registry.manifest, edit.actor.email
    starts: list[ScheduleSpec | HookSpec] = [*manifest.schedules, *manifest.hooks]
    draft = edit.registry.drafts.get(("workflow", name))
    if draft is not None and workflow_gains(None, draft, starts, workflows=manifest.workflows, editor=email):
        edit.require(Permission.POLICY_PUBLISH)
    if not runs_for(name, starts, manifest.workflows, owner=email):
        edit.require(Permission.REGISTRY_WRITE)


def _add_version(edit: Edit, spec: WorkflowSpec, entry: Entry, *, change: str) -> int:
    """Store a version, in force or waiting, and return its number."""
    manifest = edit.registry.manifest
    before = next((each for each in manifest.workflows if each.name == spec.name), None)
    starts: list[ScheduleSpec | HookSpec] = [*manifest.schedules, *manifest.hooks]
    gains = workflow_gains(before, spec, starts, workflows=manifest.workflows, editor=edit.actor.email)
    waits = edit.must_wait("workflow", spec.name, gains)
    if waits and edit.registry.drafts.get(("workflow", spec.name)) == spec:
        return entry.draft
    _write(edit, spec, entry, change="workflow.drafted" if waits else change, statement="update_workflow", waits=waits)
    edit.registry.entries["workflow", spec.name] = (
        replace(entry, draft=entry.next) if waits else Entry(entry.id, entry.next)
    )
    return entry.next


def retire_workflow(edit: Edit, key: str) -> None:
    """Retire a workflow: no run of it can start. Raises NotFound, or Conflict where it is retired."""
    edit.require(Permission.REGISTRY_WRITE)
    name, entry = edit.registry.get("workflow", key)
    if not run_sql("retire_workflow", {"organization_id": edit.organization_id, "id": entry.id}):
        raise Conflict(f"workflow `{name}` is retired already")
    edit.registry.entries["workflow", name] = replace(entry, retired=True)
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


def _write(edit: Edit, spec: WorkflowSpec, entry: Entry, *, change: str, statement: str, waits: bool = False) -> None:
    stored: dict[str, Any] = msgspec.to_builtins(spec)
    del stored["name"]
    digest = spec_digest(stored)
    params = {
        "organization_id": edit.organization_id,
        "id": entry.id,
        "name": spec.name,
        "version": entry.version,
        "next": entry.next,
        "in_force": not waits,
        "version_id": edit.drivers.ids.new(),
        "spec": msgspec.json.encode(stored).decode(),
        "digest": digest,
        "created_by": edit.actor.person_id,
    }
    if not run_sql(statement, params):
        raise Conflict(f"workflow `{spec.name}` exists already")
    number = entry.next if statement == "update_workflow" else entry.version
    edit.record(RecordKind.REGISTRY_CHANGED, change, subject=f"workflow:{spec.name}", version=number, digest=digest)


def _detail(row: Mapping[str, Any]) -> WorkflowDetail:
    spec = _spec(row["name"], row["spec"])
    times = (row["created_at"], row["updated_at"], row["retired_at"])
    return WorkflowDetail(row["id"], spec, row["version"], *times, row["draft_version"])


def _spec(name: str, stored: Mapping[str, Any]) -> WorkflowSpec:
    return msgspec.convert({**stored, "name": name}, WorkflowSpec)
