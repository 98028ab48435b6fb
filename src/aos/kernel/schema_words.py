"""The words of JSON Schema that AOS reads, and the check that a schema uses no others and uses them rightly.

A keyword that is not in `KEYWORDS` is refused, never ignored: an author must not believe in a rule that nobody keeps.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Final

from aos.kernel.errors import FieldError
from aos.kernel.json import Json, canonical_json, depth
from aos.kernel.json_text import FORMATS, MONEY, BadPattern, compile_pattern, suggest

SCHEMA_DEPTH_MAX: Final = 40
"""How deeply a schema may nest."""

TYPES: Final[Mapping[str, tuple[frozenset[type], str]]] = {
    "array": (frozenset({list}), "a list"),
    "boolean": (frozenset({bool}), "true or false"),
    "integer": (frozenset({int}), "an integer"),
    "null": (frozenset({type(None)}), "null"),
    "number": (frozenset({int, float}), "a number"),
    "object": (frozenset({dict}), "an object"),
    "string": (frozenset({str}), "a string"),
}
"""JSON's types: the Python types that carry each, and how it is named to people."""


def check_schema(schema: Json, at: str = "") -> list[FieldError]:
    """Return what is wrong with a schema that stands at pointer `at`: unknown keywords, bad values, lost references.

    An empty list means that `compile_schema` can take it.
    """
    if depth(schema, at_most=SCHEMA_DEPTH_MAX) > SCHEMA_DEPTH_MAX:
        return [FieldError(at, f"a schema nests at most {SCHEMA_DEPTH_MAX} deep")]
    errors: list[FieldError] = []
    _check_part(schema, at, errors)
    defs = schema.get("$defs", {}) if isinstance(schema, dict) else {}
    if not errors:
        _check_references(schema, at, errors, known=frozenset(defs) if isinstance(defs, dict) else frozenset())
    if not errors and isinstance(defs, dict):
        errors.extend(_find_endless(defs, pointer(at, "$defs")))
    return errors


def show(value: Json) -> str:
    """Return a value in back-ticks as JSON writes it, cut to what a message can hold."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return f"`{text if len(text) <= 40 else text[:37] + '...'}`"


def plain(value: Json) -> str:
    """Return a value in back-ticks, a text without its quotes."""
    if isinstance(value, str):
        return f"`{value if len(value) <= 60 else value[:57] + '...'}`"
    return show(value)


def pointer(at: str, name: str | int) -> str:
    """Return the JSON pointer (RFC 6901) of a member of what stands at `at`."""
    return f"{at}/{str(name).replace('~', '~0').replace('/', '~1')}"


def value_key(value: Json) -> object:
    """Return what equal JSON values share and different ones do not: `true` is not `1`, `1` is `1.0`."""
    if isinstance(value, bool):
        return ("bool", value)
    return value if isinstance(value, str | int | float) or value is None else canonical_json(value)


def type_names(schema: Json) -> tuple[str, ...]:
    """Return the types a schema names, none where it names none."""
    named = schema.get("type") if isinstance(schema, dict) else None
    if isinstance(named, str):
        return (named,)
    return tuple(str(name) for name in named) if isinstance(named, list) else ()


def money_bound(bound: Json) -> Decimal:
    """Return a bound of a money field, written as a number or a decimal string, exactly as written."""
    return Decimal(str(bound))


def _check_part(schema: Json, at: str, errors: list[FieldError]) -> None:
    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict):
        errors.append(FieldError(at, f"a schema is an object, not {show(schema)}"))
        return
    for keyword, value in schema.items():
        rule = KEYWORDS.get(keyword)
        if rule is None:
            known = suggest(keyword, KEYWORDS)
            errors.append(FieldError(pointer(at, keyword), f"unknown keyword `{keyword[:80]}` in a schema{known}"))
        else:
            rule(value, pointer(at, keyword), errors)
    if not errors:
        _check_together(schema, at, errors)


def _check_together(schema: dict[str, Json], at: str, errors: list[FieldError]) -> None:
    """Check what one keyword asks of the others."""
    bounds = {name: schema[name] for name in _BOUNDS if isinstance(schema.get(name), str)}
    wanted = "a number"
    if schema.get("format") == "money":
        wanted = "an amount like `1000`"
        bounds = {name: text for name, text in bounds.items() if not MONEY.fullmatch(str(text))}
        if "string" not in type_names(schema) or not set(type_names(schema)) <= {"string", "null"}:
            errors.append(FieldError(at, "`format: money` is for `type: string`: an amount is a decimal string"))
    errors.extend(FieldError(pointer(at, name), f"must be {wanted}, not {show(text)}") for name, text in bounds.items())


def _check_references(schema: Json, at: str, errors: list[FieldError], *, known: frozenset[str]) -> None:
    """Check that every `$ref` leads to a definition and stands alone."""
    if isinstance(schema, dict):
        target = schema.get("$ref")
        if isinstance(target, str):
            name = target.removeprefix("#/$defs/")
            if name == target or name not in known:
                errors.append(FieldError(pointer(at, "$ref"), f"`{target[:80]}` is not one of this schema's `$defs`"))
            elif set(schema) - _ANNOTATIONS != {"$ref"}:
                errors.append(FieldError(at, "`$ref` stands alone: put the other keywords into the definition"))
        for keyword, value in schema.items():
            if keyword in _SCHEMA_MAPS and isinstance(value, dict):
                for name, part in value.items():
                    _check_references(part, pointer(pointer(at, keyword), name), errors, known=known)
            elif keyword in _SCHEMA_LISTS and isinstance(value, list):
                for index, part in enumerate(value):
                    _check_references(part, pointer(pointer(at, keyword), index), errors, known=known)
            elif keyword in _SCHEMAS:
                _check_references(value, pointer(at, keyword), errors, known=known)


def _find_endless(defs: dict[str, Json], at: str) -> list[FieldError]:
    """Find definitions that lead to themselves without stepping into the value, which would never end."""
    leads = {name: _led_to(part) for name, part in defs.items()}
    endless: list[FieldError] = []
    for name in defs:
        seen: set[str] = set()
        todo = list(leads[name])
        while todo:
            target = todo.pop()
            if target not in seen:
                seen.add(target)
                todo.extend(leads.get(target, ()))
        if name in seen:
            endless.append(FieldError(pointer(at, name), f"the definition `{name}` leads to itself without an end"))
    return endless


def _led_to(part: Json) -> list[str]:
    if not isinstance(part, dict):
        return []
    choices = [*_items(part.get("oneOf")), *_items(part.get("anyOf"))]
    named = [str(part["$ref"]).removeprefix("#/$defs/")] if "$ref" in part else []
    return named + [name for choice in choices for name in _led_to(choice)]


def _items(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


Rule = Callable[[Json, str, list[FieldError]], None]


def _of(wanted: str, fits: Callable[[Json], bool]) -> Rule:
    def check_word(value: Json, at: str, errors: list[FieldError]) -> None:
        if not fits(value):
            errors.append(FieldError(at, f"must be {wanted}, not {show(value)}"))

    return check_word


def _check_map(value: Json, at: str, errors: list[FieldError]) -> None:
    if not isinstance(value, dict):
        errors.append(FieldError(at, f"must be an object of schemas, not {show(value)}"))
        return
    for name, part in value.items():
        _check_part(part, pointer(at, name), errors)


def _check_list(value: Json, at: str, errors: list[FieldError]) -> None:
    if not isinstance(value, list) or not value:
        errors.append(FieldError(at, f"must be a list of schemas, not {show(value)}"))
        return
    for index, part in enumerate(value):
        _check_part(part, pointer(at, index), errors)


def _check_pattern(value: Json, at: str, errors: list[FieldError]) -> None:
    if not isinstance(value, str):
        errors.append(FieldError(at, f"must be a pattern, not {show(value)}"))
        return
    try:
        compile_pattern(value)
    except BadPattern as error:
        errors.append(FieldError(at, str(error)))


def _check_format(value: Json, at: str, errors: list[FieldError]) -> None:
    known = ["money", *FORMATS]
    if not isinstance(value, str) or value not in known:
        close = suggest(value, known) if isinstance(value, str) else ""
        listed = ", ".join(f"`{name}`" for name in known)
        errors.append(FieldError(at, f"must be one of {listed}, not {plain(value)}{close}"))


def _is_types(value: Json) -> bool:
    names = value if isinstance(value, list) else [value]
    texts = [name for name in names if isinstance(name, str)]
    return bool(names) and len(texts) == len(names) == len(set(texts)) and set(texts) <= set(TYPES)


def _is_bound(value: Json) -> bool:
    """Say whether this can bound a number; a decimal string, for money alone, is looked at beside its format."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return False
    try:
        return Decimal(str(value)).is_finite()
    except InvalidOperation:
        return False


