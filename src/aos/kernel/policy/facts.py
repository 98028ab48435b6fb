"""The facts that a condition or a reason may name: for each path its type and how it is read from an act.

A path is resolved once, when its rule is compiled for a tool; reading never raises and yields `MISSING` for what is not
there or not of its type, which fails the condition that reads it. Money is an int of nanos.

    args.NAME...      typed by the tool's JSON schema; dynamic for acts that are no tool calls
    tool.name|effect|sinks|reversible|result_trust         origin.SINK (or origin["SINK"]): trusted person model untrusted
    agent.name|type|department|risk|chain|owner            request.by: the root of the chain, as `person:NAME`
    budget.left: money; absent where no budget applies     environment
    now.hour|minute|weekday|date: weekday is 1 for Monday to 7 for Sunday (ISO 8601), date is `2026-01-31`
    facts.NAME.path...: what the tool's fact lookup NAME returned, dynamic
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from aos.kernel.acts import Act
from aos.kernel.cel import CelType, check_value
from aos.kernel.errors import AosError, InvalidCondition
from aos.kernel.json import MISSING, Json
from aos.kernel.money import format_amount, parse_amount
from aos.kernel.policy.values import Facts, Origin
from aos.kernel.tools import Tool

Reader: TypeAlias = Callable[[Act, Facts], object]
"""Reads one fact of an act: its value for CEL, or `MISSING`."""

ROOTS: Final = frozenset({"agent", "args", "budget", "environment", "facts", "now", "origin", "request", "tool"})
_SCALARS: Final[Mapping[str, CelType]] = {
    "string": CelType.STRING,
    "integer": CelType.INT,
    "number": CelType.DOUBLE,
    "boolean": CelType.BOOL,
    "object": CelType.MAP,
    "array": CelType.LIST,
}
_LISTS_OF: Final[Mapping[CelType, CelType]] = {
    CelType.STRING: CelType.LIST_OF_STRING,
    CelType.INT: CelType.LIST_OF_INT,
    CelType.DOUBLE: CelType.LIST_OF_DOUBLE,
    CelType.BOOL: CelType.LIST_OF_BOOL,
}
_REFERENCES_MAX: Final = 16


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact, resolved for one tool: its path as people write it, its type, how it is read. `money`: an int of nanos."""

    path: str
    type: CelType
    read: Reader
    money: bool = False


def resolve_fact(path: tuple[str, ...], tool: Tool | None) -> Fact:
    """Return the fact at `path` for acts on `tool`, None for acts that are no tool calls.

    Raises InvalidCondition, naming what exists, for a fact that such an act does not have.
    """
    text = ".".join(path)
    root, rest = path[0], path[1:]
    if root == "environment" and not rest:
        return Fact(text, CelType.STRING, lambda act, facts: facts.environment)
    if root == "args" and rest:
        return _argument(text, rest, tool)
    if tool is not None and root == "origin" and rest:
        return _origin(text, ".".join(rest), tool)
    if tool is not None and root == "facts" and rest:
        return _looked_up(text, rest, tool)
    fixed = _FIXED.get(text)
    if fixed is not None:
        kind, read = fixed
        return Fact(text, kind, read, money=text == "budget.left")
    if tool is not None and text in _OF_TOOL:
        kind, of_tool = _OF_TOOL[text]
        value = of_tool(tool)
        return Fact(text, kind, lambda act, facts: value)
    raise InvalidCondition(f"there is no fact `{text}`; there are {', '.join(_available(tool))}")


_FIXED: Final[Mapping[str, tuple[CelType, Reader]]] = {
    "agent.name": (CelType.STRING, lambda act, facts: facts.subject.name),
    "agent.type": (CelType.STRING, lambda act, facts: facts.subject.type),
    "agent.department": (CelType.STRING, lambda act, facts: facts.subject.department),
    "agent.risk": (CelType.STRING, lambda act, facts: facts.subject.risk),
    "agent.owner": (CelType.STRING, lambda act, facts: facts.subject.owner),
    "agent.chain": (CelType.LIST_OF_STRING, lambda act, facts: list(facts.subject.chain)),
    "request.by": (CelType.STRING, lambda act, facts: str(act.principal.root)),
    "budget.left": (
        CelType.INT,
        lambda act, facts: MISSING if facts.budget_left_nanos is None else facts.budget_left_nanos,
    ),
    "now.hour": (CelType.INT, lambda act, facts: facts.now.hour),
    "now.minute": (CelType.INT, lambda act, facts: facts.now.minute),
    "now.weekday": (CelType.INT, lambda act, facts: facts.now.isoweekday()),
    "now.date": (CelType.STRING, lambda act, facts: facts.now.date().isoformat()),
}
_OF_TOOL: Final[Mapping[str, tuple[CelType, Callable[[Tool], object]]]] = {
    "tool.name": (CelType.STRING, lambda tool: tool.name),
    "tool.effect": (CelType.STRING, lambda tool: tool.effect.value),
    "tool.sinks": (CelType.LIST_OF_STRING, lambda tool: list(tool.sinks)),
    "tool.reversible": (CelType.BOOL, lambda tool: tool.reversible),
    "tool.result_trust": (CelType.STRING, lambda tool: tool.result_trust.value),
}


