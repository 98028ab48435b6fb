"""/secrets: names and versions; a value goes in and never comes out."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.urls import path
from rest_framework.request import Request

from aos.control_plane import wire
from aos.control_plane.bodies import page_query, read_fields, read_text
from aos.control_plane.endpoint import Endpoint, page_response
from aos.control_plane.openapi import operation
from aos.control_plane.shapes import SECRET_NEW, SECRET_VALUE
from aos.operations.credentials import list_secrets, remove_secret, set_secret
from aos.operations.idempotency import Reply
from aos.operations.registry_records import Edit


class Secrets(Endpoint):
    """The secrets of the organization."""

    @operation("list_secrets", "List secrets by name", answer="Secret", page=True, filters=("name",))
    def get(self, request: Request) -> HttpResponse:
        page = list_secrets(self.actor(request), page_query(request._request, {"name": read_text}))
        return page_response(page, wire.secret)

    @operation(
        "set_secret", "Set a secret; a name that exists gets the new value", answer="SecretSet", body="SecretNew"
    )
    def post(self, request: Request) -> HttpResponse:
        body: Any = read_fields(request._request, SECRET_NEW)
        return self.write(request, lambda edit: _set(edit, body["name"], body["value"], rotate=False), body=body)


class Secret(Endpoint):
    """One secret, by name."""

    @operation("rotate_secret", "Give a secret another value", answer="SecretSet", body="SecretValue")
    def put(self, request: Request, name: str) -> HttpResponse:
        body: Any = read_fields(request._request, SECRET_VALUE)
        return self.write(request, lambda edit: _set(edit, name, body["value"], rotate=True), body=body)

    @operation("remove_secret", "Erase a secret", answer={"type": "object"})
    def delete(self, request: Request, name: str) -> HttpResponse:
        def do(edit: Edit) -> Reply:
            remove_secret(edit, name)
            return Reply(200, {})

        return self.write(request, do)


def _set(edit: Edit, name: str, value: str, *, rotate: bool) -> Reply:
    version = set_secret(edit, name, value.encode("utf-8"), rotate=rotate)
    return Reply(200, {"name": name, "version": version})


urlpatterns = [
    path("secrets", Secrets.as_view()),
    path("secrets/<path:name>", Secret.as_view()),
]
