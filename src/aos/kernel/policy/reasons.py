"""Reasons: the sentence that tells a person why, rendered from the facts of the act.

`payment of {args.amount} {args.currency} is over the limit of 1000` names facts in braces. Rendering never raises: a
placeholder that names no fact, or a fact that this act lacks, stays visible as it is written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from aos.kernel.errors import InvalidCondition
from aos.kernel.json import MISSING, Json, Missing, canonical_json
from aos.kernel.policy.facts import Fact, resolve_fact
from aos.kernel.tools import Tool

VALUE_LENGTH_MAX: Final = 200
"""Characters of one value shown in a reason; longer ones end in an ellipsis, so that a reason stays readable."""
_PLACEHOLDER: Final = re.compile(r"\{([A-Za-z_][\w-]*(?:\.[\w-]+)*)\}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")

Part: TypeAlias = str | Fact


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason's text and facts in order; `constant` is the whole text where it names no fact."""

    parts: tuple[Part, ...]
    constant: str | None

    @property
    def facts(self) -> tuple[Fact, ...]:
        """Return the facts it names."""
        return tuple(part for part in self.parts if isinstance(part, Fact))

    def render(self, shown: Mapping[str, Json]) -> str:
        """Return the sentence on facts as people see them, by path. Never raises; shows no control characters."""
        if self.constant is not None:
            return self.constant
        return "".join([part if isinstance(part, str) else _render(part.path, shown) for part in self.parts])


def compile_reason(text: str, tool: Tool | None) -> Reason:
    """Return the reason with each placeholder resolved for acts on `tool`; an unknown one is kept as text."""
    parts: list[Part] = []
    at = 0
    for match in _PLACEHOLDER.finditer(text):
        try:
            fact = resolve_fact(tuple(match.group(1).split(".")), tool)
        except InvalidCondition:
            continue
        if match.start() > at:
            parts.append(text[at : match.start()])
        parts.append(fact)
        at = match.end()
    if not parts:
        return Reason((text,), text)
    if at < len(text):
        parts.append(text[at:])
    return Reason(tuple(parts), None)


def _render(path: str, shown: Mapping[str, Json]) -> str:
    value: Json | Missing = shown.get(path, MISSING)
    if value is MISSING:
        return f"{{{path}}}"
    text = _plain(value)
    if not text.isprintable():
        text = _CONTROL.sub(" ", text)
    return text if len(text) <= VALUE_LENGTH_MAX else f"{text[: VALUE_LENGTH_MAX - 1]}…"


def _plain(value: Json) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return canonical_json(value).decode("utf-8", "replace")
