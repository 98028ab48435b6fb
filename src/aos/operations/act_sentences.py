"""An act in the words of the person who must decide on it: `pay 18,240.00 EUR to DE71... with payments.create`.

What it is about, short enough for a row, is its subject: `payments.create: invoice INV-2610-0049, amount 18240.00`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Final

from aos.kernel.acts import ActKind
from aos.kernel.json import Json, canonical_json
from aos.kernel.limits import MONEY_UNITS_MAX
from aos.kernel.questions import read_question
from aos.kernel.tools import Effect

NAMED_MAX: Final = 4
"""Arguments that a sentence names; the others are read beside it."""
VALUE_CHARACTERS: Final = 80
QUESTION_CHARACTERS: Final = 200
"""How much of a question its sentence repeats."""
SUBJECT_CHARACTERS: Final = 40
"""How much of one argument a subject shows."""
_REFERENCE: Final = re.compile(r"(?=.*[0-9])(?=.*[^\W\d_])[\w./#-]{2,40}")
"""The number of an invoice, an order, a ticket: letters and figures without a space."""
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
    ActKind.ASK: "ask a person about",
}
_PAYEES: Final = ("payee", "vendor_name", "vendor", "beneficiary", "recipient", "creditor", "name")
_PLACES: Final = ("iban", "account", "account_number", "to", "address", "email", "url")


def act_sentence(kind: str, name: str, *, effect: str | None, arguments: Json) -> str:
    """Return the act as a sentence without its end; without its arguments where they may not be read."""
    given = arguments if isinstance(arguments, dict) else {}
    if kind == ActKind.ASK and given:
        return f'ask "{_shown(read_question(name, given).text, QUESTION_CHARACTERS)}"'
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


def act_subject(name: str, *, arguments: Json, facts: Mapping[str, Json] | None) -> str:
    """Return what an act is about in a few words: what it names first, then the arguments that its rules read.

    Only the name where the arguments may not be read. `facts` is what the decision read, by path.
    """
    given = arguments if isinstance(arguments, dict) else {}
    read = {path.split(".")[1] for path in facts or () if path.startswith(("args.", "origin."))}
    plain = [key for key, value in given.items() if isinstance(value, str | int | float) and value != ""]
    ranked = sorted(plain, key=lambda key: _rank(key, given[key], read))
    told = ", ".join(f"{key} {_shown(given[key], SUBJECT_CHARACTERS)}" for key in ranked[:NAMED_MAX])
    return f"{name}: {told}" if told else name


def _rank(key: str, value: Json, read: Iterable[str]) -> int:
    if isinstance(value, str) and key not in (*_PLACES, *read) and _REFERENCE.fullmatch(value):
        return 0
    return 1 if key in read else 2


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


def _shown(value: Json, characters: int = VALUE_CHARACTERS) -> str:
    text = value if isinstance(value, str) else canonical_json(value).decode("utf-8", "replace")
    line = "".join(character if character.isprintable() else " " for character in text)
    return line if len(line) <= characters else f"{line[: characters - 1]}…"
