"""Reading the fields of a request that is translated: typed, with the pointer of what does not fit.

Nothing is passed over in silence: a field that is not known here, and not harmless at its value, is refused.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import msgspec

from aos.kernel.dialects.read import refuse_field
from aos.kernel.dialects.translate.neutral import Image
from aos.kernel.errors import InvalidRequest
from aos.kernel.json import Json


def cannot_carry(pointer: str, why: str = "the model that was chosen has no such setting") -> InvalidRequest:
    """Return the refusal of what the other dialect cannot say."""
    return refuse_field(pointer, f"{why}: leave it out, or name a model that speaks this dialect")


def refuse_others(
    read: Mapping[str, Json],
    pointer: str,
    *,
    known: Collection[str],
    harmless: Mapping[str, Sequence[Json]] | None = None,
) -> None:
    """Refuse every field that is neither known nor null, nor at a value that stands for its absence."""
    for name, value in read.items():
        if value is None or name in known:
            continue
        if harmless is not None and name in harmless and any(value == each for each in harmless[name]):
            continue
        raise cannot_carry(f"{pointer}/{name}")


def object_at(value: Json, pointer: str) -> dict[str, Json]:
    """Return an object; raise InvalidRequest for anything else."""
    if not isinstance(value, dict):
        raise refuse_field(pointer, "expected an object")
    return value


def list_at(value: Json, pointer: str) -> list[Json]:
    """Return a list, empty for null; raise InvalidRequest for anything else."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise refuse_field(pointer, "expected a list")
    return value


def text_at(read: Mapping[str, Json], name: str, pointer: str, *, default: str | None = None) -> str:
    """Return a text; raise InvalidRequest where it is none, or missing without a default."""
    value = read.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise refuse_field(f"{pointer}/{name}", "expected a text" if value is not None else "it is required")
    return value


def number_at(read: Mapping[str, Json], name: str) -> float | None:
    """Return a number of the request itself, or None where it is not given."""
    value = read.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise refuse_field(f"/{name}", "expected a number")
    return value


def flag_at(read: Mapping[str, Json], name: str, pointer: str = "") -> bool | None:
    """Return a yes or no, or None where it is not given."""
    value = read.get(name)
    if value is not None and not isinstance(value, bool):
        raise refuse_field(f"{pointer}/{name}", "expected true or false")
    return value


def arguments_at(read: Mapping[str, Json], name: str, pointer: str) -> str:
    """Return the arguments of a call as the JSON text of an object; an empty text is an empty object."""
    text = text_at(read, name, pointer, default="")
    if parse_arguments(text) is None:
        raise refuse_field(f"{pointer}/{name}", "expected the JSON text of an object")
    return text if text.strip() else "{}"


def parse_arguments(text: str) -> dict[str, Json] | None:
    """Return the object that a call's JSON text stands for, an empty one for no text, None where it is no object."""
    if not text.strip():
        return {}
    try:
        read = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
    return read if isinstance(read, dict) else None


def image_of(url: str, pointer: str) -> Image:
    """Return a picture named by an address or by a `data:` URL of base64 (RFC 2397)."""
    if not url.startswith("data:"):
        return Image(url=url)
    head, comma, data = url[5:].partition(",")
    if not comma or not head.endswith(";base64"):
        raise refuse_field(pointer, "expected an address, or `data:image/...;base64,...`")
    return Image(media_type=head.removesuffix(";base64").partition(";")[0], data=data)


def encode(value: object) -> bytes:
    """Return a value as compact JSON."""
    return msgspec.json.encode(value)


def encode_text(value: object) -> str:
    """Return a value as compact JSON text."""
    return msgspec.json.encode(value).decode("utf-8")
