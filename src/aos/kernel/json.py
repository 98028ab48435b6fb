"""A user's JSON: typed `Json`, opaque to AOS and read only through declared paths.

Reading never guesses: a path that is not there is `MISSING`, never None, so that a null differs from an absence.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    Json: TypeAlias = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
else:
    Json = Any  # msgspec reads annotations when it converts, and knows no recursive alias


class Missing(Enum):
    """The type of `MISSING`: what a path that leads nowhere yields."""

    MISSING = "missing"


MISSING: Final = Missing.MISSING


def read_path(value: Json, path: str) -> Json | Missing:
    """Return what stands at a dotted `path` (`invoice.total`), or `MISSING`; an empty path is the value itself."""
    found: Json = value
    for name in path.split(".") if path else ():
        if not isinstance(found, Mapping) or name not in found:
            return MISSING
        found = found[name]
    return found


def depth(value: Json, *, at_most: int) -> int:
    """Return how deeply `value` nests, counting at most `at_most + 1` levels; iterative, so depth cannot crash it."""
    level: list[Json] = [value]
    for counted in range(at_most + 2):
        below: list[Json] = []
        for item in level:
            if isinstance(item, dict):
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
        if not below:
            return counted
        level = below
    return at_most + 1


def canonical_json(value: Json) -> bytes:
    """Return the one spelling of `value`: keys sorted by code point, no white space, UTF-8.

    Equal values give equal bytes in every process and release; digests of arguments and call keys rest on it.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode(
        "utf-8", "surrogatepass"
    )
