"""Which call of a task a call is: its key, the same on every pass, whatever happened in between.

A key rests on the bytes made here: changing the spelling of arguments or the fields hashed makes every running task
forget what it has already done.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import re
from collections.abc import Sequence
from typing import Final

import msgspec

from aos_sdk.errors import InvalidCall
from aos_sdk.frames import ARGUMENTS_BYTES_MAX, Json


def plain_json(value: object, what: str) -> Json:
    """Return `value` as the plain JSON that a later pass reads: a copy in which tuples are lists.

    Dataclasses become objects, Decimal, UUID and times text, sets sorted lists. Raises `InvalidCall` naming `what` when
    there is no such form, or when a frame cannot carry it: half a surrogate pair, an integer past 64 bits.
    """
    try:
        plain = msgspec.to_builtins(value, str_keys=True, order="deterministic")
        return msgspec.msgpack.decode(msgspec.msgpack.encode(plain))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidCall(f"{what}: not JSON: {_why(error)}", slug="invalid-call") from error


def canonical_json(value: Json, what: str) -> bytes:
    """Return the one spelling of `value`: keys sorted by code point, no white space, UTF-8.

    Takes what `plain_json` returned. Raises `InvalidCall` for NaN, infinity and more than `ARGUMENTS_BYTES_MAX` bytes.
    """
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        spelled = text.encode("utf-8")
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidCall(f"{what}: not JSON: {_why(error)}", slug="invalid-call") from error
    if len(spelled) > ARGUMENTS_BYTES_MAX:
        raise InvalidCall(f"{what}: {len(spelled)} bytes are over the limit of {ARGUMENTS_BYTES_MAX}", slug="too-large")
    return spelled


def arguments_digest(spelled: bytes) -> str:
    """Return the hex SHA-256 of canonical arguments."""
    return hashlib.sha256(spelled).hexdigest()


def call_key(task_id: str, path: Sequence[str], *, kind: str, name: str, digest: str, n: int) -> str:
    """Return the key of a call: hex SHA-256 over the task, the enclosing steps, kind, name, arguments' digest and `n`."""
    spelled = json.dumps([task_id, list(path), kind, name, digest, n], separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(spelled.encode("utf-8", "surrogatepass")).hexdigest()


class Places:
    """The places n = 1, 2, ... that calls alike hold in one pass.

    A call takes the lowest free place: one more than those performed or in flight, unless one between them was given
    back, which is then the place of its retry.
    """

    __slots__ = ("_free", "_next")

    def __init__(self) -> None:
        self._free: list[int] = []
        self._next = 1

    def take(self) -> int:
        """Return the lowest free place and hold it."""
        if self._free:
            return heapq.heappop(self._free)
        self._next += 1
        return self._next - 1

    def give_back(self, n: int) -> None:
        """Free a place: its call failed before any effect, or was refused."""
        heapq.heappush(self._free, n)


_UNSUPPORTED: Final = re.compile(r"Encoding objects of type (.+) is unsupported")


def _why(error: Exception) -> str:
    """Return why a value has no plain form, and what to do instead."""
    said = str(error)
    if found := _UNSUPPORTED.fullmatch(said):
        return f"a `{found[1]}` has no plain form: give a dict, a list, a text, a number, a dataclass or None"
    if "dicts with str-like" in said:
        return "the names of a dict are texts or numbers"
    if "serialize ints" in said:
        return "an integer has at most 64 bits: give larger ones as text"
    if isinstance(error, UnicodeEncodeError):
        return f"a text holds half of a character (`{ascii(error.object[error.start])[1:-1]}`)"
    if isinstance(error, RecursionError):
        return "it nests too deep, or holds itself"
    if "float values" in said:
        return "NaN and infinity are no numbers of JSON: give None, or a text"
    return said
