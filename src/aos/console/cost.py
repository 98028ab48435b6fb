"""Cost: who spends what, and will the month hold."""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from django.http import HttpResponse
from django.urls import path

from aos.console.amounts import cost_text, share_percent
from aos.console.doors import Visit, page
from aos.console.states import Meaning, State
from aos.kernel.money import Money, money_text
from aos.operations.budget_use import BudgetUse
from aos.operations.usage import UsageBy, UsageGroup, UsageQuery, UsageReport, report_usage

BAR_WIDTH: Final = 1_000
WARN_PERCENT: Final = 80
GROUPS_SHOWN: Final = 100
BY: Final = (
    ("agent", "Agent"),
    ("tool", "Tool"),
    ("model", "Model"),
    ("run", "Run"),
    ("workflow", "Workflow"),
    ("day", "Day"),
)


@dataclass(frozen=True, slots=True)
class Spent:
    """A budget's use as a bar: settled, then held, of `BAR_WIDTH`."""

    budget: BudgetUse
    percent: float
    used_width: int
    held_width: int
    state: State


@dataclass(frozen=True, slots=True)
class Row:
    """One group with its cost as a bar against the largest, and its budgets."""

    group: UsageGroup
    cost: str
    width: int
    budgets: tuple[Spent, ...]


def show_cost(visit: Visit) -> HttpResponse:
    """Show this month's cost by department against its budget, and by what is asked for."""
    begin = month_begin(visit.standing.now, ZoneInfo(visit.standing.timezone))
    by = visit.query("by") if visit.query("by") in dict(BY) else "agent"
    departments = report_usage(visit.actor, UsageQuery(by=UsageBy.DEPARTMENT, since=begin, limit=GROUPS_SHOWN))
    report = report_usage(visit.actor, UsageQuery(by=UsageBy(by), since=begin, limit=GROUPS_SHOWN))
    organization = tuple(spent(each) for each in departments.budgets)
    return visit.show(
        "cost.html",
        "cost",
        departments=_rows(departments),
        rows=_rows(report),
        totals=report.totals,
        organization=organization,
        by=by,
        choices=BY,
        begin=begin,
        answer=_answer(departments, organization, begin=begin, now=visit.standing.now),
    )


def month_begin(now: datetime, zone: ZoneInfo) -> datetime:
    """Return the beginning of the month in the organization's zone."""
    return now.astimezone(zone).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def spent(budget: BudgetUse) -> Spent:
    """Return a budget's use as a bar, with how it stands."""
    percent = share_percent(Money(budget.used.nanos + budget.held.nanos, budget.used.currency), budget.limit)
    used = min(BAR_WIDTH, int(share_percent(budget.used, budget.limit) * BAR_WIDTH / 100))
    held = min(BAR_WIDTH - used, int(share_percent(budget.held, budget.limit) * BAR_WIDTH / 100))
    if percent >= 100:
        state = State(Meaning.BAD, "spent")
    elif percent >= WARN_PERCENT:
        state = State(Meaning.WAITS, "nearly spent")
    else:
        state = State(Meaning.GOOD, "within")
    return Spent(budget, percent, used, held, state)


def _rows(report: UsageReport) -> tuple[Row, ...]:
    nanos = {group.key: group.sum.cost.nanos for group in report.groups}
    most = max(nanos.values(), default=0)
    ordered = sorted(report.groups, key=lambda group: -nanos[group.key])
    return tuple(
        Row(
            group,
            cost_text(group.sum),
            nanos[group.key] * BAR_WIDTH // most if most else 0,
            tuple(spent(each) for each in group.budgets),
        )
        for group in ordered
    )


def _answer(report: UsageReport, organization: tuple[Spent, ...], *, begin: datetime, now: datetime) -> str:
    over = [
        each.budget.name
        for group in report.groups
        for each in map(spent, group.budgets)
        if each.percent >= WARN_PERCENT
    ]
    said = f"{cost_text(report.totals)} this month"
    monthly = next((each.budget for each in organization if each.budget.period == "month"), None)
    if monthly is not None and monthly.limit.nanos:
        days = monthrange(begin.year, begin.month)[1]
        gone = max((now - begin).total_seconds() / 86_400, 0.5)
        ahead = Money(int(monthly.used.nanos / gone * days), monthly.used.currency)
        holds = "holds" if ahead.nanos <= monthly.limit.nanos else "does not hold"
        said += f" of {money_text(monthly.limit)}; at this pace {money_text(ahead)} by its end, so the month {holds}"
    if over:
        said += f". {', '.join(over[:3])} {'is' if len(over) == 1 else 'are'} over {WARN_PERCENT} %"
    return f"{said}."


urlpatterns = [path("console/cost", page(show_cost))]
