"""JSON Schema 2020-12 for what AOS checks: a tool's arguments at the gate, a workflow's input, the manifest itself.

The keywords are a closed set (`KEYWORDS`): a schema that uses another is refused by `check_schema` before it is stored,
so that nothing an author wrote is silently ignored. A schema that was not checked must not be compiled. Stricter than
the specification in two points: an integer is written without a fraction, and `format` is always asserted.
`format: money` is AOS's own: a decimal string with at most nine places, not negative unless `minimum` says so.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from decimal import Decimal
from math import isfinite
from typing import Any, Final, cast

from aos.kernel.errors import FieldError
from aos.kernel.json import Json
from aos.kernel.json_text import FORMATS, MONEY, compile_pattern, suggest
from aos.kernel.limits import MONEY_UNITS_MAX
from aos.kernel.schema_words import TYPES, check_schema, money_bound, plain, pointer, show, type_names, value_key

__all__ = ["ERRORS_MAX", "Checker", "check", "check_schema", "compile_schema", "pointer", "show"]

Checker = Callable[[Json, str, list[FieldError]], None]
"""Checks a value that stands at a JSON pointer and adds what is wrong."""

ERRORS_MAX: Final = 100
"""How many wrong fields one answer names."""

_COMPILED_MAX: Final = 4_096


def check(value: Json, schema: Json, at: str = "") -> list[FieldError]:
    """Return what is wrong with `value`, which stands at pointer `at`; an empty list means that it fits.

    A missing field points at the object that lacks it. At most `ERRORS_MAX` are returned. Compiled once for each schema
    object, which must not be changed afterwards: a few microseconds a call.
    """
    errors: list[FieldError] = []
    compile_schema(schema)(value, at, errors)
    return errors[:ERRORS_MAX]


_compiled: dict[int, tuple[Json, Checker]] = {}
"""Checkers by the identity of their schema, which is kept beside so that no other object can have it."""


def compile_schema(schema: Json) -> Checker:
    """Return the checker of a schema that `check_schema` has passed; the same object is compiled once."""
    found = _compiled.get(id(schema))
    if found is not None and found[0] is schema:
        return found[1]
    if len(_compiled) >= _COMPILED_MAX:
        _compiled.clear()
    checker = _Compiler(schema).compile(schema)
    _compiled[id(schema)] = (schema, checker)
    return checker


class _Compiler:
    """Turns one schema into closures; `$ref` leads to the schema's own `$defs` only."""

    def __init__(self, root: Json) -> None:
        defs = root.get("$defs") if isinstance(root, dict) else None
        self._defs: dict[str, Json] = defs if isinstance(defs, dict) else {}
        self._shared: dict[str, Checker] = {}

    def compile(self, schema: Json) -> Checker:
        if not isinstance(schema, dict):
            return _refuse if schema is False else _accept
        rules = [make(self, schema) for names, make in _RULES if any(name in schema for name in names)]
        kinds = type_names(schema)
        if kinds:
            return _typed(kinds, rules)
        return rules[0] if len(rules) == 1 else _all_of(rules)

    def resolve(self, schema: Json) -> Json:
        """Return what a `$ref` leads to, a few steps far, else the schema itself."""
        for _ in range(8):
            if not isinstance(schema, dict) or "$ref" not in schema:
                break
            schema = self._defs[str(schema["$ref"]).removeprefix("#/$defs/")]
        return schema

    def reference(self, schema: dict[str, Json]) -> Checker:
        name = str(schema["$ref"]).removeprefix("#/$defs/")

        def check_reference(value: Json, at: str, errors: list[FieldError]) -> None:
            checker = self._shared.get(name)
            if checker is None:
                checker = self._shared[name] = self.compile(self._defs[name])
            checker(value, at, errors)

        return check_reference


def _accept(value: Json, at: str, errors: list[FieldError]) -> None:
    """Accept anything."""


def _refuse(value: Json, at: str, errors: list[FieldError]) -> None:
    errors.append(FieldError(at, "is not permitted here"))


def _all_of(rules: list[Checker]) -> Checker:
    def check_all(value: Json, at: str, errors: list[FieldError]) -> None:
        for rule in rules:
            rule(value, at, errors)

    return check_all


def _typed(kinds: tuple[str, ...], rules: list[Checker]) -> Checker:
    accepted = frozenset[type]().union(*(TYPES[kind][0] for kind in kinds))
    wanted = " or ".join(TYPES[kind][1] for kind in kinds)
    numeric = float in accepted
    only = rules[0] if len(rules) == 1 else None

    def check_type(value: Json, at: str, errors: list[FieldError]) -> None:
        kind = type(value)
        if kind not in accepted:
            errors.append(FieldError(at, f"must be {wanted}, not {show(value)}"))
        elif numeric and kind is float and not isfinite(cast(float, value)):
            errors.append(FieldError(at, "must be a finite number"))
        elif only is not None:
            only(value, at, errors)
        else:
            for rule in rules:
                rule(value, at, errors)

    return check_type


