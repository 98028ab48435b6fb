"""Canonical JSON bytes (RFC 8785) of the values that records hold.

Only the subset that needs no number formatting is admitted: strings, booleans, null, integers that every JSON reader
keeps exact, lists and objects with ASCII keys. For it the canonical form is: no white space, keys sorted, UTF-8, the
shortest escapes. Money goes in as a string of digits, since nano-units pass 2**53 at nine million.
Whatever is outside the subset is refused, never rounded: two readers must never hash the same value differently.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from aos.kernel.errors import FieldError, InvalidRequest

INTEGER_MAX: Final = 2**53 - 1
"""The largest integer that a reader with 64-bit floats keeps exact (RFC 8785, appendix D)."""

DEPTH_MAX: Final = 32
"""How deep lists and objects may nest."""

_encode = msgspec.json.Encoder(order="deterministic").encode


def canonical_bytes(value: object) -> bytes:
    """Return the canonical JSON bytes of `value` (RFC 8785, without floats).

    Admits str, StrEnum, int within +-(2**53 - 1), bool, None, list, tuple and dict with ASCII keys, nested at most
    `DEPTH_MAX` deep. Raises `InvalidRequest` with a JSON pointer to the first part outside that.
    """
    _check(value, "", depth=0)
    try:
        return _encode(value)
    except UnicodeEncodeError as error:
        raise InvalidRequest("a string holds half of a surrogate pair, which UTF-8 cannot write") from error


def _check(value: object, pointer: str, *, depth: int) -> None:
    """Raise unless `value` and all it holds are in the subset."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return
    if kind is int:
        if not -INTEGER_MAX <= value <= INTEGER_MAX:  # type: ignore[operator]
            raise _refused(pointer, f"the integer `{value}` is beyond 2**53 - 1; write it as a string")
    elif kind is dict or kind is list or kind is tuple:
        if depth >= DEPTH_MAX:
            raise _refused(pointer, f"the value nests deeper than {DEPTH_MAX}")
        if kind is dict:
            _check_members(value, pointer, depth=depth)  # type: ignore[arg-type]
        else:
            for index, item in enumerate(value):  # type: ignore[arg-type, var-annotated]
                _check(item, f"{pointer}/{index}", depth=depth + 1)
    elif kind is float:
        raise _refused(pointer, f"the float `{value}` has no exact form here; use an integer or a string")
    elif not isinstance(value, StrEnum):
        raise _refused(pointer, f"a value of type `{kind.__name__}` is not JSON")


def _check_members(members: dict[object, object], pointer: str, *, depth: int) -> None:
    for key, item in members.items():
        # In ASCII the order by UTF-16 units, which the RFC asks for, is the order by bytes, which the encoder gives.
        if type(key) is not str or not key.isascii():
            raise _refused(pointer, f"the key `{key}` is not an ASCII string")
        _check(item, f"{pointer}/{key}", depth=depth + 1)


def _refused(pointer: str, detail: str) -> InvalidRequest:
    return InvalidRequest(f"{detail}, at `{pointer}`", errors=[FieldError(pointer, detail)])
