"""Conditions and value expressions in CEL, the Common Expression Language (cel.dev), behind plain typed values.

Rules a reader must not break:
- This is the only module that imports the CEL package.
- A condition holds only when the result's type is BOOL and its value *is* True. The package answers an error as a value
  whose `.value()` is a truthy text, so anything else counts as failed; so does whatever it raises.
- No value reaches CEL unchecked: `check_value` bounds depth and lists (the package's recursion would end the process) and
  refuses NUL (the package cuts texts there), lone surrogates and numbers that are not finite (no comparison with NaN holds).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

from cel_expr_python import cel

from aos.kernel.cel_text import facts_named, tokens_of_expression
from aos.kernel.errors import InvalidCondition, InvalidRequest, TooLarge
from aos.kernel.json import Json
from aos.kernel.limits import ARGUMENTS_DEPTH_MAX, ARGUMENTS_LIST_MAX

COMPILED_MAX: Final = 20_000
"""Compiled expressions kept: they are pure functions of text and types, so a reload of policies compiles nothing twice."""
EVALUATION_DEPTH_MAX: Final = 64
EVALUATION_LIST_MAX: Final = 100_000


class CelType(StrEnum):
    """The type of a variable, as CEL spells it; `dyn` is checked when evaluated."""

    BOOL = "bool"
    INT = "int"
    DOUBLE = "double"
    STRING = "string"
    DYN = "dyn"
    LIST = "list"
    LIST_OF_BOOL = "list<bool>"
    LIST_OF_INT = "list<int>"
    LIST_OF_DOUBLE = "list<double>"
    LIST_OF_STRING = "list<string>"
    MAP = "map"


class Holds(StrEnum):
    """What became of a condition; only `yes` is a yes."""

    YES = "yes"
    NO = "no"
    FAILED = "failed"


_TYPES: Final[Mapping[CelType, cel.Type]] = {
    CelType.BOOL: cel.Type.BOOL,
    CelType.INT: cel.Type.INT,
    CelType.DOUBLE: cel.Type.DOUBLE,
    CelType.STRING: cel.Type.STRING,
    CelType.DYN: cel.Type.DYN,
    CelType.LIST: cel.Type.List(cel.Type.DYN),
    CelType.LIST_OF_BOOL: cel.Type.List(cel.Type.BOOL),
    CelType.LIST_OF_INT: cel.Type.List(cel.Type.INT),
    CelType.LIST_OF_DOUBLE: cel.Type.List(cel.Type.DOUBLE),
    CelType.LIST_OF_STRING: cel.Type.List(cel.Type.STRING),
    CelType.MAP: cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
}
_BOOL: Final = cel.Type.BOOL
_LISTS: Final = frozenset(each for each in CelType if each.startswith("list"))
_MESSAGE: Final = re.compile(r"ERROR: <input>:(\d+|-1):(-?\d+): (.*)")


@dataclass(frozen=True, slots=True)
class Bound:
    """Values bound once for several conditions."""

    _activation: Any


@dataclass(frozen=True, slots=True)
class Scope:
    """Declared variables, to which values are bound."""

    variables: tuple[tuple[str, CelType], ...]
    _environment: Any

    def bind(self, values: Mapping[str, object]) -> Bound | None:
        """Return `values` bound for `Condition.holds_with`; None when they cannot be: then every condition failed."""
        try:
            return Bound(self._environment.Activation(values))
        except Exception:
            return None


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled yes-or-no expression; `expression` is its text as compiled."""

    expression: str
    variables: tuple[tuple[str, CelType], ...]
    _program: Any

    def holds(self, values: Mapping[str, object]) -> Holds:
        """Evaluate on `values`, by variable name; a variable left out fails the condition when it is read. Never raises."""
        try:
            result = self._program.eval(data=values)
            value = result.value()
            if value is False:
                return Holds.NO
            return Holds.YES if value is True and result.type() == _BOOL else Holds.FAILED
        except Exception:
            return Holds.FAILED

    def holds_with(self, bound: Bound | None) -> Holds:
        """Evaluate on values bound once by a `Scope` that declares the same variables. Never raises."""
        if bound is None:
            return Holds.FAILED
        try:
            result = self._program.eval(bound._activation)
            value = result.value()
            if value is False:
                return Holds.NO
            return Holds.YES if value is True and result.type() == _BOOL else Holds.FAILED
        except Exception:
            return Holds.FAILED


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression that yields plain JSON; `names` are the variables it reads."""

    expression: str
    names: frozenset[str]
    _program: Any

    def evaluate(self, values: Mapping[str, Json]) -> Json:
        """Return the value on `values`, which may hold more than is read. Pure and bounded.

        Raises InvalidCondition when it cannot be evaluated (a path that is not there, a division by zero) or yields what
        JSON cannot hold, TooLarge or InvalidRequest when a value read is over a limit of `check_value`.
        """
        read = {name: values[name] for name in self.names if name in values}
        for name, value in read.items():
            check_value(value, f"`{name}`", depth_max=EVALUATION_DEPTH_MAX, list_max=EVALUATION_LIST_MAX)
        try:
            result = self._program.eval(data=read)
            plain = result.plain_value()
            failed = result.type() == cel.Type.ERROR
        except Exception as error:
            raise InvalidCondition(f"`{self.expression}` could not be evaluated: {_first_line(error)}") from error
        if failed:
            raise InvalidCondition(f"`{self.expression}` could not be evaluated: {plain}")
        return _plain_json(plain, self.expression)


def compile_condition(expression: str, variables: Mapping[str, CelType]) -> Condition:
    """Compile a condition over declared variables; raise InvalidCondition unless its type is BOOL.

    Variables may have dotted names (`args.amount`). The text is checked for length and nesting first.
    """
    tokens_of_expression(expression)
    declared = tuple(sorted(variables.items()))
    program = _compile(expression, declared)
    if program.return_type() != _BOOL:
        raise InvalidCondition(
            f"`{expression}` is {program.return_type().name().lower()}, not yes or no; compare it, as in `... == true`"
        )
    return Condition(expression, declared, program)


def compile_expression(expression: str, variables: Mapping[str, CelType]) -> Expression:
    """Compile the inside of a `${...}`: any value; raise InvalidCondition for unknown names or wrong types."""
    tokens = tokens_of_expression(expression)
    named = frozenset(each.path[0] for each in facts_named(tokens, variables.keys()))
    declared = tuple(sorted((name, kind) for name, kind in variables.items() if name in named))
    return Expression(expression, named, _compile(expression, declared))


def compile_search(pattern: str) -> Callable[[str], bool]:
    """Return the test `is this pattern found in the text`, by RE2: linear in the text whatever the pattern.

    A text that CEL must not see (NUL, a lone surrogate) does not match. Raises InvalidCondition for a pattern that RE2
    cannot read.
    """
    program = _compile("text.matches(pattern)", (("pattern", CelType.STRING), ("text", CelType.STRING)))

    def search(text: str) -> object:
        return program.eval(data={"text": text, "pattern": pattern}).value()

    tried = search("")
    if not isinstance(tried, bool):
        raise InvalidCondition(f"`{pattern}` cannot be read: {tried}")

    def found(text: str) -> bool:
        try:
            _check_text(text, "the text")
            return search(text) is True
        except Exception:
            return False

    return found


def scope_of(variables: Mapping[str, CelType]) -> Scope:
    """Return the scope that declares `variables`."""
    declared = tuple(sorted(variables.items()))
    return Scope(declared, _environment(declared))


def check_value(
    value: Json, what: str, *, depth_max: int = ARGUMENTS_DEPTH_MAX, list_max: int = ARGUMENTS_LIST_MAX
) -> None:
    """Refuse a value that CEL must not see: call it once for an act's arguments and once for each fact looked up.

    Raises TooLarge past `depth_max` levels or `list_max` items of one list, InvalidRequest for a number that is not
    finite, a text with NUL or a lone surrogate. Iterative, so depth cannot crash it.
    """
    level: list[Json] = [value]
    for _ in range(depth_max + 1):
        below: list[Json] = []
        for item in level:
            if isinstance(item, str):
                _check_text(item, what)
            elif isinstance(item, list):
                if len(item) > list_max:
                    raise TooLarge(f"{what} holds a list of {len(item)} items, at most {list_max} are read")
                below.extend(item)
            elif isinstance(item, dict):
                for key in item:
                    _check_text(key, what)
                below.extend(item.values())
            elif isinstance(item, float) and not math.isfinite(item):
                raise InvalidRequest(f"{what} holds a number that is not finite")
        if not below:
            return
        level = below
    raise TooLarge(f"{what} nests deeper than {depth_max}")


def _check_text(text: str, what: str) -> None:
    if text.isascii():
        if "\0" in text:
            raise InvalidRequest(f"{what} holds a text with a NUL character")
        return
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidRequest(f"{what} holds a text that is not valid Unicode") from error
    if "\0" in text:
        raise InvalidRequest(f"{what} holds a text with a NUL character")


@lru_cache(maxsize=4_096)
def _environment(declared: tuple[tuple[str, CelType], ...]) -> Any:
    return cel.NewEnv(variables={name: _TYPES[kind] for name, kind in declared})


@lru_cache(maxsize=COMPILED_MAX)
def _compile(expression: str, declared: tuple[tuple[str, CelType], ...]) -> Any:
    try:
        return _environment(declared).compile(expression)
    except Exception as error:
        raise InvalidCondition(f"`{expression}` does not compile: {_messages(str(error))}") from error


def _messages(text: str) -> str:
    """Return the compiler's messages in one line, without its drawing of the source."""
    found = [match.group(3).removesuffix(" [INVALID_ARGUMENT]") for match in _MESSAGE.finditer(text)]
    return "; ".join(each.replace(" (in container '')", "") for each in found) or text.splitlines()[0][:200]


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _plain_json(value: object, expression: str) -> Json:
    """Return `value` when it is JSON; raise InvalidCondition for what JSON has no form for (bytes, times, NaN)."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, list):
        return [_plain_json(item, expression) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {str(key): _plain_json(item, expression) for key, item in value.items()}
    raise InvalidCondition(f"`{expression}` yields {type(value).__name__}, which JSON cannot hold")
