"""Where the members of a JSON object stand in its bytes.

The values are measured by msgspec and only the names, commas and colons between them are walked here, so that finding the
members costs some microseconds whatever the object's size. A name that stands twice is refused: two readers of one body
must not see two requests.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from aos.kernel.dialects.values import Span
from aos.kernel.errors import FieldError, InvalidRequest

_DECODER: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_OPEN: Final = re.compile(rb"[ \t\r\n]*\{[ \t\r\n]*")
# JSON was checked before: a name needs no more than its end to be found.
_FIRST: Final = re.compile(rb'("[^"\\]*(?:\\.[^"\\]*)*")[ \t\r\n]*:[ \t\r\n]*', re.DOTALL)
_NEXT: Final = re.compile(rb'[ \t\r\n]*,[ \t\r\n]*("[^"\\]*(?:\\.[^"\\]*)*")[ \t\r\n]*:[ \t\r\n]*', re.DOTALL)
_CLOSE: Final = re.compile(rb"[ \t\r\n]*\}[ \t\r\n]*\Z")


def find_members(body: bytes) -> dict[str, Span]:
    """Return where each member of the object `body` stands, by its name and in its order.

    Raises:
        InvalidRequest: `body` is not one JSON object, or names a member twice.
    """
    try:
        values = _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise not_json(error) from error
    opened = _OPEN.match(body)
    spans: dict[str, Span] = {}
    position = opened.end() if opened else 0
    name_at = _FIRST.match
    for name, raw in values.items():
        named = name_at(body, position)
        value = bytes(raw)
        # msgspec keeps the last of two values under one name: then what stands here is not what it kept, or more is left.
        if named is None or not body.startswith(value, named.end()):
            raise _twice()
        position = named.end() + len(value)
        spans[name] = (named.start(1), named.end(), position)
        name_at = _NEXT.match
    if _CLOSE.match(body, position) is None:
        raise _twice()
    return spans


def not_json(error: Exception) -> InvalidRequest:
    """Return the refusal of a body that msgspec could not read, with what it found."""
    what = "it nests too deeply" if isinstance(error, RecursionError) else str(error)
    what = what if what[:2].isupper() else f"{what[:1].lower()}{what[1:]}"
    return InvalidRequest(f"the body is not a JSON object: {what}")


def _twice() -> InvalidRequest:
    detail = "the body names a member twice at its top level: send each name once"
    return InvalidRequest(detail, errors=[FieldError("", detail)])
