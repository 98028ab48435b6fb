"""Budgets: what an act may cost, held exactly against every account above it, and settled once it is known; and turns: how
many acts of a tool or a model may be under way at once.

A budget limits what AOS costs, never the money an act moves. Room is limit - settled - held. Within a batch acts are
served in the order of arrival, and one that finds no room leaves the room of the others untouched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import TypeAlias
from uuid import UUID

from aos.kernel.errors import BudgetSpent
from aos.kernel.money import Money, convert, format_amount


class Period(StrEnum):
    """How long an account counts before a fresh one opens."""

    DAY = "day"
    MONTH = "month"
    TOTAL = "total"


@dataclass(frozen=True, slots=True)
class Budget:
    """One limit on everything in its scope."""

    id: UUID
    name: str
    scope: str
    scope_id: UUID
    limit: Money
    period: Period


@dataclass(frozen=True, slots=True)
class AccountKey:
    """One budget in one period."""

    organization_id: UUID
    budget_id: UUID
    period_start: date


@dataclass(frozen=True, slots=True)
class Account:
    """What stands on an account: all in nanos of the budget's currency."""

    limit_nanos: int
    held_nanos: int
    settled_nanos: int
    currency: str
    name: str

    @property
    def room_nanos(self) -> int:
        """Return what may still be held."""
        return self.limit_nanos - self.settled_nanos - self.held_nanos


@dataclass(frozen=True, slots=True)
class Hold:
    """An amount held on one account, in its currency."""

    account: AccountKey
    nanos: int


@dataclass(frozen=True, slots=True)
class NoRoom:
    """Why an act was not granted: the first account, nearest the root last, that lacks room."""

    account: AccountKey
    name: str
    room_nanos: int
    asked_nanos: int
    currency: str
    held_nanos: int = 0
    """What other acts hold of it and may give back."""

    @property
    def may_pass(self) -> bool:
        """Return whether room would be there once others have given back what they hold."""
        return self.asked_nanos <= self.room_nanos + self.held_nanos

    def __str__(self) -> str:
        return (
            f"budget `{self.name}` has {format_amount(max(self.room_nanos, 0))} {self.currency} left, "
            f"the act needs {format_amount(self.asked_nanos)}"
        )


@dataclass(frozen=True, slots=True)
class TurnKey:
    """One tool or model whose acts under way are counted; `kind` is that of the acts."""

    organization_id: UUID
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class NoTurn:
    """Why an act was not granted: as many acts of its tool or model are under way as the limit allows."""

    turn: TurnKey
    at_most: int

    def __str__(self) -> str:
        calls = "call is" if self.at_most == 1 else "calls are"
        return f"{self.at_most} {calls} under way of `{self.turn.name}`, as many as its limit allows at once"


@dataclass(frozen=True, slots=True)
class Turns:
    """How many acts of a tool or a model may be under way, and how many are."""

    at_most: int
    under_way: int


Grant: TypeAlias = NoRoom | NoTurn | None


def period_start(period: Period, now: datetime) -> date:
    """Return the first day of the period that `now`, aware and in the organization's zone, lies in."""
    if period is Period.TOTAL:
        return date(1, 1, 1)
    return now.date().replace(day=1) if period is Period.MONTH else now.date()


def holds_of(
    price: Money, budgets: Sequence[Budget], *, organization_id: UUID, now: datetime, rates: Mapping[str, int]
) -> tuple[Hold, ...]:
    """Return the hold of `price` on each budget, converted at `rates` (nanos of the budgets' currency per unit).

    Raises BudgetSpent where a currency has no rate: what cannot be counted is not spent.
    """
    holds = []
    for budget in budgets:
        amount = in_currency(price, budget.limit.currency, rates=rates)
        key = AccountKey(organization_id, budget.id, period_start(budget.period, now))
        holds.append(Hold(key, amount.nanos))
    return tuple(holds)


def in_currency(price: Money, currency: str, *, rates: Mapping[str, int]) -> Money:
    """Return `price` in `currency`; raise BudgetSpent where there is no rate for it."""
    if price.currency == currency:
        return price
    rate_nanos = rates.get(price.currency)
    if rate_nanos is None:
        raise BudgetSpent(
            f"no rate from {price.currency} to {currency}: add `rates: {{{price.currency}: ...}}` to the organization"
        )
    return convert(price, to=currency, rate_nanos=rate_nanos)


def allocate(
    asked: Sequence[Sequence[Hold]],
    accounts: Mapping[AccountKey, Account],
    *,
    wanted: Sequence[TurnKey | None] = (),
    turns: Mapping[TurnKey, Turns] | None = None,
) -> list[Grant]:
    """Grant or refuse each member in the order of arrival: its turn, then its holds; granted, both count for the next.

    A member without holds and without a limit is granted. A hold of nothing is granted even where an account is
    overdrawn. `wanted` names each member's limited tool or model, None or nothing where it has none; `turns` holds their limits.
    """
    room = {key: account.room_nanos for key, account in accounts.items()}
    free = {key: each.at_most - each.under_way for key, each in (turns or {}).items()}
    grants: list[Grant] = []
    for holds, turn in zip(asked, wanted or [None] * len(asked), strict=True):
        if turn is not None and free.get(turn, 1) <= 0:
            grants.append(NoTurn(turn, (turns or {})[turn].at_most))
            continue
        short = next((hold for hold in holds if hold.nanos > 0 and room[hold.account] < hold.nanos), None)
        if short is not None:
            account = accounts[short.account]
            left = room[short.account]
            held = account.limit_nanos - account.settled_nanos - left
            grants.append(NoRoom(short.account, account.name, left, short.nanos, account.currency, held))
            continue
        for hold in holds:
            room[hold.account] -= hold.nanos
        if turn in free:
            free[turn] -= 1
        grants.append(None)
    return grants
