"""The small languages inside a manifest's texts: durations, the names in `${...}` values, and paths into arguments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from aos.kernel.errors import InvalidRequest
from aos.kernel.json import Json
from aos.kernel.manifest.schema import DURATION_PATTERN
from aos.kernel.schema import pointer

UNIT_SECONDS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3_600, "d": 86_400}

DURATION_SECONDS_MAX: Final = 366 * 86_400
"""The longest duration that is read: a year."""

_DURATION: Final = re.compile(DURATION_PATTERN.replace("$", r"\Z"), re.ASCII)
_TEXT: Final = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)
_ROOT: Final = re.compile(r"(?<![\w.])([A-Za-z_]\w*)(\s*\.\s*output\b)?(?!\s*\()", re.ASCII)


def parse_duration(text: str) -> float:
    """Return the seconds of `10m`, `4h`, `500ms`; raise InvalidRequest otherwise."""
    found = _DURATION.match(text)
    if not found:
        raise InvalidRequest(f"duration `{text[:40]}` must read like `10m`: a whole number and ms, s, m, h or d")
    seconds = int(text.removesuffix(found[1])) * UNIT_SECONDS[found[1]]
    if seconds > DURATION_SECONDS_MAX:
        raise InvalidRequest(f"duration `{text[:40]}` is over the limit of 366d")
    return seconds


def texts_in(value: Json, at: str = "") -> Iterator[tuple[str, str]]:
    """Yield each text of a JSON value that holds a `${`, with the pointer to it; keys are literal."""
    if isinstance(value, dict):
        for name, member in value.items():
            yield from texts_in(member, pointer(at, name))
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from texts_in(member, pointer(at, index))
    elif isinstance(value, str) and "${" in value:
        yield at, value


def roots_of(expression: str) -> Iterator[tuple[str, bool]]:
    """Yield each name that an expression begins a path with, and whether `.output` follows; texts in it are passed over."""
    for found in _ROOT.finditer(_TEXT.sub('""', expression)):
        yield found[1], found[2] is not None


def money_paths(schema: Json, at: str = "") -> Iterator[str]:
    """Yield the dotted path of each argument whose schema says `format: money`, lists left out."""
    if isinstance(schema, dict):
        if schema.get("format") == "money" and at:
            yield at
        properties = schema.get("properties")
        if isinstance(properties, dict):
            for name, part in properties.items():
                yield from money_paths(part, f"{at}.{name}" if at else name)


def path_in_schema(schema: Json, path: str) -> bool:
    """Say whether a dotted path leads to something that the schema of the arguments names."""
    part: Json = schema
    for name in path.split("."):
        properties = part.get("properties") if isinstance(part, dict) else None
        if not isinstance(properties, dict) or name not in properties:
            return False
        part = properties[name]
    return True
