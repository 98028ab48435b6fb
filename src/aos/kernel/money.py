"""Money: integers of 1e-9 currency units (nanos), never a float; the wire form is a decimal string and a currency."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from aos.kernel.errors import InvalidRequest
from aos.kernel.limits import MONEY_UNITS_MAX, NANOS

_CURRENCY = re.compile(r"[A-Z]{3}")
_LEAST_ROUNDED = Decimal("0.0001")
_AMOUNT = re.compile(r"-?[0-9]{1,13}(\.[0-9]{1,9})?")


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in nanos of one ISO 4217 currency."""

    nanos: int
    currency: str

    def __str__(self) -> str:
        return f"{format_amount(self.nanos)} {self.currency}"


def parse_amount(text: str) -> int:
    """Return the nanos of a decimal string with at most nine places; raise InvalidRequest otherwise."""
    if not _AMOUNT.fullmatch(text):
        raise InvalidRequest(f"amount `{text[:40]}` is not a decimal number with at most nine places")
    try:
        nanos = int(Decimal(text) * NANOS)
    except InvalidOperation as error:
        raise InvalidRequest(f"amount `{text[:40]}` is not a decimal number") from error
    if abs(nanos) > MONEY_UNITS_MAX * NANOS:
        raise InvalidRequest(f"amount `{text[:40]}` is over the limit of {MONEY_UNITS_MAX} units")
    return nanos


def parse_money(text: str) -> Money:
    """Return the money of `12.30 EUR`, the form that manifests use; raise InvalidRequest otherwise."""
    amount, _, currency = text.strip().partition(" ")
    if not _CURRENCY.fullmatch(currency):
        raise InvalidRequest(f"money `{text[:40]}` must read like `12.30 EUR`")
    return Money(parse_amount(amount), currency)


def format_amount(nanos: int) -> str:
    """Return a decimal string with at least two and at most nine places."""
    sign, rest = ("-", -nanos) if nanos < 0 else ("", nanos)
    units, fraction = divmod(rest, NANOS)
    places = f"{fraction:09d}".rstrip("0").ljust(2, "0")
    return f"{sign}{units}.{places}"


def money_text(amount: Money) -> str:
    """Return money as every face shows it to people: `18,240.00 EUR`, with two places or, where it has parts of a cent, four.

    What is less than the last of four places is shown whole: little is never shown as nothing.
    """
    value = Decimal(amount.nanos) / NANOS
    if 0 < abs(value) < _LEAST_ROUNDED:
        return str(amount)
    places = 2 if value == round(value, 2) else 4
    return f"{value:,.{places}f} {amount.currency}"


def convert(amount: Money, *, to: str, rate_nanos: int) -> Money:
    """Return `amount` in currency `to` at a rate in nanos of `to` per unit, rounded half up to the nano."""
    scaled = amount.nanos * rate_nanos
    nanos = (abs(scaled) + NANOS // 2) // NANOS
    return Money(-nanos if scaled < 0 else nanos, to)
