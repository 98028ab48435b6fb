"""Server-sent events cut out of a stream of bytes, wherever the network cut it (WHATWG HTML, 9.2).

An event ends with a blank line; lines end with LF, CRLF or CR. The bytes of an event are its own, blank line included, so
that what is passed on unchanged is unchanged. Memory is bounded: an event past the limit is a broken form.
"""

from __future__ import annotations

import re
from typing import Final

EVENT_BYTES_MAX: Final = 4 * 1_048_576
"""Largest event. Most have some hundred bytes; the last of a responses stream repeats request and answer whole."""

_BLANK: Final = re.compile(rb"(?>\r\n|\r|\n){2}")
_LINE: Final = re.compile(rb"\r\n|\r|\n")
_BOM: Final = b"\xef\xbb\xbf"


class EventTooLarge(ValueError):
    """An event went past EVENT_BYTES_MAX without its end."""


class Cutter:
    """Collects bytes until an event is whole; keeps at most one event that is not."""

    __slots__ = ("_limit", "_rest", "_searched")

    def __init__(self, *, limit: int = EVENT_BYTES_MAX) -> None:
        self._limit = limit
        self._rest = bytearray()
        self._searched = 0

    def cut(self, data: bytes) -> tuple[bytes, list[int]]:
        """Take what came and return bytes of whole events with the end of each; the rest is kept.

        Raises:
            EventTooLarge: the event under way is past the limit.
        """
        if self._rest:
            self._rest += data
            if not self._may_end():
                return b"", []
            data = bytes(self._rest)
            self._rest.clear()
        ends = _find_ends(data)
        last = ends[-1] if ends else 0
        if last != len(data):
            self._keep(data[last:] if last else data)
            data = data[:last]
        return data, ends

    def rest(self) -> bytes:
        """Return and forget what is left of an event whose end did not come."""
        left = bytes(self._rest)
        self._rest.clear()
        return left

    def _keep(self, data: bytes) -> None:
        if len(data) > self._limit:
            raise EventTooLarge(f"an event of the stream is over {self._limit} bytes")
        self._rest += data
        self._searched = max(0, len(data) - 3)

    def _may_end(self) -> bool:
        """Tell whether the event under way may have ended, looking only at what is new."""
        rest = self._rest
        if rest.find(b"\n\n", self._searched) >= 0 or _BLANK.search(rest, self._searched):
            return True
        self._searched = max(0, len(rest) - 3)
        if len(rest) > self._limit:
            raise EventTooLarge(f"an event of the stream is over {self._limit} bytes")
        return False


def _find_ends(data: bytes) -> list[int]:
    """Return where each whole event ends. A CR at the very end may be half of CRLF: its event is not over yet."""
    ends: list[int] = []
    if b"\r" not in data:
        position = data.find(b"\n\n")
        while position >= 0:
            ends.append(position + 2)
            position = data.find(b"\n\n", position + 2)
        return ends
    whole = len(data) - 1 if data.endswith(b"\r") else len(data)
    return [found.end() for found in _BLANK.finditer(data, 0, whole)]


def data_of(event: bytes) -> bytes:
    """Return the data of one event, its lines joined by LF; empty where it has none (a comment, a heartbeat)."""
    if event.startswith(b"data: ") and event.find(b"\n", 6) == len(event) - 2 and b"\r" not in event:
        return event[6:-2]
    lines = [line[5:] for line in _LINE.split(event.removeprefix(_BOM)) if line.startswith(b"data:")]
    return b"\n".join([line.removeprefix(b" ") for line in lines])
