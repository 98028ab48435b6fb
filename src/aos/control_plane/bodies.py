"""Reads what a request carries: a JSON body within its limits, and query parameters that are known and of their type."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from django.http import HttpRequest

from aos.kernel.errors import FieldError, InvalidRequest, NotFound, TooLarge, UnsupportedMediaType
from aos.kernel.json import Json, depth
from aos.kernel.json_text import suggest
from aos.kernel.limits import BODY_BYTES_MAX, PAGE_ITEMS_DEFAULT
from aos.kernel.misfits import misfit_text
from aos.kernel.schema import check, pointer
from aos.operations.documents import refuse_fields
from aos.operations.idempotency import check_key
from aos.operations.pages import PageQuery, refuse

DEPTH_MAX: Final = 64
_JSON = re.compile(r"application/(?:[a-z0-9.+-]+\+)?json", re.IGNORECASE)

Fields = dict[str, Json]
Reader = Callable[[str, str], Any]
"""Reads a query parameter: its name and its text to a value; raises InvalidRequest."""


def read_json(request: HttpRequest) -> Json:
    """Return the body's JSON value.

    Raises UnsupportedMediaType, TooLarge, or InvalidRequest for what is not JSON in UTF-8.
    """
    kind = request.headers.get("Content-Type", "").partition(";")[0].strip()
    if not _JSON.fullmatch(kind):
        raise UnsupportedMediaType(f"send the body as `application/json`, not `{kind[:80]}`")
    data = _read_bytes(request)
    try:
        data.decode("utf-8")
        value: Json = msgspec.json.decode(data)
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"the body is not UTF-8: byte {error.start} cannot be read") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidRequest(f"the body is not JSON: {misfit_text(error)}") from error
    if depth(value, at_most=DEPTH_MAX) > DEPTH_MAX:
        raise InvalidRequest(f"the body nests more than {DEPTH_MAX} deep")
    if b"\\u0000" in data:
        _refuse_nul(value, "")
    return value


def read_fields(request: HttpRequest, schema: Json = None) -> Fields:
    """Return the body's object, held against a schema where one is given; raise InvalidRequest with every pointer."""
    value = read_json(request)
    if not isinstance(value, dict):
        raise InvalidRequest("the body must be a JSON object", errors=[FieldError("", "must be an object")])
    errors = check(value, schema) if schema is not None else []
    if errors:
        raise refuse_fields(errors)
    return value


def read_key(request: HttpRequest) -> str | None:
    """Return the Idempotency-Key; raise InvalidRequest where it is empty, too long or not printable."""
    key = request.headers.get("Idempotency-Key")
    if key is not None:
        check_key(key)
    return key


def _read_bytes(request: HttpRequest) -> bytes:
    length = request.META.get("CONTENT_LENGTH") or ""
    if length.isdigit() and int(length) > BODY_BYTES_MAX:
        raise _too_large()
    if not length and "chunked" in request.headers.get("Transfer-Encoding", ""):
        # Django reads nothing without a length; a server that ends the input itself says so.
        data: bytes = request.META["wsgi.input"].read(BODY_BYTES_MAX + 1)
    else:
        data = request.read(BODY_BYTES_MAX + 1)
    if len(data) > BODY_BYTES_MAX:
        raise _too_large()
    return data


def _too_large() -> TooLarge:
    return TooLarge(f"the body has more than {BODY_BYTES_MAX} bytes")


def _refuse_nul(value: Json, at: str) -> None:
    """Raise InvalidRequest where a text holds the character U+0000, which Postgres cannot store."""
    if isinstance(value, str) and "\x00" in value:
        raise refuse_fields([FieldError(at, "holds the character U+0000, which cannot be stored")])
    if isinstance(value, dict):
        for name, member in value.items():
            _refuse_nul(name, at)
            _refuse_nul(member, pointer(at, name))
    elif isinstance(value, list):
        for index, member in enumerate(value):
            _refuse_nul(member, pointer(at, index))


def read_query(request: HttpRequest, readers: Mapping[str, Reader]) -> dict[str, Any]:
    """Return the query parameters by name, each read; raise InvalidRequest for one that is unknown or given twice."""
    found: dict[str, Any] = {}
    for name, values in request.GET.lists():
        if name not in readers:
            known = sorted(readers)
            hint = suggest(name, known) or f"; there are {', '.join(known)}"
            raise refuse(name[:80], f"is not known here{hint}")
        if len(values) != 1:
            raise refuse(name, "stands twice")
        if "\x00" in values[0]:
            raise refuse(name, "holds the character U+0000")
        found[name] = readers[name](name, values[0])
    return found


def page_query(request: HttpRequest, filters: Mapping[str, Reader]) -> PageQuery:
    """Return what is asked of a list, by the parameters that every list has and its own filters."""
    given = read_query(request, {**PAGE_READERS, **filters})
    return PageQuery(
        limit=given.pop("limit", PAGE_ITEMS_DEFAULT),
        order=given.pop("order", "-created"),
        cursor=given.pop("cursor", None),
        since=given.pop("from", None),
        until=given.pop("to", None),
        filters=given,
    )


def read_text(name: str, text: str) -> str:
    """Read any text."""
    return text


def read_number(name: str, text: str) -> int:
    """Read a whole number that is not negative."""
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise refuse(name, f"`{text[:40]}` is not a whole number")
    return int(text)


def read_flag(name: str, text: str) -> bool:
    """Read `true` or `false`."""
    if text not in ("true", "false"):
        raise refuse(name, f"`{text[:40]}` must be `true` or `false`")
    return text == "true"


def read_uuid(name: str, text: str) -> UUID:
    """Read a UUID."""
    try:
        return UUID(text)
    except ValueError as error:
        raise refuse(name, f"`{text[:40]}` is not a UUID") from error


def read_id(what: str, text: str) -> UUID:
    """Read the id in a path; raise NotFound for a text that cannot be one, as for an id that nothing has."""
    try:
        return UUID(text)
    except ValueError as error:
        raise NotFound(f"there is no {what} `{text[:40]}`") from error


def read_instant(name: str, text: str) -> datetime:
    """Read a time of RFC 3339, which has a zone."""
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError as error:
        raise refuse(name, f"`{text[:40]}` is not a time like `2026-11-23T09:00:00Z`") from error
    if moment.tzinfo is None:
        raise refuse(name, f"`{text[:40]}` has no zone: write it like `2026-11-23T09:00:00Z`")
    return moment


def one_of(*values: str) -> Reader:
    """Return the reader of a closed set of texts."""

    def read(name: str, text: str) -> str:
        if text not in values:
            raise refuse(name, f"`{text[:40]}` must be one of {', '.join(values)}{suggest(text, values)}")
        return text

    return read


PAGE_READERS: Final[Mapping[str, Reader]] = {
    "limit": read_number,
    "cursor": read_text,
    "order": read_text,
    "from": read_instant,
    "to": read_instant,
}
