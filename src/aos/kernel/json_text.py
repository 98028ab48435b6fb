"""What a JSON text may have to look like: patterns as JSON Schema means them, named formats, and names that come close.

Patterns are ECMA-262's, searched anywhere in the text: `$` is the very end, classes are ASCII. Only patterns that cannot
explode are admitted, since the text comes from whoever calls.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final

from aos.kernel.cel import compile_search
from aos.kernel.errors import InvalidCondition

PATTERN_LENGTH_MAX: Final = 500
"""The longest pattern that is compiled."""

PATTERN_TEXT_MAX: Final = 10_000
"""The longest text that is held against a pattern; a longer one does not match."""

MONEY: Final = re.compile(r"(-?)(?:0|[1-9][0-9]{0,12})(?:\.[0-9]{1,9})?", re.ASCII)
_EMAIL: Final = re.compile(r"[^\s@<>,;\"]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", re.ASCII)
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_TOKEN: Final = re.compile(r"\\.|\[\^?\]?(?:[^\]\\]|\\.)*\]|\(\?:|\{[0-9]+(?:,[0-9]*)?\}|.", re.DOTALL)
_BACK_REFERENCE: Final = re.compile(r"(?<!\\)(?:\\\\)*\\[1-9]")
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
    if "(?" in pattern.replace("(?:", "") or _BACK_REFERENCE.search(pattern):
        raise BadPattern(f"pattern `{pattern[:80]}` looks around or back: only plain groups and `(?:` are read")
    try:
        compiled = re.compile(_end_exactly(pattern), re.ASCII)
    except (re.error, OverflowError, RecursionError) as error:
        raise BadPattern(f"pattern `{pattern[:80]}` does not compile: {error}") from error
    if _explodes(pattern):
        raise BadPattern(f"pattern `{pattern[:80]}` repeats a group that repeats or chooses inside: simplify it")
    if _variable_parts(pattern) > 1:
        return _linear(pattern)
    search = compiled.search
    return lambda text: len(text) <= PATTERN_TEXT_MAX and search(text) is not None


def _variable_parts(pattern: str) -> int:
    """Count repetitions of no fixed number and choices: two of them can divide one text in many ways."""
    return sum(token in ("*", "+", "?", "|") or (token[0] == "{" and "," in token) for token in _tokens(pattern))


def _linear(pattern: str) -> Callable[[str], bool]:
    """Return the test by an engine that never backtracks; it reads the same patterns but for a few rare escapes."""
    try:
        search = compile_search(pattern)
    except InvalidCondition as error:
        raise BadPattern(f"pattern `{pattern[:80]}` cannot be read in linear time: {error.detail}") from error
    return lambda text: len(text) <= PATTERN_TEXT_MAX and search(text)


def _tokens(pattern: str) -> list[str]:
    """Part a pattern into escapes, whole character classes, groups' openings, counts and single characters."""
    return _TOKEN.findall(pattern)


def _end_exactly(pattern: str) -> str:
    """Give `$` its meaning in ECMA-262: the end, and not also a newline before it."""
    return "".join(r"\Z" if token == "$" else token for token in _tokens(pattern))


@dataclass(slots=True)
class _Group:
    """A group being read: its parts as (text, repeated), and whether it holds a choice or a group that repeats."""

    parts: list[tuple[str, bool]] = field(default_factory=list)
    tangled: bool = False


def _explodes(pattern: str) -> bool:
    """Say whether a group is repeated whose text could be divided among its repetitions in more than one way.

    Errs on the safe side. A repeated group may itself repeat only when its first or its last part stands once in each
    repetition and shares no character with what repeats, as in `([.][a-z]+)*`.
    """
    open_groups = [_Group()]
    closed: _Group | None = None
    for token in _tokens(pattern):
        group = open_groups[-1]
        if token in ("*", "+", "?") or (token[0] == "{" and len(token) > 1):
            if closed is not None and token != "?" and not _is_separated(closed):
                return True
            if group.parts:
                group.parts[-1] = (group.parts[-1][0], True)
            group.tangled = group.tangled or closed is not None
            closed = None
            continue
        closed = None
        if token in ("(", "(?:"):
            open_groups.append(_Group())
        elif token == ")" and len(open_groups) > 1:
            closed = open_groups.pop()
            open_groups[-1].tangled |= closed.tangled or any(repeated for _, repeated in closed.parts)
            open_groups[-1].parts.append((".", False))
        elif token == "|":
            group.tangled = True
        else:
            group.parts.append((token, False))
    return False


def _is_separated(group: _Group) -> bool:
    repeated = [_characters(text) for text, again in group.parts if again]
    if group.tangled or not repeated:
        return not group.tangled
    edges = [_characters(text) for text, again in (group.parts[0], group.parts[-1]) if not again]
    # A part that matches no character, an anchor, separates nothing.
    return any(edge and not any(edge & each for each in repeated) for edge in edges)


def _characters(part: str) -> frozenset[str]:
    """Return which of the ASCII characters, and one beyond them, a part of a pattern matches."""
    matches = re.compile(part, re.ASCII).fullmatch
    return frozenset(char for char in map(chr, (*range(128), 0xE9)) if matches(char))


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
