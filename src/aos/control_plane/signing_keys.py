"""/signing-keys: what signs the organization's tokens and checkpoints, and rotating what signs access tokens."""

from __future__ import annotations

from typing import Final

from django.http import HttpResponse
from django.urls import path
from rest_framework.request import Request

from aos.control_plane import wire
from aos.control_plane.bodies import one_of, page_query
from aos.control_plane.endpoint import Endpoint, page_response
from aos.control_plane.openapi import operation
from aos.operations.idempotency import Reply
from aos.operations.key_rows import ACCESS
from aos.operations.registry_records import Edit
from aos.operations.signing_keys import list_signing_keys, rotate_access_key

FILTERS: Final = {"purpose": one_of(ACCESS, "checkpoint", "token"), "state": one_of("next", "current", "retired")}


class SigningKeys(Endpoint):
    """The signing keys of the organization."""

    @operation("list_signing_keys", "List signing keys", answer="SigningKey", page=True, filters=tuple(FILTERS))
    def get(self, request: Request) -> HttpResponse:
        page = list_signing_keys(self.actor(request), page_query(request._request, FILTERS))
        return page_response(page, wire.signing_key)


class Rotate(Endpoint):
    """Rotate what signs."""

    @operation(
        "rotate_signing_key",
        "Let the next key sign access tokens from now on",
        answer="SigningKeyRotated",
    )
    def post(self, request: Request) -> HttpResponse:
        def do(edit: Edit) -> Reply:
            return Reply(200, {"id": str(rotate_access_key(edit)), "purpose": ACCESS, "state": "current"})

        return self.write(request, do)


urlpatterns = [
    path("signing-keys", SigningKeys.as_view()),
    path("signing-keys/rotate", Rotate.as_view()),
]
