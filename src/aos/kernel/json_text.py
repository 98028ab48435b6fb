"""What a JSON text may have to look like: patterns as JSON Schema means them, named formats, and names that come close.

Patterns are ECMA-262's, searched anywhere in the text: `$` is the very end, classes are ASCII. Only patterns that cannot
explode are admitted, since the text comes from whoever calls.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from datetime import date, datetime
from typing import Final

PATTERN_LENGTH_MAX: Final = 500
"""The longest pattern that is compiled."""

PATTERN_TEXT_MAX: Final = 10_000
"""The longest text that is held against a pattern; a longer one does not match."""

MONEY: Final = re.compile(r"(-?)(?:0|[1-9][0-9]{0,12})(?:\.[0-9]{1,9})?", re.ASCII)
_EMAIL: Final = re.compile(r"[^\s@<>,;\"]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", re.ASCII)
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_INSTANT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9:]{8}(?:\.[0-9]{1,6})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})", re.ASCII
)


class BadPattern(ValueError):
    """A pattern that does not compile, or that could take exponential time."""


def compile_pattern(pattern: str) -> Callable[[str], bool]:
    """Return the test `is this pattern found in the text`; raises BadPattern."""
    if len(pattern) > PATTERN_LENGTH_MAX:
        raise BadPattern(f"a pattern has at most {PATTERN_LENGTH_MAX} characters, not {len(pattern)}")
    try:
        compiled = re.compile(_end_exactly(pattern), re.ASCII)
    except (re.error, OverflowError, RecursionError) as error:
        raise BadPattern(f"pattern `{pattern[:80]}` does not compile: {error}") from error
    if _repeats_a_choice(pattern):
        raise BadPattern(
            f"pattern `{pattern[:80]}` repeats a group that repeats or chooses inside, and could take for ever"
        )
    search = compiled.search
    return lambda text: len(text) <= PATTERN_TEXT_MAX and search(text) is not None


def _tokens(pattern: str) -> Iterable[str]:
    """Yield a pattern's parts: an escape, a whole character class, or one character."""
    position = 0
    while position < len(pattern):
        end = position + 1
        if pattern[position] == "\\":
            end += 1
        elif pattern[position] == "[":
            end += pattern.startswith("^", end)
            end += pattern.startswith("]", end)
            while end < len(pattern) and pattern[end] != "]":
                end += 2 if pattern[end] == "\\" else 1
            end += 1
        yield pattern[position:end]
        position = end


def _end_exactly(pattern: str) -> str:
    """Give `$` its meaning in ECMA-262: the end, and not also a newline before it."""
    return "".join(r"\Z" if token == "$" else token for token in _tokens(pattern))


def _repeats_a_choice(pattern: str) -> bool:
    """Say whether a group is repeated without bound that itself repeats or chooses: the shape that explodes."""
    risky = [False]
    closed_risky = False
    for token in _tokens(pattern):
        repeats = token in ("*", "+", "{")
        if repeats and closed_risky:
            return True
        closed_risky = False
        if token == "(":
            risky.append(False)
        elif token == ")" and len(risky) > 1:
            closed_risky = risky.pop()
            risky[-1] = risky[-1] or closed_risky
        elif repeats or token == "|":
            risky[-1] = True
    return False


def is_date(text: str) -> bool:
    """Say whether the text is a full date of RFC 3339."""
    if not _DATE.fullmatch(text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def is_instant(text: str) -> bool:
    """Say whether the text is a date-time of RFC 3339, with its offset."""
    if not _INSTANT.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text.upper())
    except ValueError:
        return False
    return True


def is_email(text: str) -> bool:
    """Say whether the text looks like one plain address."""
    return _EMAIL.fullmatch(text) is not None and ".." not in text


def is_uuid(text: str) -> bool:
    """Say whether the text is a UUID in its hyphenated form (RFC 9562)."""
    return _UUID.fullmatch(text) is not None


FORMATS: Final[dict[str, tuple[Callable[[str], bool], str]]] = {
    "date": (is_date, "a date like `2026-03-31`"),
    "date-time": (is_instant, "a time like `2026-03-31T12:00:00Z`"),
    "email": (is_email, "an e-mail address"),
    "uuid": (is_uuid, "a UUID"),
}
"""The formats of texts besides `money`, each with its test and how it reads."""


def suggest(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean `x`?` for the closest known name, or nothing where none is close."""
    close = difflib.get_close_matches(name[:80], [*known], n=1, cutoff=0.6)
    return f"; did you mean `{close[0]}`?" if close else ""
