"""Budgets: limits on what AOS itself costs, for an organization, a department or an agent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from aos.kernel.errors import Conflict, FieldError, InvalidRequest
from aos.kernel.ledger.record import RecordKind
from aos.kernel.manifest.values import BudgetPeriod, BudgetScope, BudgetSpec
from aos.kernel.money import Money
from aos.kernel.people import Actor, Permission
from aos.operations.pages import Page, PageQuery, find_one, list_page
from aos.operations.registry import Entry
from aos.operations.registry_records import Edit, reading
from aos.store.cold.connection import run_sql


@dataclass(frozen=True, slots=True)
class BudgetDetail:
    """One budget as it is shown: `settled` is charged in the period that runs now, `held` is kept for acts under way."""

    id: UUID
    spec: BudgetSpec
    revision: int
    settled: Money
    held: Money
    created_at: datetime
    retired_at: datetime | None

    @property
    def left(self) -> Money:
        """Return what may still be held; nothing where more was charged than the limit allows."""
        limit = self.spec.limit
        return Money(max(limit.nanos - self.settled.nanos - self.held.nanos, 0), limit.currency)


def create_budget(edit: Edit, spec: BudgetSpec) -> UUID:
    """Set up a budget, or bring a retired one back; raise Conflict where the name is taken."""
    edit.require(Permission.BUDGET_WRITE)
    found = edit.registry.find("budget", spec.id)
    if found is not None and not found.retired:
        raise Conflict(f"budget `{spec.id}` exists already")
    entry = Entry(found.id, found.version + 1) if found else Entry(edit.drivers.ids.new(), 1)
    _write(edit, spec, entry, change="created", statement="update_budget" if found else "insert_budget")
    return entry.id


def change_budget(edit: Edit, spec: BudgetSpec) -> None:
    """Change a budget; what was spent stays counted. Raises NotFound, or Conflict where it is retired."""
    edit.require(Permission.BUDGET_WRITE)
    name, entry = edit.registry.get("budget", spec.id)
    if entry.retired:
        raise Conflict(f"budget `{name}` is retired: set it up again")
    _write(edit, spec, Entry(entry.id, entry.version + 1), change="changed", statement="update_budget")


def retire_budget(edit: Edit, key: str) -> None:
    """End a budget: it limits nothing any more. Raises NotFound, or Conflict where it is retired."""
    edit.require(Permission.BUDGET_WRITE)
    name, entry = edit.registry.get("budget", key)
    if not run_sql("retire_budget", {"organization_id": edit.organization_id, "id": entry.id}):
        raise Conflict(f"budget `{name}` is retired already")
    edit.registry.entries["budget", name] = Entry(entry.id, entry.version, retired=True)
    edit.record(RecordKind.BUDGET_CHANGED, "retired", subject=f"budget:{name}", version=entry.version)


def list_budgets(actor: Actor, query: PageQuery) -> Page[BudgetDetail]:
    """Return a page of budgets."""
    with reading(actor, Permission.REGISTRY_READ):
        return find_budgets(actor.organization_id, query)


def show_budget(actor: Actor, key: str) -> BudgetDetail:
    """Return one budget by name or id; raise NotFound."""
    with reading(actor, Permission.REGISTRY_READ):
        return find_budget(actor.organization_id, key)


def find_budget(organization_id: UUID, key: str) -> BudgetDetail:
    """Return one budget by name or id, in the open transaction; raise NotFound."""
    return find_one(find_budgets, organization_id, key, what="budget")


def find_budgets(organization_id: UUID, query: PageQuery) -> Page[BudgetDetail]:
    """Return a page of budgets, in the open transaction."""
    filters = {"scope": None, "retired": None, **query.filters}
    return list_page("list_budgets", organization_id, query, read=_detail, **filters)


def _write(edit: Edit, spec: BudgetSpec, entry: Entry, *, change: str, statement: str) -> None:
    params = {
        "organization_id": edit.organization_id,
        "id": entry.id,
        "name": spec.id,
        "scope": spec.scope.value,
        "scope_id": _scope_id(edit, spec),
        "currency": spec.limit.currency,
        "limit_nanos": spec.limit.nanos,
        "period": spec.per.value,
        "warn_at": list(spec.warn_at_percent),
        "on_limit": spec.on_limit,
    }
    if not run_sql(statement, params):
        raise Conflict(f"budget `{spec.id}` exists already")
    edit.registry.entries["budget", spec.id] = entry
    edit.record(RecordKind.BUDGET_CHANGED, change, subject=f"budget:{spec.id}", version=entry.version)


def _scope_id(edit: Edit, spec: BudgetSpec) -> UUID:
    if spec.scope is BudgetScope.ORGANIZATION:
        return edit.organization_id
    found = edit.registry.find(spec.scope.value, spec.scope_name)
    if found is None:
        detail = f"no {spec.scope.value} is called `{spec.scope_name}`"
        raise InvalidRequest(f"the scope of budget `{spec.id}`: {detail}", errors=[FieldError("/scope", detail)])
    return found.id


def _detail(row: Mapping[str, Any]) -> BudgetDetail:
    spec = BudgetSpec(
        id=row["name"],
        scope=BudgetScope(row["scope"]),
        scope_name=row["scope_name"],
        limit=Money(row["limit_nanos"], row["currency"]),
        per=BudgetPeriod(row["period"]),
        warn_at_percent=tuple(row["warn_at"]),
        on_limit=row["on_limit"],
    )
    settled, held = (Money(row[f"{each}_nanos"], row["currency"]) for each in ("settled", "held"))
    return BudgetDetail(row["id"], spec, row["revision"], settled, held, row["created_at"], row["retired_at"])