def _enum_rule(compiler: _Compiler, schema: dict[str, Json]) -> Checker:
    return _one_of_values(cast(list[Json], schema["enum"]))


def _const_rule(compiler: _Compiler, schema: dict[str, Json]) -> Checker:
    return _one_of_values([schema["const"]])


def _one_of_values(options: list[Json]) -> Checker:
    keys = frozenset(value_key(option) for option in options)
    texts = [option for option in options if isinstance(option, str)]
    wanted = ("one of " if len(options) > 1 else "") + ", ".join(plain(option) for option in options[:20])

    def check_enum(value: Json, at: str, errors: list[FieldError]) -> None:
        if value_key(value) not in keys:
            close = suggest(value, texts) if isinstance(value, str) else ""
            errors.append(FieldError(at, f"must be {wanted}, not {plain(value)}{close}"))

    return check_enum


def _length_rule(compiler: _Compiler, schema: dict[str, Json]) -> Checker:
    least, most = cast(int, schema.get("minLength", 0)), cast(int | None, schema.get("maxLength"))

    def check_length(value: Json, at: str, errors: list[FieldError]) -> None:
        if isinstance(value, str):
            if len(value) < least:
                errors.append(FieldError(at, f"must have at least {least} characters, not {len(value)}"))
            elif most is not None and len(value) > most:
                errors.append(FieldError(at, f"must have at most {most} characters, not {len(value)}"))

    return check_length


def _pattern_rule(compiler: _Compiler, schema: dict[str, Json]) -> Checker:
    pattern = cast(str, schema["pattern"])
    matches = compile_pattern(pattern)
    examples = schema.get("examples")
    like = f", as {plain(examples[0])} does" if isinstance(examples, list) and examples else ""

    def check_pattern(value: Json, at: str, errors: list[FieldError]) -> None:
        if isinstance(value, str) and not matches(value):
            errors.append(FieldError(at, f"{plain(value)} does not match the pattern `{pattern}`{like}"))

    return check_pattern


def _format_rule(compiler: _Compiler, schema: dict[str, Json]) -> Checker:
    if schema["format"] == "money":
        return _money_rule(schema)
    fits, wanted = FORMATS[cast(str, schema["format"])]

    def check_format(value: Json, at: str, errors: list[FieldError]) -> None:
        if isinstance(value, str) and not fits(value):
            errors.append(FieldError(at, f"must be {wanted}, not {show(value)}"))

    return check_format


_BOUNDS: Final[tuple[tuple[str, str, Callable[[Any, Any], bool]], ...]] = (
    ("minimum", "at least", operator.ge),
    ("exclusiveMinimum", "more than", operator.gt),
    ("maximum", "at most", operator.le),
    ("exclusiveMaximum", "less than", operator.lt),
)


def _money_rule(schema: dict[str, Json]) -> Checker:
    bounds = [
        (words, money_bound(schema[name]), holds, str(schema[name])) for name, words, holds in _BOUNDS if name in schema
    ]
    may_be_negative = "minimum" in schema or "exclusiveMinimum" in schema
    limit = MONEY_UNITS_MAX

    def check_money(value: Json, at: str, errors: list[FieldError]) -> None:
        if not isinstance(value, str):
            return
        found = MONEY.fullmatch(value)
        if found is None:
            errors.append(FieldError(at, f"must be an amount like `12.30` with at most nine places, not {show(value)}"))
        elif found[1] and not may_be_negative:
            errors.append(FieldError(at, f"must not be negative, as {show(value)} is"))
        elif len(value) > 9 and abs(Decimal(value)) > limit:
            errors.append(FieldError(at, f"must be at most {limit}, not {show(value)}"))
        elif bounds:
            amount = Decimal(value)
            for words, bound, holds, written in bounds:
                if not holds(amount, bound):
                    errors.append(FieldError(at, f"must be {words} {written}, not {show(value)}"))

    return check_money


def _number_rule(compiler: _Compiler, schema: dict[str, Json]) -> Checker:
    if schema.get("format") == "money":
        return _accept
    bounds = [(words, cast(float, schema[name]), holds) for name, words, holds in _BOUNDS if name in schema]

    def check_number(value: Json, at: str, errors: list[FieldError]) -> None:
        if type(value) is int or type(value) is float:
            for words, bound, holds in bounds:
                if not holds(value, bound):
                    errors.append(FieldError(at, f"must be {words} {bound}, not {show(value)}"))

    return check_number


def _array_rule(compiler: _Compiler, schema: dict[str, Json]) -> Checker:
    least, most = cast(int, schema.get("minItems", 0)), cast(int | None, schema.get("maxItems"))
    unique = schema.get("uniqueItems") is True
    item = compiler.compile(schema["items"]) if "items" in schema else None

    def check_array(value: Json, at: str, errors: list[FieldError]) -> None:
        if not isinstance(value, list):
            return
        if len(value) < least:
            errors.append(FieldError(at, f"must have at least {least} items, not {len(value)}"))
        elif most is not None and len(value) > most:
            errors.append(FieldError(at, f"must have at most {most} items, not {len(value)}"))
            return
        if item is not None:
            for index, member in enumerate(value):
                item(member, f"{at}/{index}", errors)
        if unique and len({value_key(member) for member in value}) < len(value):
            errors.append(FieldError(at, "must not name anything twice"))

    return check_array


