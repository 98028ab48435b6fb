"""How an act that was performed is undone: by its tool's compensating tool, with arguments made of the act's own.

A compensation is a template over `args`, what the act was given, and `output`, what came back. It is checked when its tool
is registered, against the schemas of both tools; what came back has no schema and is read when it is there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from aos.kernel.errors import AosError, FieldError
from aos.kernel.json import Json
from aos.kernel.schema import check, pointer
from aos.kernel.tools import Compensation, Effect
from aos.kernel.workflow.templates import expressions_of, names_read, render

ARGS: Final = "args"
OUTPUT: Final = "output"
_NAMES: Final = frozenset({ARGS, OUTPUT})
_READ_OF_ARGS: Final = re.compile(r"(?<![.\w])args\.([A-Za-z_]\w*)(?!\w*\()")


def undo_arguments(compensation: Compensation, args: Json, output: Json) -> Json:
    """Return what the compensating tool is called with; raise InvalidCondition where a template has no value."""
    return render(dict(compensation.arguments), {ARGS: args, OUTPUT: output})


def compensation_problems(
    compensation: Compensation, *, schema: Json, undoing_effect: Effect, undoing_schema: Json, at: str
) -> Iterator[FieldError]:
    """Yield what is wrong with a compensation that stands at pointer `at`.

    `schema` is that of the act's arguments, `undoing_schema` that of the compensating tool's.
    """
    if undoing_effect is Effect.READ:
        yield FieldError(pointer(at, "tool"), f"`{compensation.tool}` only reads: what reads undoes nothing")
    given = pointer(at, "arguments")
    for name, template in compensation.arguments.items():
        place = pointer(given, name)
        yield from _template_problems(template, schema, place)
        wanted = _property(undoing_schema, name)
        if wanted is None:
            if _is_closed(undoing_schema):
                yield FieldError(place, f"`{name}` is not an argument of `{compensation.tool}`")
        elif not list(expressions_of(template)):
            yield from check(template, wanted, place)
    required = undoing_schema.get("required") if isinstance(undoing_schema, dict) else None
    for needed in required if isinstance(required, list) else ():
        if needed not in compensation.arguments:
            yield FieldError(at, f"`{compensation.tool}` needs the argument `{needed}`")


def _template_problems(template: Json, schema: Json, at: str) -> Iterator[FieldError]:
    try:
        names_read(template, (), also=_NAMES)
    except AosError as error:
        yield FieldError(at, f"{error.detail}; `args` and `output` of the call may be read")
        return
    for text in expressions_of(template):
        for name in _READ_OF_ARGS.findall(text):
            if _is_closed(schema) and _property(schema, name) is None:
                yield FieldError(at, f"`args.{name}` is not an argument of the tool")


def _property(schema: Json, name: str) -> Json:
    properties = schema.get("properties") if isinstance(schema, dict) else None
    return properties.get(name) if isinstance(properties, dict) else None


def _is_closed(schema: Json) -> bool:
    return isinstance(schema, dict) and schema.get("additionalProperties") is False
