"""Audit: is the record whole, and who says so."""

from __future__ import annotations

import base64
from typing import Any, Final
from uuid import UUID

from django.http import HttpResponse
from django.urls import path

from aos.console.amounts import count_text
from aos.console.doors import Visit, page, page_cursor
from aos.console.run import checkpoint_of
from aos.kernel.errors import Forbidden
from aos.kernel.ledger.record import Record
from aos.kernel.people import Permission
from aos.operations.audit import list_records
from aos.operations.pages import PageQuery, parse_uuid

RECORDS_SHOWN: Final = 50


def show_audit(visit: Visit) -> HttpResponse:
    """Show the log's newest checkpoint and its records."""
    if not visit.may(Permission.AUDIT_READ):
        raise Forbidden("the log is open to auditors and administrators: ask an administrator for the role `auditor`")
    head = checkpoint_of(visit)
    action: UUID | None = parse_uuid(visit.query("action"))
    filters: dict[str, Any] = {
        "kind": visit.query("kind") or None,
        "action": action,
        "run": parse_uuid(visit.query("run")),
    }
    query = PageQuery(limit=RECORDS_SHOWN, cursor=page_cursor(visit), filters=filters)
    leaves = list_records(visit.actor, query)
    rows = [(leaf, subject_of(leaf.record)) for leaf in leaves.items]
    size = head.size if head else 0
    answer = (
        f"{count_text(size, 'record is', 'records are')} in the log, and a signed checkpoint covers all of them."
        if head
        else "The log has no signed checkpoint yet: the integrator signs one within a second of the first record."
    )
    key = base64.b64encode(head.key.public).decode() if head else ""
    return visit.show(
        "audit.html", "audit", head=head, key=key, rows=rows, next=leaves.next, answer=answer, action=action
    )


def subject_of(record: Record | None) -> str:
    """Return in a few words what a record is about: closed codes and ids, as they stand in the log."""
    if record is None:
        return "its bytes were dropped by retention; its leaf stands"
    if record.act_name is not None:
        return str(record.act_name)
    parts = [record.subject, record.change, record.status, record.error]
    return " · ".join(str(part) for part in parts if part)


urlpatterns = [path("console/audit", page(show_audit))]