def _object_rule(compiler: _Compiler, schema: dict[str, Json]) -> Checker:
    required = tuple(str(name) for name in cast(list[Json], schema.get("required", [])))
    properties = cast(dict[str, Json], schema.get("properties", {}))
    members = {name: (pointer("", name), compiler.compile(part)) for name, part in properties.items()}
    extra = schema.get("additionalProperties", True)
    other = None if extra is False else compiler.compile(extra)
    names = compiler.compile(schema["propertyNames"]) if "propertyNames" in schema else None
    most = cast(int | None, schema.get("maxProperties"))
    least = cast(int, schema.get("minProperties", 0))

    def check_object(value: Json, at: str, errors: list[FieldError]) -> None:
        if not isinstance(value, dict):
            return
        errors.extend(FieldError(at, f"`{name}` is missing") for name in required if name not in value)
        if len(value) < least or (most is not None and len(value) > most):
            wanted = f"at least {least}" if len(value) < least else f"at most {most}"
            errors.append(FieldError(at, f"must have {wanted} fields, not {len(value)}"))
        for name, member in value.items():
            known = members.get(name)
            if known is not None:
                known[1](member, at + known[0], errors)
            elif other is None:
                errors.append(FieldError(pointer(at, name), f"unknown field `{name[:80]}`{suggest(name, members)}"))
            else:
                if names is not None:
                    names(name, pointer(at, name), errors)
                other(member, pointer(at, name), errors)

    return check_object


def _one_of_rule(compiler: _Compiler, schema: dict[str, Json]) -> Checker:
    return _choice(compiler, cast(list[Json], schema["oneOf"]), exactly_one=True)


def _any_of_rule(compiler: _Compiler, schema: dict[str, Json]) -> Checker:
    return _choice(compiler, cast(list[Json], schema["anyOf"]), exactly_one=False)


def _choice(compiler: _Compiler, parts: list[Json], *, exactly_one: bool) -> Checker:
    choices = [(_accepted(compiler.resolve(part)), compiler.compile(part)) for part in parts]
    one_field = _single_fields(parts)

    def check_choice(value: Json, at: str, errors: list[FieldError]) -> None:
        found: list[list[FieldError]] = []
        for _, checker in choices:
            wrong: list[FieldError] = []
            checker(value, at, wrong)
            found.append(wrong)
        fitting = sum(not wrong for wrong in found)
        if fitting == 1 or (fitting and not exactly_one):
            return
        if one_field:
            errors.append(FieldError(at, f"needs exactly one of {', '.join(f'`{name}`' for name in one_field)}"))
        elif fitting:
            errors.append(FieldError(at, f"fits {fitting} of the forms permitted here, and must fit one"))
        else:
            same_type = [wrong for (kinds, _), wrong in zip(choices, found, strict=True) if type(value) in kinds]
            if same_type:
                errors.extend(same_type[_shortest(same_type)])
            else:
                wanted = " or ".join(
                    dict.fromkeys(TYPES[kind][1] for part in parts for kind in type_names(compiler.resolve(part)))
                )
                errors.append(FieldError(at, f"must be {wanted or 'of another form'}, not {show(value)}"))

    return check_choice


def _shortest(lists: list[list[FieldError]]) -> int:
    return min(range(len(lists)), key=lambda index: len(lists[index]))


def _accepted(part: Json) -> frozenset[type]:
    kinds = type_names(part) or tuple(TYPES)
    return frozenset[type]().union(*(TYPES[kind][0] for kind in kinds))


def _single_fields(parts: list[Json]) -> list[str]:
    """Return the fields of a choice whose every form only requires one field, else nothing."""
    names: list[str] = []
    for part in parts:
        required = part.get("required") if isinstance(part, dict) and len(part) == 1 else None
        if not isinstance(required, list) or len(required) != 1:
            return []
        names.append(str(required[0]))
    return names


_RULES: Final[tuple[tuple[tuple[str, ...], Callable[[_Compiler, dict[str, Json]], Checker]], ...]] = (
    (("$ref",), _Compiler.reference),
    (("enum",), _enum_rule),
    (("const",), _const_rule),
    (("minLength", "maxLength"), _length_rule),
    (("pattern",), _pattern_rule),
    (("format",), _format_rule),
    (("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _number_rule),
    (("items", "minItems", "maxItems", "uniqueItems"), _array_rule),
    (
        ("properties", "required", "additionalProperties", "propertyNames", "minProperties", "maxProperties"),
        _object_rule,
    ),
    (("oneOf",), _one_of_rule),
    (("anyOf",), _any_of_rule),
)
"""The rules by the keywords that call for them, in the order in which they speak."""
