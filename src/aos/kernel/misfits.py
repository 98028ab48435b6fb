"""What is wrong with bytes that were to be JSON of a certain form, in the words that every other error has.

The decoder's own words ("Expected `int`, got `str` - at `$.x`") are of use to who wrote the decoder, not to who wrote the bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

_TYPES: Final = {
    "array": "a list",
    "bool": "true or false",
    "datetime": "a time",
    "float": "a number",
    "int": "an integer",
    "null": "null",
    "object": "an object",
    "str": "a text",
    "uuid": "a UUID",
}
_AT: Final = re.compile(r" - at (`key` in )?`\$([^`]*)`$")
_SHAPES: Final[tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...]] = (
    (re.compile(r"Expected `([^`]*)`, got `([^`]*)`"), lambda m: f"must be {_types(m[1])}, not {_types(m[2])}"),
    (re.compile(r"Expected `([^`]*)` matching regex '(.*)'"), lambda m: f"must be {_types(m[1])} of the form `{m[2]}`"),
    (re.compile(r"Expected `([^`]*)` (.*)"), lambda m: f"must be {_types(m[1])} {m[2]}"),
    (re.compile(r"Invalid UUID"), lambda _: "must be a UUID"),
    (re.compile(r"Invalid RFC3339 encoded datetime"), lambda _: "must be a time as RFC 3339 writes it"),
    (re.compile(r"Invalid (?:enum )?value '?(.*?)'?"), lambda m: f"cannot be `{m[1]}`"),
    (re.compile(r"Number out of range"), lambda _: "is a number out of range"),
)
_NAMED: Final = re.compile(r"Object (missing required|contains unknown) field `([^`]*)`")
_MALFORMED: Final = re.compile(r"JSON is malformed: (.*) \(byte (\d+)\)")


def misfit_text(error: Exception) -> str:
    """Return what a decoder of JSON complains about: `` `/x` must be an integer, not a text ``.

    Lower case and without a full stop, to follow a colon; at most 200 characters.
    """
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is not UTF-8"
    if isinstance(error, RecursionError):
        return "it nests too deep"
    return _told(str(error))[:200]


def _told(said: str) -> str:
    at = _AT.search(said)
    what = said[: at.start()] if at else said
    pointer = re.sub(r"\[(\d+)\]|\.", lambda m: f"/{m[1] or ''}", at[2].replace("[...]", "")) if at else ""
    if named := _NAMED.fullmatch(what):
        ends = "is missing" if named[1].startswith("missing") else "is not known here"
        return f"`{pointer}/{named[2]}` {ends}"
    if malformed := _MALFORMED.fullmatch(what):
        return f"{malformed[1]} at byte {malformed[2]}"
    if what == "Input data was truncated":
        return "it ends too early"
    member = at is not None and at[2].endswith("[...]")
    whole = f"`{pointer}`" if pointer else "it"
    subject = f"a name in {whole}" if at and at[1] else f"a value in {whole}" if member else whole
    for shape, tell in _SHAPES:
        if found := shape.fullmatch(what):
            return f"{subject} {tell(found)}"
    return f"{subject}: {what[:1].lower()}{what[1:]}" if at else f"{what[:1].lower()}{what[1:]}"


def _types(written: str) -> str:
    """Return the types that the decoder writes as `uuid | null`."""
    return " or ".join(_TYPES.get(each, f"`{each}`") for each in written.split(" | "))
