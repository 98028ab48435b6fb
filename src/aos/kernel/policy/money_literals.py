"""Numbers beside money: literals are scaled to nanos, and money is used in plain comparisons only.

Money reaches CEL as an int of nanos, so `args.amount > 1000` must compare with 1000000000000. A literal is scaled when it
stands alone on the other side of a comparison whose sides end there; any other use of a money fact (arithmetic, `in`, a
call, a list) would mix scaled and unscaled numbers and is refused. A whole number beside a fact of type `number` gets its
`.0`, since CEL compares no int with a double.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from aos.kernel.cel_text import COMPARISONS, Token, TokenKind
from aos.kernel.errors import InvalidCondition
from aos.kernel.limits import MONEY_UNITS_MAX, NANOS

_BEFORE: Final = frozenset({"", "(", "[", ",", "?", ":", "&&", "||"})
_AFTER: Final = frozenset({"", ")", "]", ",", "?", ":", "&&", "||"})
_LITERAL_LENGTH_MAX: Final = 24
"""Digits that a decimal context multiplies without rounding."""


def scale_literals(
    tokens: tuple[Token, ...],
    *,
    money: Mapping[int, int],
    doubles: Mapping[int, int],
) -> dict[int, str]:
    """Return the new text of every number literal that must change, by its token's index.

    `money` and `doubles` give the first and last token of each money fact and each fact of type `number`. Raises
    InvalidCondition for any use of money other than in a comparison with money or a number literal, and for a literal
    that is no amount: past nine places or the limit of units.
    """
    changed: dict[int, str] = {}
    firsts = {last: first for first, last in money.items()}
    for first, last in money.items():
        literal = _compared_literal(tokens, first, last, partners=money, partners_by_last=firsts)
        if literal is not None:
            changed[literal] = str(_nanos(tokens[literal].text))
    for first, last in doubles.items():
        for literal in _neighbours(tokens, first, last):
            if tokens[literal].text.isdigit():
                changed.setdefault(literal, f"{tokens[literal].text}.0")
    return changed


def _compared_literal(
    tokens: tuple[Token, ...],
    first: int,
    last: int,
    *,
    partners: Mapping[int, int],
    partners_by_last: Mapping[int, int],
) -> int | None:
    """Return the literal that the money at `first..last` is compared with, None when that is money too; else refuse."""
    if _text(tokens, last + 1) in COMPARISONS and _text(tokens, first - 1) in _BEFORE:
        start = last + 2
        literal = start + 1 if _text(tokens, start) == "-" else start
        if _is_number(tokens, literal) and _text(tokens, literal + 1) in _AFTER:
            return literal
        if start in partners and _text(tokens, partners[start] + 1) in _AFTER:
            return None
    if _text(tokens, first - 1) in COMPARISONS and _text(tokens, last + 1) in _AFTER:
        end = first - 2
        if _is_number(tokens, end):
            start = end - 1 if _text(tokens, end - 1) == "-" else end
            if _text(tokens, start - 1) in _BEFORE:
                return end
        elif end in partners_by_last and _text(tokens, partners_by_last[end] - 1) in _BEFORE:
            return None
    named = "".join(token.text for token in tokens[first : last + 1])
    raise InvalidCondition(
        f"`{named}` is money: compare it with a number or with other money, as in `{named} > 1000`, and nothing else"
    )


def _neighbours(tokens: tuple[Token, ...], first: int, last: int) -> list[int]:
    """Return the literals that stand beside a comparison with the fact at `first..last`."""
    found = []
    if _text(tokens, last + 1) in COMPARISONS:
        literal = last + 3 if _text(tokens, last + 2) == "-" else last + 2
        if _is_number(tokens, literal) and _text(tokens, literal + 1) in _AFTER:
            found.append(literal)
    if _text(tokens, first - 1) in COMPARISONS and _is_number(tokens, first - 2):
        found.append(first - 2)
    return found


def _nanos(text: str) -> int:
    """Return the nanos of a literal such as `1000`, `12.5` or `1e3`."""
    if not text[-1].isdigit() or text[:2].lower() == "0x":
        raise InvalidCondition(f"`{text}` is no amount of money: write it as a decimal number")
    if len(text) > _LITERAL_LENGTH_MAX or Decimal(text).adjusted() > _LITERAL_LENGTH_MAX:
        raise InvalidCondition(f"`{text[:40]}` is no amount of money: at most {MONEY_UNITS_MAX} units and nine places")
    amount = Decimal(text) * NANOS
    if amount != amount.to_integral_value():
        raise InvalidCondition(f"`{text}` has more than nine places")
    if amount > MONEY_UNITS_MAX * NANOS:
        raise InvalidCondition(f"`{text}` is over the limit of {MONEY_UNITS_MAX} units")
    return int(amount)


def _is_number(tokens: tuple[Token, ...], index: int) -> bool:
    return 0 <= index < len(tokens) and tokens[index].kind is TokenKind.NUMBER


def _text(tokens: tuple[Token, ...], index: int) -> str:
    return tokens[index].text if 0 <= index < len(tokens) else ""
