"""What was used and what it cost, by agent, department, run, tool, workflow or day, and the events each sum is made of.

Every usage event counts in exactly one group, so the groups add up to the totals, and the totals to the ledger's own
amounts: each event names the record that states it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from aos.kernel.errors import TooLarge
from aos.kernel.money import Money
from aos.kernel.people import Actor, Permission
from aos.operations.budget_use import BudgetUse, find_budget_use, split_costs
from aos.operations.pages import decode_cursor, encode_cursor, parse_uuid, refuse
from aos.operations.registry_records import reading
from aos.store.cold.connection import run_sql

GROUPS_DEFAULT: Final = 200
GROUPS_MAX: Final = 1_000
"""Groups on one page."""
EVENTS_MAX: Final = 20_000
"""Usage events that one answer names; ask for a shorter time past it."""
_COUNTS: Final = (
    "tasks",
    "attempts",
    "runtime_ms",
    "tool_calls",
    "model_calls",
    "input_tokens",
    "output_tokens",
    "workflow_executions",
    "events",
)


class UsageBy(StrEnum):
    """By what usage is summed."""

    AGENT = "agent"
    DAY = "day"
    DEPARTMENT = "department"
    MODEL = "model"
    RUN = "run"
    TOOL = "tool"
    WORKFLOW = "workflow"


@dataclass(frozen=True, slots=True)
class UsageQuery:
    """What is asked: `since` and `until` bound the events' own time; `expand` names the events of each group."""

    by: UsageBy
    since: datetime | None = None
    until: datetime | None = None
    limit: int = GROUPS_DEFAULT
    cursor: str | None = None
    expand: bool = False


@dataclass(frozen=True, slots=True)
class UsageSum:
    """One sum. `cost` is in the organization's currency; `estimated` is the part of it whose acts have unknown outcomes.

    What was charged in another currency, before the organization changed its own, stands in `other_costs`.
    """

    tasks: int
    attempts: int
    runtime_ms: int
    tool_calls: int
    model_calls: int
    input_tokens: int
    output_tokens: int
    workflow_executions: int
    events: int
    cost: Money
    estimated: Money
    other_costs: tuple[Money, ...]

    @property
    def calls(self) -> int:
        """Return how many tools and models were called."""
        return self.tool_calls + self.model_calls


@dataclass(frozen=True, slots=True)
class EventPlace:
    """One usage event and the ledger record that states it."""

    id: UUID
    record_id: UUID


@dataclass(frozen=True, slots=True)
class UsageGroup:
    """One group; its key is an id, a tool's name or a day, empty for what belongs to none."""

    key: str
    name: str
    sum: UsageSum
    budgets: tuple[BudgetUse, ...]
    records: tuple[EventPlace, ...] | None


@dataclass(frozen=True, slots=True)
class UsageReport:
    """One page of groups by their keys, and the totals of all groups."""

    by: UsageBy
    groups: tuple[UsageGroup, ...]
    totals: UsageSum
    budgets: tuple[BudgetUse, ...]
    next: str | None


def report_usage(actor: Actor, query: UsageQuery) -> UsageReport:
    """Return what was used; `budgets` of the report are the organization's own.

    Raises InvalidRequest for a limit or cursor that does not fit, TooLarge where `expand` would name too many events.
    """
    if not 1 <= query.limit <= GROUPS_MAX:
        raise refuse("limit", f"must lie between 1 and {GROUPS_MAX}")
    after = decode_cursor(query.cursor, query.by.value)
    with reading(actor, Permission.USAGE_READ):
        asked = {"organization_id": actor.organization_id, "from": query.since, "to": query.until}
        rows = run_sql("sum_usage", {**asked, "by": query.by.value, "after": after, "limit": query.limit + 1})
        totals = run_sql("sum_usage", {**asked, "by": None, "after": None, "limit": 1})
        more, rows = len(rows) > query.limit, rows[: query.limit]
        ids = [id for id in (parse_uuid(row["key"]) for row in rows) if id is not None]
        named = run_sql("name_groups", {"organization_id": actor.organization_id, "ids": ids}) if ids else []
        budgets = find_budget_use(actor.organization_id, [*ids, actor.organization_id])
        events = _events(query, asked) if query.expand else None
        currency: str = run_sql("load_currency", {"organization_id": actor.organization_id})[0]["currency"]
    names = {row["id"]: row["name"] for row in named}
    groups = tuple(_group(row, currency, names=names, budgets=budgets, events=events) for row in rows)
    return UsageReport(
        by=query.by,
        groups=groups,
        totals=_sum(totals[0] if totals else {**dict.fromkeys(_COUNTS, 0), "costs": ()}, currency),
        budgets=budgets.get(actor.organization_id, ()),
        next=encode_cursor(query.by.value, str(rows[-1]["key"])) if more else None,
    )


def _events(query: UsageQuery, asked: Mapping[str, Any]) -> Mapping[str, list[EventPlace]]:
    rows = run_sql("list_usage_events", {**asked, "by": query.by.value, "limit": EVENTS_MAX + 1})
    if len(rows) > EVENTS_MAX:
        raise TooLarge(f"more than {EVENTS_MAX} usage events: ask for a shorter time with `from` and `to`")
    found: dict[str, list[EventPlace]] = {}
    for row in rows:
        found.setdefault(row["key"], []).append(EventPlace(row["id"], row["record_id"]))
    return found


def _group(
    row: Mapping[str, Any],
    currency: str,
    *,
    names: Mapping[str, str],
    budgets: Mapping[UUID, tuple[BudgetUse, ...]],
    events: Mapping[str, list[EventPlace]] | None,
) -> UsageGroup:
    key = row["key"]
    id = parse_uuid(key)
    return UsageGroup(
        key=key,
        name=names.get(key, key if id is None else ""),
        sum=_sum(row, currency),
        budgets=budgets.get(id, ()) if id is not None else (),
        records=None if events is None else tuple(events.get(key, ())),
    )


def _sum(row: Mapping[str, Any], currency: str) -> UsageSum:
    cost, others = split_costs(row["costs"], currency)
    estimated = sum(int(each["estimated"]) for each in row["costs"] if each["currency"] == currency)
    return UsageSum(
        **{name: row[name] for name in _COUNTS}, cost=cost, estimated=Money(estimated, currency), other_costs=others
    )
