"""/purposes: names for what models are wanted for."""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpResponse
from django.urls import path
from rest_framework.request import Request

from aos.control_plane import model_wire
from aos.control_plane.bodies import page_query, read_fields, read_flag, read_text
from aos.control_plane.endpoint import Endpoint, json_response, page_response
from aos.control_plane.openapi import operation
from aos.control_plane.parts import new_part, patched_part, take_name
from aos.control_plane.shapes import PUBLISH
from aos.operations.documents import Fields
from aos.operations.idempotency import Reply
from aos.operations.model_documents import purpose_document
from aos.operations.purposes import PURPOSES
from aos.operations.registry_records import Edit

FILTERS: Final = {
    "name": read_text,
    "retired": read_flag,
}


class Purposes(Endpoint):
    """The purposes of the organization."""

    @operation("list_purposes", "List purposes", answer="Purpose", page=True, filters=tuple(FILTERS))
    def get(self, request: Request) -> HttpResponse:
        return page_response(
            PURPOSES.page(self.actor(request), page_query(request._request, FILTERS)), model_wire.purpose
        )

    @operation("register_purpose", "Register a purpose", answer="Purpose", status=201, body="PurposeNew")
    def post(self, request: Request) -> HttpResponse:
        body = read_fields(request._request)
        name, fields = take_name(body)

        def do(edit: Edit) -> Reply:
            PURPOSES.register(edit, new_part(edit, "purposes", name, fields=fields).purposes[0])
            return Reply(201, model_wire.purpose(PURPOSES.find(edit.organization_id, name)), f"/purposes/{name}")

        return self.write(request, do, body=body)


class Purpose(Endpoint):
    """One purpose, by name or id."""

    @operation("show_purpose", "Show a purpose", answer="Purpose")
    def get(self, request: Request, key: str) -> HttpResponse:
        return json_response(model_wire.purpose(PURPOSES.show(self.actor(request), key)))

    @operation("change_purpose", "Give a purpose a new version", answer="Purpose", body="PurposePatch")
    def patch(self, request: Request, key: str) -> HttpResponse:
        body = read_fields(request._request)
        return self.write(request, lambda edit: _change(edit, key, body), body=body)

    @operation("retire_purpose", "Retire a purpose: no agent can ask for it any more", answer="Purpose")
    def delete(self, request: Request, key: str) -> HttpResponse:
        def do(edit: Edit) -> Reply:
            PURPOSES.retire(edit, key)
            return Reply(200, model_wire.purpose(PURPOSES.find(edit.organization_id, key)))

        return self.write(request, do)


class Publish(Endpoint):
    """Accept a version of a purpose that waits."""

    @operation(
        "publish_purpose",
        "Put the version of a purpose that waits, and is named, in force",
        answer="Purpose",
        body="Publish",
    )
    def post(self, request: Request, key: str) -> HttpResponse:
        body: Any = read_fields(request._request, PUBLISH)

        def do(edit: Edit) -> Reply:
            PURPOSES.publish(edit, key, version=body.get("version"))
            return Reply(200, model_wire.purpose(PURPOSES.find(edit.organization_id, key)))

        return self.write(request, do, body=body)


class Versions(Endpoint):
    """A purpose's versions."""

    @operation("list_purpose_versions", "List a purpose's versions", answer="PurposeVersion", page=True)
    def get(self, request: Request, key: str) -> HttpResponse:
        query = page_query(request._request, {})
        return page_response(PURPOSES.versions(self.actor(request), key, query), model_wire.purpose_version)


def _change(edit: Edit, key: str, patch: Fields) -> Reply:
    spec = PURPOSES.find(edit.organization_id, key).spec
    document = purpose_document(spec)
    PURPOSES.change(edit, patched_part(edit, "purposes", spec.name, document=document, patch=patch).purposes[0])
    return Reply(200, model_wire.purpose(PURPOSES.find(edit.organization_id, spec.name)))


urlpatterns = [
    path("purposes", Purposes.as_view()),
    path("purposes/<str:key>", Purpose.as_view()),
    path("purposes/<str:key>/publish", Publish.as_view()),
    path("purposes/<str:key>/versions", Versions.as_view()),
]
