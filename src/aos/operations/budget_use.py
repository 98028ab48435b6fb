"""What was charged, as money, and how much of a budget is used in the period that runs now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from aos.kernel.money import Money
from aos.store.cold.connection import run_sql


@dataclass(frozen=True, slots=True)
class BudgetUse:
    """One standing budget: `used` is charged for good, `held` is kept for acts under way."""

    id: UUID
    name: str
    period: str
    limit: Money
    used: Money
    held: Money


def find_budget_use(organization_id: UUID, scope_ids: Sequence[UUID]) -> Mapping[UUID, tuple[BudgetUse, ...]]:
    """Return the standing budgets of organizations, departments, agents or runs by their scope, in the open transaction."""
    rows = run_sql("list_budget_use", {"organization_id": organization_id, "ids": list(scope_ids)}) if scope_ids else []
    found: dict[UUID, tuple[BudgetUse, ...]] = {}
    for row in rows:
        use = BudgetUse(
            id=row["id"],
            name=row["name"],
            period=row["period"],
            limit=Money(row["limit_nanos"], row["currency"]),
            used=Money(row["settled_nanos"], row["currency"]),
            held=Money(row["held_nanos"], row["currency"]),
        )
        found[row["scope_id"]] = (*found.get(row["scope_id"], ()), use)
    return found


def split_costs(costs: Sequence[Mapping[str, Any]], currency: str) -> tuple[Money, tuple[Money, ...]]:
    """Return what was charged in `currency`, and what in others: an organization may have changed its currency once."""
    found = {each["currency"]: int(each["nanos"]) for each in costs}
    own = Money(found.pop(currency, 0), currency)
    return own, tuple(Money(nanos, code) for code, nanos in found.items())
