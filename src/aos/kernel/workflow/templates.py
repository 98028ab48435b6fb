"""Templates: JSON whose texts may hold `${...}`, each a CEL expression over the run's input, an item and tasks' outputs.

A text that is exactly one `${...}` becomes the expression's value with its type; inside other text a value is spelled as
text: a string as it is, everything else as compact JSON. `$${` stands for a literal `${`. A template is checked when its
workflow is published and rendered when its task starts; the same names stand in both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from aos.kernel.cel import CelType, Expression, compile_expression
from aos.kernel.errors import InvalidManifest
from aos.kernel.json import Json, canonical_json

INPUT: Final = "input"
ITEM: Final = "item"
INDEX: Final = "index"
RESERVED: Final = frozenset({INPUT, ITEM, INDEX})
"""Names that templates give a meaning to; no task may have one."""

_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

OUTPUT: Final = "output"
"""A task is a map with this one field: `${match.output}`."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text: literal text, or the inside of one `${...}`."""

    text: str
    is_expression: bool


@lru_cache(maxsize=4_096)
def split_template(text: str) -> tuple[Piece, ...]:
    """Return the pieces of a text; raise InvalidManifest for a `${` without its `}`."""
    pieces: list[Piece] = []
    literal = ""
    at = 0
    while at < len(text):
        if text.startswith("$${", at):
            literal, at = literal + "${", at + 3
        elif text.startswith("${", at):
            end = _closing_brace(text, at + 2)
            if literal:
                pieces.append(Piece(literal, False))
            literal = ""
            pieces.append(Piece(text[at + 2 : end].strip(), True))
            at = end + 1
        else:
            literal, at = literal + text[at], at + 1
    if literal or not pieces:
        pieces.append(Piece(literal, False))
    return tuple(pieces)


def _closing_brace(text: str, start: int) -> int:
    """Return where the expression that begins at `start` ends: braces nest, and quotes hide them."""
    open_braces, quote, at = 0, "", start
    while at < len(text):
        character = text[at]
        if quote:
            if character == "\\":
                at += 1
            elif character == quote:
                quote = ""
        elif character in "\"'":
            quote = character
        elif character == "{":
            open_braces += 1
        elif character == "}":
            if open_braces == 0:
                return at
            open_braces -= 1
        at += 1
    raise InvalidManifest(f"`{text[:80]}` has a `${{` without its `}}`")


def expressions_of(template: Json) -> Iterator[str]:
    """Yield the inside of every `${...}` in a template, keys of maps excepted: those are literal."""
    level: list[Json] = [template]
    while level:
        value = level.pop()
        if isinstance(value, str):
            if "${" in value:
                yield from (piece.text for piece in split_template(value) if piece.is_expression)
        elif isinstance(value, list):
            level.extend(value)
        elif isinstance(value, dict):
            level.extend(value.values())


def names_read(template: Json, names: Collection[str], *, also: frozenset[str]) -> frozenset[str]:
    """Return which of `names` and `also` a template's expressions read; raise InvalidCondition where one does not compile.

    What an expression cannot mean is left out before it is compiled, so that 100,000 names cost no more than ten.
    """
    found: frozenset[str] = frozenset()
    for text in expressions_of(template):
        words = frozenset(word for word in _WORD.findall(text) if word in names)
        found |= _compiled(text, words | also).names
    return found


def render(template: Json, values: Mapping[str, Json]) -> Json:
    """Return the template with each `${...}` replaced by its value; raise InvalidCondition where one has none."""
    if isinstance(template, str):
        return _render_text(template, values) if "${" in template else template
    if isinstance(template, list):
        return [render(each, values) for each in template]
    if isinstance(template, dict):
        return {name: render(each, values) for name, each in template.items()}
    return template


def _render_text(text: str, values: Mapping[str, Json]) -> Json:
    pieces = split_template(text)
    names = frozenset(values)

    def value_of(piece: Piece) -> Json:
        return _compiled(piece.text, names).evaluate(values)

    if len(pieces) == 1 and pieces[0].is_expression:
        return value_of(pieces[0])
    return "".join(_spelled(piece, value_of) for piece in pieces)


def _spelled(piece: Piece, value_of: Callable[[Piece], Json]) -> str:
    if not piece.is_expression:
        return piece.text
    value = value_of(piece)
    return value if isinstance(value, str) else canonical_json(value).decode("utf-8")


@lru_cache(maxsize=4_096)
def _compiled(expression: str, names: frozenset[str]) -> Expression:
    return compile_expression(expression, dict.fromkeys(names, CelType.DYN))


def output_value(value: Json) -> Json:
    """Return a task as templates see it."""
    return {OUTPUT: value}
