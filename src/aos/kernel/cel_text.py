"""The text of CEL expressions: its tokens, the facts it names, and the guards that stand before the CEL compiler.

Nothing here evaluates anything. The lexer is stricter than CEL's: what it does not know it refuses, so that no text is
read in one way here (where money literals are scaled and facts are found) and in another by the compiler.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from aos.kernel.errors import InvalidCondition
from aos.kernel.limits import CONDITION_LENGTH_MAX

NESTING_MAX: Final = 24
"""Brackets, ternaries and prefix operators that may stand open at once; the compiler's own limit is 32."""
OPERATORS_MAX: Final = 400
"""Operators in one expression: a flat chain of them is a deep tree to the compiler."""

COMPARISONS: Final = frozenset({"==", "!=", "<", "<=", ">", ">="})
_KEYWORDS: Final = frozenset({"true", "false", "null", "in"})
_TYPE_NAMES: Final = frozenset(
    {
        "bool",
        "bytes",
        "double",
        "dyn",
        "int",
        "list",
        "map",
        "null_type",
        "string",
        "timestamp",
        "duration",
        "type",
        "uint",
    }
)
_MACROS: Final = frozenset({"all", "exists", "exists_one", "existsOne", "filter", "map"})
_TOKEN: Final = re.compile(
    r"""(?P<space>\s+|//[^\n]*)
      | (?P<string>(?:[rR][bB]?|[bB][rR])(?:\"\"\".*?\"\"\"|'''.*?'''|"[^"\n]*"|'[^'\n]*')
                 | [bB]?(?:\"\"\"(?:\\.|[^\\])*?\"\"\"|'''(?:\\.|[^\\])*?'''|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))
      | (?P<number>0[xX][0-9a-fA-F]+[uU]?|\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\d+[uU]?)
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<operator>&&|\|\||==|!=|<=|>=|[-+*/%<>!?:.,()\[\]{}])""",
    re.VERBOSE | re.DOTALL,
)
_OPEN: Final = {"(": ")", "[": "]", "{": "}"}
_PLAIN_STRING: Final = re.compile(r"""^(?:"([^"\\]*)"|'([^'\\]*)')$""")


class TokenKind(StrEnum):
    """What one token is."""

    STRING = "string"
    NUMBER = "number"
    NAME = "name"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Token:
    """One token and where it stands, `end` exclusive."""

    kind: TokenKind
    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Named:
    """A fact that an expression names: its path, the tokens it spans (`last` inclusive), and whether inside `has(...)`.

    For `has(args.x)` the span covers the whole call.
    """

    path: tuple[str, ...]
    first: int
    last: int
    has: bool = False

    @property
    def text(self) -> str:
        """Return the path as people write it."""
        return ".".join(self.path)


def tokens_of_expression(expression: str) -> tuple[Token, ...]:
    """Return the tokens of `expression` after checking its length, nesting and number of operators.

    Raises InvalidCondition for an unknown character, an unclosed string or bracket, or a limit passed.
    """
    if len(expression) > CONDITION_LENGTH_MAX:
        raise InvalidCondition(
            f"the expression has {len(expression)} characters, at most {CONDITION_LENGTH_MAX} are read"
        )
    tokens: list[Token] = []
    at = 0
    while at < len(expression):
        match = _TOKEN.match(expression, at)
        if match is None:
            raise InvalidCondition(
                f"unexpected character `{expression[at]}` at column {at + 1} of `{_short(expression)}`"
            )
        kind = match.lastgroup or ""
        if kind != "space":
            tokens.append(Token(TokenKind(kind), match.group(), at, match.end()))
        at = match.end()
    if not tokens:
        raise InvalidCondition("the expression is empty")
    _check_nesting(tokens, expression)
    return tuple(tokens)


def _check_nesting(tokens: list[Token], expression: str) -> None:
    """Refuse what would nest deeper than `NESTING_MAX` in the compiler, and brackets that do not match."""
    closing: list[str] = []
    prefixes = operators = questions = 0
    previous = ""
    for token in tokens:
        text = token.text if token.kind is TokenKind.OPERATOR else ""
        if text in _OPEN:
            closing.append(_OPEN[text])
        elif text in (")", "]", "}"):
            if not closing or closing.pop() != text:
                raise InvalidCondition(f"bracket `{text}` at column {token.start + 1} closes nothing")
        elif text:
            operators += 1
            questions += text == "?"
        is_prefix = text in ("!", "-") and previous != "value"
        prefixes = prefixes + 1 if is_prefix else 0
        if text == "." and previous != "value":
            raise InvalidCondition(f"a name is missing before `.` at column {token.start + 1}")
        if text == "?" and previous != "value":
            raise InvalidCondition(f"a value is missing before `?` at column {token.start + 1}")
        previous = "" if text and text not in (")", "]", "}") else "value"
        if len(closing) + prefixes + questions > NESTING_MAX:
            raise InvalidCondition(
                f"`{_short(expression)}` nests deeper than {NESTING_MAX}; split it into several rules"
            )
    if closing:
        raise InvalidCondition(f"bracket `{closing[-1]}` is missing at the end of `{_short(expression)}`")
    if operators > OPERATORS_MAX:
        raise InvalidCondition(
            f"`{_short(expression)}` has more than {OPERATORS_MAX} operators; split it into several rules"
        )


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "…"


