"""/models: what agents may ask, and what it costs. A name may hold slashes, so what follows it in a path is matched first."""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpResponse
from django.urls import path
from rest_framework.request import Request

from aos.control_plane import model_wire
from aos.control_plane.bodies import one_of, page_query, read_fields, read_flag, read_text
from aos.control_plane.endpoint import Endpoint, json_response, page_response
from aos.control_plane.openapi import operation
from aos.control_plane.parts import new_part, patched_part, take_name
from aos.control_plane.shapes import PUBLISH
from aos.kernel.models.values import Provider
from aos.operations.documents import Fields
from aos.operations.idempotency import Reply
from aos.operations.model_documents import model_document, said_document
from aos.operations.models import MODELS
from aos.operations.registry_records import Edit

FILTERS: Final = {
    "name": read_text,
    "provider": one_of(*(each.value for each in Provider)),
    "retired": read_flag,
}


class Models(Endpoint):
    """The models of the organization."""

    @operation("list_models", "List models", answer="Model", page=True, filters=tuple(FILTERS))
    def get(self, request: Request) -> HttpResponse:
        return page_response(MODELS.page(self.actor(request), page_query(request._request, FILTERS)), model_wire.model)

    @operation("register_model", "Register a model", answer="Model", status=201, body="ModelNew")
    def post(self, request: Request) -> HttpResponse:
        body = read_fields(request._request)
        name, fields = take_name(body)

        def do(edit: Edit) -> Reply:
            MODELS.register(edit, new_part(edit, "models", name, fields=fields).models[0])
            return Reply(201, model_wire.model(MODELS.find(edit.organization_id, name)), f"/models/{name}")

        return self.write(request, do, body=body)


class Model(Endpoint):
    """One model, by name or id."""

    @operation("show_model", "Show a model", answer="Model")
    def get(self, request: Request, key: str) -> HttpResponse:
        return json_response(model_wire.model(MODELS.show(self.actor(request), key)))

    @operation("change_model", "Give a model a new version", answer="Model", body="ModelPatch")
    def patch(self, request: Request, key: str) -> HttpResponse:
        body = read_fields(request._request)
        return self.write(request, lambda edit: _change(edit, key, body), body=body)

    @operation("retire_model", "Retire a model: no agent can ask for it any more", answer="Model")
    def delete(self, request: Request, key: str) -> HttpResponse:
        def do(edit: Edit) -> Reply:
            MODELS.retire(edit, key)
            return Reply(200, model_wire.model(MODELS.find(edit.organization_id, key)))

        return self.write(request, do)


class Publish(Endpoint):
    """Accept a version of a model that waits."""

    @operation(
        "publish_model", "Put the version of a model that waits, and is named, in force", answer="Model", body="Publish"
    )
    def post(self, request: Request, key: str) -> HttpResponse:
        body: Any = read_fields(request._request, PUBLISH)

        def do(edit: Edit) -> Reply:
            MODELS.publish(edit, key, version=body.get("version"))
            return Reply(200, model_wire.model(MODELS.find(edit.organization_id, key)))

        return self.write(request, do, body=body)


class Versions(Endpoint):
    """A model's versions."""

    @operation("list_model_versions", "List a model's versions", answer="ModelVersion", page=True)
    def get(self, request: Request, key: str) -> HttpResponse:
        query = page_query(request._request, {})
        return page_response(MODELS.versions(self.actor(request), key, query), model_wire.model_version)


def _change(edit: Edit, key: str, patch: Fields) -> Reply:
    spec = MODELS.find(edit.organization_id, key).spec
    another = any(patch.get(name, getattr(spec, name)) != getattr(spec, name) for name in ("provider", "upstream"))
    document = said_document(spec) if another else model_document(spec)
    MODELS.change(edit, patched_part(edit, "models", spec.name, document=document, patch=patch).models[0])
    return Reply(200, model_wire.model(MODELS.find(edit.organization_id, spec.name)))


urlpatterns = [
    path("models", Models.as_view()),
    path("models/<path:key>/publish", Publish.as_view()),
    path("models/<path:key>/versions", Versions.as_view()),
    path("models/<path:key>", Model.as_view()),
]
