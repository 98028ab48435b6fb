"""Departments: who pays."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from aos.kernel.errors import Conflict
from aos.kernel.ledger.record import RecordKind
from aos.kernel.manifest.values import DepartmentSpec
from aos.kernel.people import Actor, Permission
from aos.operations.pages import Page, PageQuery, find_one, list_page
from aos.operations.registry import Entry
from aos.operations.registry_records import Edit, reading
from aos.store.cold.connection import run_sql


@dataclass(frozen=True, slots=True)
class Department:
    """One department."""

    id: UUID
    name: str
    cost_center: str
    created_at: datetime


def create_department(edit: Edit, spec: DepartmentSpec) -> UUID:
    """Make a department; raise Conflict where the name is taken."""
    edit.require(Permission.REGISTRY_WRITE)
    id = edit.drivers.ids.new()
    params = {"organization_id": edit.organization_id, "id": id, "name": spec.name, "cost_center": spec.cost_center}
    if not run_sql("insert_department", params):
        raise Conflict(f"there is a department `{spec.name}` already")
    edit.registry.entries["department", spec.name] = Entry(id)
    edit.record(RecordKind.REGISTRY_CHANGED, "department.created", subject=f"department:{spec.name}")
    return id


def change_department(edit: Edit, spec: DepartmentSpec) -> None:
    """Set a department's cost centre; raise NotFound."""
    edit.require(Permission.REGISTRY_WRITE)
    name, entry = edit.registry.get("department", spec.name)
    params = {"organization_id": edit.organization_id, "id": entry.id, "cost_center": spec.cost_center}
    run_sql("update_department", params)
    edit.record(RecordKind.REGISTRY_CHANGED, "department.changed", subject=f"department:{name}")


def list_departments(actor: Actor, query: PageQuery) -> Page[Department]:
    """Return a page of departments."""
    with reading(actor, Permission.REGISTRY_READ):
        return find_departments(actor.organization_id, query)


def show_department(actor: Actor, key: str) -> Department:
    """Return one department by name or id; raise NotFound."""
    with reading(actor, Permission.REGISTRY_READ):
        return find_department(actor.organization_id, key)


def find_department(organization_id: UUID, key: str) -> Department:
    """Return one department by name or id, in the open transaction; raise NotFound."""
    return find_one(find_departments, organization_id, key, what="department")


def find_departments(organization_id: UUID, query: PageQuery) -> Page[Department]:
    """Return a page of departments, in the open transaction."""
    filters = {"cost_center": None, **query.filters}
    return list_page("list_departments", organization_id, query, read=lambda row: Department(**row), **filters)
