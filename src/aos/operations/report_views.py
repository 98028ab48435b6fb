"""What a run's agents told of their work, as people read it: progress, KPIs, an observer's findings.

What was told is content: there for those who may read content, else None.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from aos.kernel.json import Json
from aos.kernel.people import Actor, Permission
from aos.operations.drivers import Drivers
from aos.operations.opened import open_contents
from aos.operations.pages import Page, PageQuery, check_limit, decode_cursor, encode_cursor, parse_uuid, refuse
from aos.operations.registry_records import reading
from aos.operations.run_views import find_run
from aos.store.cold.connection import run_sql


@dataclass(frozen=True, slots=True)
class ReportView:
    """One report: `value` and `fields` as the agent gave them."""

    id: UUID
    kind: str
    task_id: UUID
    task: str | None
    agent: str | None
    value: Json
    fields: Json
    created_at: datetime


def list_run_reports(drivers: Drivers, actor: Actor, run_id: UUID, *, query: PageQuery) -> Page[ReportView]:
    """Return a page of a run's reports in their order, by `kind`; raise NotFound."""
    check_limit(query)
    if query.order != "created":
        raise refuse("order", "of a run's reports is `created` alone")
    after = decode_cursor(query.cursor, query.order)
    if after is not None and parse_uuid(after) is None:
        raise refuse("cursor", "is not one that this list gave out: begin again without it")
    with reading(actor, Permission.RUN_READ):
        find_run(actor, run_id)
        params = {
            "kind": None,
            **query.filters,
            "organization_id": actor.organization_id,
            "run_id": run_id,
            "after_id": after,
        }
        rows = run_sql("page_reports", {**params, "limit": query.limit + 1})
        more, rows = len(rows) > query.limit, rows[: query.limit]
        opened = open_contents(drivers, actor, [row["content_id"] for row in rows])
        found = tuple(_report(row, opened.fields(row["content_id"])) for row in rows)
    return Page(found, encode_cursor("created", str(rows[-1]["id"])) if more else None)


def _report(row: dict[str, Any], told: Any) -> ReportView:
    plain = ("id", "kind", "task_id", "task", "agent", "created_at")
    return ReportView(**{name: row[name] for name in plain}, value=told.get("value"), fields=told.get("fields"))
