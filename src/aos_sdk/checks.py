"""Whether a value fits a JSON Schema: the words that AOS reads of a schema, for answers of models and plans. Pure.

`format` is not asserted here: what goes into a tool is checked by the gate, with every word.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from aos_sdk.frames import Json

PROBLEMS_MAX: Final = 20
_DEPTH_MAX: Final = 64

_TYPES: Final[dict[str, Callable[[Any], bool]]] = {
    "array": lambda value: isinstance(value, list),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "null": lambda value: value is None,
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
    "string": lambda value: isinstance(value, str),
}

_LIMITS: Final[tuple[tuple[str, Callable[[Any, Any], bool], str], ...]] = (
    ("minimum", operator.ge, "at least"),
    ("maximum", operator.le, "at most"),
    ("exclusiveMinimum", operator.gt, "more than"),
    ("exclusiveMaximum", operator.lt, "less than"),
)


def schema_problems(value: Json, schema: Json) -> list[str]:
    """Return what is wrong with `value`, each as `/pointer: why`; an empty list means that it fits. At most `PROBLEMS_MAX`."""
    defs = schema.get("$defs", {}) if isinstance(schema, dict) else {}
    found: list[str] = []
    for at, problem in _check(value, schema, "", defs=defs if isinstance(defs, dict) else {}, depth=0):
        found.append(f"{at or '/'}: {problem}")
        if len(found) >= PROBLEMS_MAX:
            break
    return found


def _check(value: Any, schema: Any, at: str, *, defs: dict[str, Any], depth: int) -> Iterator[tuple[str, str]]:
    if schema is False:
        yield at, "is not permitted here"
    if not isinstance(schema, dict) or depth > _DEPTH_MAX:
        return
    if "$ref" in schema:
        yield from _check(
            value, defs.get(str(schema["$ref"]).removeprefix("#/$defs/"), {}), at, defs=defs, depth=depth + 1
        )
    kinds = schema.get("type")
    names = [kinds] if isinstance(kinds, str) else kinds if isinstance(kinds, list) else []
    if names and not any(name in _TYPES and _TYPES[name](value) for name in names):
        yield at, f"must be of type {' or '.join(map(str, names))}"
        return
    if "enum" in schema and not any(_same(value, each) for each in schema["enum"]):
        yield at, f"must be one of {', '.join(str(each) for each in schema['enum'][:20])}"
    if "const" in schema and not _same(value, schema["const"]):
        yield at, f"must be {schema['const']}"
    yield from ((at, problem) for problem in _bounds(value, schema))
    if isinstance(value, dict):
        yield from _check_object(value, schema, at, defs=defs, depth=depth)
    if isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            yield from _check(item, schema["items"], f"{at}/{index}", defs=defs, depth=depth + 1)
    for word, exactly_one in (("anyOf", False), ("oneOf", True)):
        if word in schema:
            fits = sum(not any(_check(value, each, at, defs=defs, depth=depth + 1)) for each in schema[word])
            if not fits or (exactly_one and fits > 1):
                yield at, "must fit exactly one of the forms" if exactly_one else "fits none of the forms"


def _same(one: Any, other: Any) -> bool:
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _bounds(value: Any, schema: dict[str, Any]) -> Iterator[str]:
    """Yield what is too small, too large, or not of the pattern."""
    if isinstance(value, str):
        yield from _size(len(value), schema, "minLength", "maxLength", what="characters")
        if "pattern" in schema and not re.search(str(schema["pattern"]), value):
            yield f"must match the pattern {schema['pattern']}"
    elif isinstance(value, list):
        yield from _size(len(value), schema, "minItems", "maxItems", what="items")
        if schema.get("uniqueItems") is True and len({repr(each) for each in value}) < len(value):
            yield "must not name anything twice"
    elif isinstance(value, dict):
        yield from _size(len(value), schema, "minProperties", "maxProperties", what="fields")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        for word, holds, told in _LIMITS:
            if isinstance(schema.get(word), int | float) and not holds(value, schema[word]):
                yield f"must be {told} {schema[word]}"


def _size(size: int, schema: dict[str, Any], least: str, most: str, *, what: str) -> Iterator[str]:
    if size < schema.get(least, 0):
        yield f"must have at least {schema[least]} {what}"
    if most in schema and size > schema[most]:
        yield f"must have at most {schema[most]} {what}"


def _check_object(
    value: dict[str, Any], schema: dict[str, Any], at: str, *, defs: dict[str, Any], depth: int
) -> Iterator[tuple[str, str]]:
    properties = schema.get("properties") or {}
    for name in schema.get("required") or ():
        if name not in value:
            yield at, f"`{name}` is missing"
    for name, member in value.items():
        inner = f"{at}/{name}"
        if name in properties:
            yield from _check(member, properties[name], inner, defs=defs, depth=depth + 1)
        elif schema.get("additionalProperties") is False:
            yield inner, "is not a field here"
        else:
            yield from _check(member, schema.get("additionalProperties", True), inner, defs=defs, depth=depth + 1)
