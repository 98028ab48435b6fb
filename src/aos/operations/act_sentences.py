"""An act in the words of the person who must decide on it: `pay 18,240.00 EUR to DE71... with payments.create`."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Final

from aos.kernel.acts import ActKind
from aos.kernel.json import Json, canonical_json
from aos.kernel.limits import MONEY_UNITS_MAX
from aos.kernel.tools import Effect

NAMED_MAX: Final = 4
"""Arguments that a sentence names; the others are read beside it."""
VALUE_CHARACTERS: Final = 80
_VERBS: Final[Mapping[str, str]] = {
    Effect.READ: "read",
    Effect.WRITE: "write",
    Effect.SEND: "send",
    Effect.PAY: "pay",
    Effect.DELETE: "delete",
    Effect.ADMIN: "administer",
}
_OTHERS: Final[Mapping[str, str]] = {
    ActKind.MODEL: "ask the model",
    ActKind.DELEGATE: "hand a task to",
    ActKind.RUN: "start a run of",
    ActKind.MESSAGE: "send a message to",
}
_PAYEES: Final = ("payee", "vendor_name", "vendor", "beneficiary", "recipient", "creditor", "name")
_PLACES: Final = ("iban", "account", "account_number", "to", "address", "email", "url")


def act_sentence(kind: str, name: str, *, effect: str | None, arguments: Json) -> str:
    """Return the act as a sentence without its end; without its arguments where they may not be read."""
    given = arguments if isinstance(arguments, dict) else {}
    if kind in _OTHERS:
        return f"{_OTHERS[kind]} {name}"
    verb = _VERBS.get(effect or "", "do")
    money = _money(given)
    if money is None:
        told = ", ".join(f"{key} {_shown(value)}" for key, value in list(given.items())[:NAMED_MAX])
        return f"{verb} with {name}: {told}" if told else f"{verb} with {name}"
    payee, place = _first(given, _PAYEES), _first(given, _PLACES)
    towards = f" to {payee} at {place}" if payee and place else f" to {payee or place}" if payee or place else ""
    return f"{verb} {money}{towards} with {name}"


def _money(given: Mapping[str, Json]) -> str | None:
    amount, currency = given.get("amount"), given.get("currency")
    if isinstance(nested := amount, dict):
        amount, currency = nested.get("amount"), nested.get("currency")
    if isinstance(amount, bool) or not isinstance(amount, str | int | float):
        return None
    try:
        figure = Decimal(str(amount))
    except InvalidOperation:
        return None
    if not figure.is_finite() or abs(figure) > MONEY_UNITS_MAX:
        return None
    cents = figure == round(figure, 2)
    text = f"{figure:,.2f}" if cents else f"{figure:,f}"
    return f"{text} {_shown(currency)}" if currency else text


def _first(given: Mapping[str, Json], names: tuple[str, ...]) -> str:
    return next((_shown(given[name]) for name in names if given.get(name)), "")


def _shown(value: Json) -> str:
    text = value if isinstance(value, str) else canonical_json(value).decode("utf-8", "replace")
    line = "".join(character if character.isprintable() else " " for character in text)
    return line if len(line) <= VALUE_CHARACTERS else f"{line[: VALUE_CHARACTERS - 1]}…"
