"""What a database's values become in JSON: exact numbers and times as text, and rows until there are enough."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Final

import msgspec

from aos.kernel.json import Json

_EXACT: Final = 2**53
"""Beyond it readers of JSON lose figures."""


class TooWide(Exception):
    """Two columns of an answer have one name."""


def json_of(value: object) -> Json:
    """Return a value of a database as JSON: what JSON cannot carry exactly is text."""
    match value:
        case None | bool() | str():
            return value
        case int():
            return value if -_EXACT < value < _EXACT else str(value)
        case float():
            return value if math.isfinite(value) else str(value)
        case Decimal():
            return format(value, "f") if value.is_finite() else str(value)
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case bytes() | bytearray() | memoryview():
            return "\\x" + bytes(value).hex()
        case list() | tuple():
            return [json_of(each) for each in value]
        case dict():
            return {str(name): json_of(each) for name, each in value.items()}
        case _:
            return str(value)


class Rows:
    """The rows of one answer as objects, at most so many and so many bytes."""

    def __init__(self, columns: Sequence[str], *, rows_max: int, bytes_max: int) -> None:
        """Raise TooWide where two columns have one name."""
        if len(set(columns)) < len(columns):
            twice = next(each for each in columns if columns.count(each) > 1)
            raise TooWide(f"two columns are called `{twice[:80]}`: give each a name with `as`")
        self._columns = tuple(columns)
        self._rows_max = rows_max
        self._left = bytes_max
        self.rows: list[Json] = []
        self.truncated = False

    def add(self, row: Sequence[object]) -> bool:
        """Take a row if there is room for it, and say whether there was."""
        found: Json = {name: json_of(value) for name, value in zip(self._columns, row, strict=True)}
        size = len(msgspec.json.encode(found))
        if len(self.rows) >= self._rows_max or size > self._left:
            self.truncated = True
            return False
        self._left -= size
        self.rows.append(found)
        return True
