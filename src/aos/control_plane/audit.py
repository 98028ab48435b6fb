"""/audit: the organization's log, for those who check it."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import path
from rest_framework.request import Request

from aos.control_plane.bodies import one_of, page_query, read_id, read_number, read_query, read_uuid
from aos.control_plane.endpoint import Endpoint, json_response, page_response
from aos.control_plane.openapi import operation
from aos.control_plane.wire import Shown, instant
from aos.kernel.ledger.checkpoint import base64_text, verifier_key_text
from aos.kernel.ledger.record import RecordKind
from aos.operations.audit import Leaf, export_log, list_records, prove_consistency, prove_record, show_checkpoint
from aos.operations.pages import refuse

FILTERS: Final = {
    "kind": one_of(*(each.value for each in RecordKind)),
    "run": read_uuid,
    "action": read_uuid,
}


class Checkpoint(Endpoint):
    """The newest signed checkpoint."""

    @operation("show_checkpoint", "Show the log's newest signed checkpoint", answer="Checkpoint")
    def get(self, request: Request) -> HttpResponse:
        head = show_checkpoint(self.actor(request))
        key = verifier_key_text(head.key)
        return json_response({"size": head.size, "note": head.note, "key": key, "signed_at": instant(head.signed_at)})


class Records(Endpoint):
    """The log's records."""

    @operation(
        "list_records", "List the log's records, newest first", answer="LogRecord", page=True, filters=tuple(FILTERS)
    )
    def get(self, request: Request) -> HttpResponse:
        return page_response(list_records(self.actor(request), page_query(request._request, FILTERS)), _leaf)


class Proof(Endpoint):
    """The proof of one record."""

    @operation("show_proof", "Prove a record's place in the log (`aos-proof/1`)", answer="Proof")
    def get(self, request: Request, record: str) -> HttpResponse:
        document = prove_record(self.actor(request), read_id("record", record))
        return HttpResponse(document, content_type="application/json")


class Consistency(Endpoint):
    """The proof that the log only grew."""

    @operation(
        "show_consistency",
        "Prove that the log extends the one of `from` leaves",
        answer="Consistency",
        filters=("from",),
    )
    def get(self, request: Request) -> HttpResponse:
        given = read_query(request._request, {"from": read_number})
        if "from" not in given:
            raise refuse("from", "is missing: give the size of the checkpoint that you kept")
        found = prove_consistency(self.actor(request), given["from"])
        return json_response(
            {
                "old_size": found.old_size,
                "new_size": found.new_size,
                "path": [base64_text(step) for step in found.path],
                "checkpoint": found.head.note,
                "key": verifier_key_text(found.head.key),
            }
        )


class Export(Endpoint):
    """The whole log."""

    @operation(
        "show_export",
        "Export the log as JSON lines (`aos-log/1`)",
        answer={"type": "string"},
        media_type="application/jsonl",
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        read_query(request._request, {})
        return StreamingHttpResponse(export_log(self.actor(request)), content_type="application/jsonl")


def _leaf(leaf: Leaf) -> Shown:
    record: Any = None if leaf.record is None else msgspec.to_builtins(leaf.record)
    return {"index": leaf.index, "hash": leaf.hash.hex(), "record": record}


urlpatterns = [
    path("audit/checkpoint", Checkpoint.as_view()),
    path("audit/records", Records.as_view()),
    path("audit/proof/<str:record>", Proof.as_view()),
    path("audit/consistency", Consistency.as_view()),
    path("audit/export", Export.as_view()),
]