def _available(tool: Tool | None) -> list[str]:
    """Return the facts that acts on `tool` have, for a message."""
    if tool is None:
        return ["args.NAME", "environment", *_FIXED]
    arguments = [f"args.{name}" for name in _properties(tool.schema)] or ["args.NAME"]
    sinks = [f"origin.{sink}" for sink in tool.sinks]
    lookups = [f"facts.{lookup.name}.NAME" for lookup in tool.lookups]
    return [*arguments, *sinks, *lookups, "environment", *_FIXED, *_OF_TOOL]


# --- arguments ---------------------------------------------------------------------------------------------------


def _argument(text: str, path: tuple[str, ...], tool: Tool | None) -> Fact:
    """Return the argument at `path`, typed by the schema of `tool`."""
    if tool is None:
        return Fact(text, CelType.DYN, _argument_reader(path, CelType.DYN))
    dotted = ".".join(path)
    if dotted in tool.money:
        return Fact(text, CelType.INT, _money_reader(path), money=True)
    inside = [money for money in tool.money if money.startswith(f"{dotted}.")]
    if inside:
        raise InvalidCondition(f"`{text}` holds money: name `args.{inside[0]}` itself")
    kind, money = _typed(text, path, tool.schema)
    if money:
        return Fact(text, CelType.INT, _money_reader(path), money=True)
    return Fact(text, kind, _argument_reader(path, kind))


def _typed(text: str, path: tuple[str, ...], schema: Json) -> tuple[CelType, bool]:
    """Return the type of the argument at `path`, and whether its schema says that it is money."""
    found = schema
    for index, name in enumerate(path):
        found = _dereferenced(found, schema)
        if not isinstance(found, dict) or any(word in found for word in ("anyOf", "oneOf", "allOf")):
            return CelType.DYN, False
        kind = found.get("type", "object" if "properties" in found else None)
        if kind is None or isinstance(kind, list):
            return CelType.DYN, False
        if kind != "object":
            raise InvalidCondition(f"`args.{'.'.join(path[:index])}` is of type {kind} and has no field `{name}`")
        properties = _properties(found)
        if name in properties:
            found = properties[name]
            continue
        extra = found.get("additionalProperties", not properties)
        if extra is False:
            known = ", ".join(sorted(properties)) or "none"
            raise InvalidCondition(f"the tool takes no argument `{text}`; there are: {known}")
        found = extra if isinstance(extra, dict) else {}
    return _type_of(_dereferenced(found, schema), schema)


def _type_of(schema: Json, root: Json) -> tuple[CelType, bool]:
    """Return the type that one schema describes; dynamic when it leaves the type open."""
    if not isinstance(schema, dict):
        return CelType.DYN, False
    kind = schema.get("type")
    if not isinstance(kind, str):
        return CelType.DYN, False
    if kind == "string" and schema.get("format") == "money":
        return CelType.INT, True
    found = _SCALARS.get(kind, CelType.DYN)
    if found is CelType.LIST and "items" in schema:
        item, _ = _type_of(_dereferenced(schema["items"], root), root)
        return _LISTS_OF.get(item, CelType.LIST), False
    return found, False


def _properties(schema: Json) -> dict[str, Json]:
    found = schema.get("properties") if isinstance(schema, dict) else None
    return found if isinstance(found, dict) else {}


def _dereferenced(schema: Json, root: Json) -> Json:
    """Return what a local `$ref` points at; a reference that leads nowhere, or in a circle, leaves the type open."""
    for _ in range(_REFERENCES_MAX):
        reference = schema.get("$ref") if isinstance(schema, dict) else None
        if not isinstance(reference, str):
            return schema
        schema = root
        for name in reference.removeprefix("#/").split("/"):
            schema = schema.get(name) if isinstance(schema, dict) else None
    return None