def _is_count(value: Json) -> bool:
    return type(value) is int and value >= 0


def _is_names(value: Json) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


_anything: Final = _of("anything", lambda _: True)
_text: Final = _of("a text", lambda value: isinstance(value, str))
_flag: Final = _of("true or false", lambda value: isinstance(value, bool))
_count: Final = _of("a count, 0 or more", _is_count)
_bound: Final = _of("a number", _is_bound)

_BOUNDS: Final = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_SCHEMAS: Final = frozenset({"items", "additionalProperties", "propertyNames"})
_SCHEMA_MAPS: Final = frozenset({"properties", "$defs"})
_SCHEMA_LISTS: Final = frozenset({"oneOf", "anyOf"})
_ANNOTATIONS: Final = frozenset({"title", "description", "default", "examples", "deprecated", "$comment"})

KEYWORDS: Final[Mapping[str, Rule]] = {
    "$schema": _text,
    "$id": _text,
    "$comment": _text,
    "title": _text,
    "description": _text,
    "default": _anything,
    "examples": _of("a list", lambda value: isinstance(value, list)),
    "deprecated": _flag,
    "type": _of(f"a type ({', '.join(TYPES)}) or a list of types", _is_types),
    "enum": _of("a list of at least one value", lambda value: isinstance(value, list) and bool(value)),
    "const": _anything,
    "properties": _check_map,
    "required": _of("a list of names", _is_names),
    "additionalProperties": _check_part,
    "propertyNames": _check_part,
    "minProperties": _count,
    "maxProperties": _count,
    "items": _check_part,
    "minItems": _count,
    "maxItems": _count,
    "uniqueItems": _flag,
    "minLength": _count,
    "maxLength": _count,
    "pattern": _check_pattern,
    "format": _check_format,
    **dict.fromkeys(_BOUNDS, _bound),
    "oneOf": _check_list,
    "anyOf": _check_list,
    "$defs": _check_map,
    "$ref": _text,
}
"""Every keyword, with the check of its value."""