def facts_named(tokens: tuple[Token, ...], roots: Collection[str]) -> tuple[Named, ...]:
    """Return every fact that the expression names, in order, without evaluating anything.

    `roots` are the first names of facts. A name bound by a macro (`list.exists(x, ...)`) is no fact. Raises
    InvalidCondition for a name that is neither, and for a macro that binds a fact's name.
    """
    bound = set(_bound_names(tokens))
    shadowed = bound & set(roots)
    if shadowed:
        raise InvalidCondition(f"`{min(shadowed)}` is the name of a fact: bind another name in the macro")
    found: list[Named] = []
    at = 0
    while at < len(tokens):
        named, at = _fact_at(tokens, at, roots=roots, bound=bound)
        if named is not None:
            found.append(named)
    return tuple(found)


def _bound_names(tokens: tuple[Token, ...]) -> Iterator[str]:
    """Yield the names that macros bind: in `.exists(x, ...)` the `x`."""
    for index in range(len(tokens) - 4):
        dot, macro, bracket, name, comma = tokens[index : index + 5]
        if dot.text == "." and macro.text in _MACROS and bracket.text == "(" and comma.text == ",":
            yield name.text


def _fact_at(
    tokens: tuple[Token, ...], at: int, *, roots: Collection[str], bound: set[str]
) -> tuple[Named | None, int]:
    """Return the fact whose path starts at token `at`, if one does, and where to go on."""
    token = tokens[at]
    after = _text(tokens, at + 1)
    if token.kind is not TokenKind.NAME or _text(tokens, at - 1) == "." or token.text in _KEYWORDS:
        return None, at + 1
    if token.text == "has" and after == "(":
        return _has_at(tokens, at, roots=roots, bound=bound)
    if after == "(" or token.text in bound or token.text in _TYPE_NAMES:
        return None, at + 1
    if token.text not in roots:
        raise InvalidCondition(f"unknown name `{token.text}`; an expression may name {', '.join(sorted(roots))}")
    path, last = _path_from(tokens, at)
    return Named(path, at, last), last + 1


def _has_at(tokens: tuple[Token, ...], at: int, *, roots: Collection[str], bound: set[str]) -> tuple[Named | None, int]:
    """Return the fact inside `has(...)`; one on a macro's own name is left to the compiler."""
    root = _text(tokens, at + 2)
    if root in bound:
        return None, at + 2
    if root not in roots:
        raise InvalidCondition(f"`has` wants a fact, such as has(args.note), not `{root}`")
    path, last = _path_from(tokens, at + 2)
    if _text(tokens, last + 1) != ")":
        raise InvalidCondition(f"`has` wants a fact's path alone, near `{'.'.join(path)}`")
    return Named(path, at, last + 1, has=True), last + 2


def _path_from(tokens: tuple[Token, ...], at: int) -> tuple[tuple[str, ...], int]:
    """Return the path that starts at token `at` and its last token: `.name` and `["name"]` lengthen it, a call ends it."""
    path = [tokens[at].text]
    last = at
    while True:
        mark, name = _text(tokens, last + 1), tokens[last + 2] if last + 2 < len(tokens) else None
        if name is None:
            break
        if mark == "." and name.kind is TokenKind.NAME and _text(tokens, last + 3) != "(":
            path.append(name.text)
            last += 2
        elif mark == "[" and _text(tokens, last + 3) == "]" and (key := _key_of(name, path[0])) is not None:
            path.append(key)
            last += 3
        else:
            break
    return tuple(path), last


def _key_of(token: Token, root: str) -> str | None:
    """Return the key in `["key"]`; `origin[iban]` may be written without quotes."""
    if token.kind is TokenKind.NAME and root == "origin" and token.text not in _KEYWORDS:
        return token.text
    plain = _PLAIN_STRING.match(token.text) if token.kind is TokenKind.STRING else None
    return None if plain is None else plain.group(1) if plain.group(1) is not None else plain.group(2)


def _text(tokens: tuple[Token, ...], index: int) -> str:
    return tokens[index].text if 0 <= index < len(tokens) else ""


def rewrite(expression: str, tokens: tuple[Token, ...], *, replace: Callable[[int], tuple[str, int] | None]) -> str:
    """Return `expression` with some tokens replaced: `replace(index)` gives a text and the last index it stands for."""
    pieces: list[str] = []
    copied = index = 0
    while index < len(tokens):
        replaced = replace(index)
        if replaced is not None:
            text, last = replaced
            pieces += (expression[copied : tokens[index].start], text)
            copied, index = tokens[last].end, last
        index += 1
    return "".join((*pieces, expression[copied:]))