def _argument_reader(path: tuple[str, ...], kind: CelType) -> Reader:
    """Return the reader of an argument; containers are bounded before CEL sees them, texts with NUL are not shown to it."""
    first = path[0]

    def read_one(act: Act, facts: Facts) -> object:
        arguments = act.arguments
        value = arguments.get(first, MISSING) if isinstance(arguments, dict) else MISSING
        return _safe(value, kind)

    def read_deep(act: Act, facts: Facts) -> object:
        return _safe(_walk(act.arguments, path), kind)

    return read_one if len(path) == 1 else read_deep


def _money_reader(path: tuple[str, ...]) -> Reader:
    """Return the reader of a money argument: nanos, `MISSING` when it is no decimal string within the limit."""

    def read(act: Act, facts: Facts) -> object:
        value = _walk(act.arguments, path)
        return nanos_of(value) if isinstance(value, str) else MISSING

    return read


_SCALES: Final = tuple(10 ** (9 - places) for places in range(10))


def nanos_of(text: str) -> object:
    """Return the nanos of a decimal string as `parse_amount` does, `MISSING` when it is none; plain ones take a short way."""
    if not text.isascii() or not text[-1:].isdigit():
        return MISSING
    whole, _, places = text.partition(".")
    digits = whole + places
    if digits.isdigit() and 0 < len(whole) <= 9 and len(places) <= 9:
        return int(digits) * _SCALES[len(places)]
    try:
        return parse_amount(text)
    except AosError:
        return MISSING


def _walk(value: Json, path: tuple[str, ...]) -> object:
    found: object = value
    for name in path:
        found = found.get(name, MISSING) if isinstance(found, dict) else MISSING
    return found


_PYTHON_TYPES: Final[Mapping[CelType, tuple[type, ...]]] = {
    CelType.STRING: (str,),
    CelType.INT: (int,),
    CelType.DOUBLE: (float, int),
    CelType.BOOL: (bool,),
}


def _safe(value: object, kind: CelType) -> object:
    """Return `value` when CEL may see it as `kind`, else `MISSING`.

    The compiler's types hold only what is truly of them: a bool is no number here, and a text is cut at no NUL.
    """
    expected = _PYTHON_TYPES.get(kind)
    if expected is not None:
        if type(value) not in expected:
            return MISSING
        if kind is CelType.STRING and "\0" in value:  # type: ignore[operator]
            return MISSING
        if kind is CelType.DOUBLE and not abs(value) < float("inf"):  # type: ignore[arg-type]
            return MISSING
        return value
    try:
        check_value(value, "fact")  # type: ignore[arg-type]
    except AosError:
        return MISSING
    return value


# --- origins and lookups -------------------------------------------------------------------------------------------


def _origin(text: str, sink: str, tool: Tool) -> Fact:
    """Return the origin of a declared sink.

    A sink without a computed origin is `model` outside a run, where there are none, and `untrusted` inside one.
    """
    if sink not in tool.sinks:
        raise InvalidCondition(f"`{sink}` is no sink of the tool; its sinks: {', '.join(tool.sinks) or 'none'}")
    path = tuple(sink.split("."))

    def read(act: Act, facts: Facts) -> object:
        origin = facts.origins.get(sink)
        if origin is not None:
            return origin.value
        if _walk(act.arguments, path) is MISSING:
            return MISSING
        return (Origin.MODEL if act.principal.claim is None else Origin.UNTRUSTED).value

    return Fact(text, CelType.STRING, read)


def _looked_up(text: str, path: tuple[str, ...], tool: Tool) -> Fact:
    """Return a path in what a fact lookup of the tool returned."""
    name, rest = path[0], path[1:]
    if name not in {lookup.name for lookup in tool.lookups}:
        known = ", ".join(lookup.name for lookup in tool.lookups) or "none"
        raise InvalidCondition(f"the tool looks up no fact `{name}`; its lookups: {known}")

    def read(act: Act, facts: Facts) -> object:
        value = facts.looked_up.get(name, MISSING)
        return MISSING if value is MISSING else _safe(_walk(value, rest), CelType.DYN)

    return Fact(text, CelType.DYN, read)


def shown(fact: Fact, value: object) -> Json:
    """Return a fact's value as people and records see it: money as a decimal string."""
    if fact.money and isinstance(value, int):
        return format_amount(value)
    return value  # type: ignore[return-value]
