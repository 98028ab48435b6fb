"""Pages of a list: a bounded number of items, and an opaque cursor to what follows.

A cursor names the last item by the key the list is ordered by, so that pages neither skip nor repeat what stays, however
much is added meanwhile. It belongs to one order: with another it is refused.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

import msgspec

from aos.kernel.errors import FieldError, InvalidRequest, NotFound
from aos.kernel.limits import PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX
from aos.store.cold.connection import run_sql

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some items of a list, and the cursor of the next page, None at the end."""

    items: tuple[T, ...]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class PageQuery:
    """What is asked of a list: how many, in which order, after which cursor, made in which time, with which values."""

    limit: int = PAGE_ITEMS_DEFAULT
    order: str = "-created"
    cursor: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    filters: Mapping[str, Any] = field(default_factory=dict)


def list_page(
    statement: str,
    organization_id: UUID,
    query: PageQuery,
    *,
    read: Callable[[dict[str, Any]], T],
    names: str = "name",
    **fixed: Any,
) -> Page[T]:
    """Run a list's statement in the open transaction and return one page; `names` is the column behind `order=name`.

    Raises InvalidRequest for a limit, order or cursor that does not fit.
    """
    check_limit(query)
    word = query.order.removeprefix("-")
    if word not in ("created", "name"):
        raise refuse("order", f"`{query.order[:40]}` is no order: created, -created, name or -name")
    after = decode_cursor(query.cursor, query.order)
    by_name = word == "name"
    params = {
        "id": None,
        "name": None,
        **query.filters,
        **fixed,
        "organization_id": organization_id,
        "from": query.since,
        "to": query.until,
        "after_id": None if by_name or after is None else _uuid(after),
        "after_name": after if by_name else None,
        "by_name": by_name,
        "descending": query.order.startswith("-"),
        "limit": query.limit + 1,
    }
    rows = run_sql(statement, params)
    more = len(rows) > query.limit
    rows = rows[: query.limit]
    following = encode_cursor(query.order, str(rows[-1][names if by_name else "id"])) if more else None
    return Page(tuple(read(row) for row in rows), following)


def find_one(find: Callable[[UUID, PageQuery], Page[T]], organization_id: UUID, key: str, *, what: str) -> T:
    """Return the one thing with this name or UUID, by the same statement that lists; raise NotFound."""
    id = parse_uuid(key)
    page = find(organization_id, PageQuery(limit=1, filters={"id": id} if id else {"name": key}))
    if not page.items:
        raise NotFound(f"there is no {what} `{key[:80]}`")
    return page.items[0]


def parse_uuid(text: str) -> UUID | None:
    """Return the UUID that a text is, None where it is none: a name, then."""
    try:
        return UUID(text) if len(text) == 36 else None
    except ValueError:
        return None


def list_versions(
    statement: str, organization_id: UUID, query: PageQuery, *, read: Callable[[dict[str, Any]], T], **fixed: Any
) -> Page[T]:
    """Run the statement that lists a thing's versions, newest first unless `order=created`, and return one page."""
    check_limit(query)
    if query.order not in ("created", "-created"):
        raise refuse("order", f"`{query.order[:40]}` is no order: created or -created")
    after = decode_cursor(query.cursor, query.order)
    if after is not None and not (after.isascii() and after.isdigit() and len(after) < 10):
        raise _bad_cursor()
    params = {
        **fixed,
        "organization_id": organization_id,
        "after": None if after is None else int(after),
        "descending": query.order == "-created",
        "limit": query.limit + 1,
    }
    rows = run_sql(statement, params)
    more = len(rows) > query.limit
    rows = rows[: query.limit]
    following = encode_cursor(query.order, str(rows[-1]["version"])) if more else None
    return Page(tuple(read(row) for row in rows), following)


def check_limit(query: PageQuery) -> None:
    """Raise InvalidRequest where more items are asked for than a page holds, or none."""
    if not 1 <= query.limit <= PAGE_ITEMS_MAX:
        raise refuse("limit", f"must lie between 1 and {PAGE_ITEMS_MAX}")


def encode_cursor(order: str, key: str) -> str:
    """Return the cursor of what follows the item with this key."""
    return base64.urlsafe_b64encode(msgspec.json.encode([order, key])).rstrip(b"=").decode()


def decode_cursor(cursor: str | None, order: str) -> str | None:
    """Return the key inside a cursor; raise InvalidRequest for anything that this list did not give out."""
    if cursor is None:
        return None
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        made_with, key = msgspec.json.decode(raw, type=tuple[str, str])
    except (binascii.Error, ValueError, msgspec.DecodeError) as error:
        raise _bad_cursor() from error
    if made_with != order or encode_cursor(made_with, key) != cursor or "\x00" in key:
        raise _bad_cursor()
    return key


def refuse(parameter: str, detail: str) -> InvalidRequest:
    """Return the error of a query parameter."""
    return InvalidRequest(f"query parameter `{parameter}` {detail}", errors=[FieldError(f"/{parameter}", detail)])


def _bad_cursor() -> InvalidRequest:
    return refuse("cursor", "is not one that this list gave out in this order: begin again without it")


def _uuid(text: str) -> UUID:
    found = parse_uuid(text)
    if found is None:
        raise _bad_cursor()
    return found
