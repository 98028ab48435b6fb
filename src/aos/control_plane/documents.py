"""What describes the control plane itself: health, the OpenAPI document and a page of it, the manifest's schema."""

from __future__ import annotations

from functools import cache
from html import escape
from typing import Any, Final

import msgspec
from django.http import HttpResponse
from django.urls import path
from rest_framework.request import Request

from aos.control_plane.binding import services
from aos.control_plane.endpoint import OpenEndpoint, json_response
from aos.control_plane.openapi import openapi_document, operation
from aos.kernel.doors import DOORS
from aos.kernel.manifest.schema import manifest_schema
from aos.operations.health import check_database

_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}"
    "code{font-family:ui-monospace,monospace}table{border-collapse:collapse;width:100%}"
    "td{padding:.3rem .6rem;border-bottom:1px solid #8884;vertical-align:top}td:first-child{font-weight:600}"
)


class Healthz(OpenEndpoint):
    """Whether the process lives."""

    @operation("show_healthz", "Say that the process lives", answer="Health", open_to_all=True)
    def get(self, request: Request) -> HttpResponse:
        return json_response({"status": "ok", "version": services().version})


class Readyz(OpenEndpoint):
    """Whether the process can work."""

    @operation("show_readyz", "Say that the database answers; 503 where it does not", answer="Health", open_to_all=True)
    def get(self, request: Request) -> HttpResponse:
        check_database()
        return json_response({"status": "ok", "version": services().version})


class OpenApi(OpenEndpoint):
    """The OpenAPI document."""

    @operation("show_openapi", "Show this document", answer={"type": "object"}, open_to_all=True)
    def get(self, request: Request) -> HttpResponse:
        return HttpResponse(_document_bytes(), content_type="application/json")


class ManifestSchema(OpenEndpoint):
    """The manifest's JSON Schema."""

    @operation(
        "show_manifest_schema", "Show the JSON Schema of `aos.yaml`", answer={"type": "object"}, open_to_all=True
    )
    def get(self, request: Request) -> HttpResponse:
        return json_response(manifest_schema())


class Docs(OpenEndpoint):
    """A page of the operations."""

    @operation(
        "show_docs",
        "Show the operations as a page",
        answer={"type": "string"},
        open_to_all=True,
        media_type="text/html",
    )
    def get(self, request: Request) -> HttpResponse:
        return HttpResponse(_page(), content_type="text/html; charset=utf-8")


@cache
def _document() -> dict[str, Any]:
    return openapi_document()


@cache
def _document_bytes() -> bytes:
    return msgspec.json.encode(_document())


@cache
def _page() -> str:
    """Return the operations as one page, with nothing from elsewhere."""
    rows = [
        f"<tr><td><code>{method.upper()}</code></td><td><code>{escape(place)}</code></td>"
        f"<td>{escape(each.get('summary', ''))}</td></tr>"
        for place, methods in _document()["paths"].items()
        for method, each in methods.items()
    ]
    doors = [
        f"<tr><td><code>{each.method}</code></td><td><code>{escape(each.path)}</code></td>"
        f"<td>{escape(each.does)}, with {escape(each.takes)}</td></tr>"
        for each in DOORS
    ]
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><title>AOS: REST</title>"
        f"<meta name='viewport' content='width=device-width'><style>{_STYLE}</style></head><body><h1>AOS: REST</h1>"
        "<p>Every operation of the control plane. The whole of it, for tools: "
        "<a href='/openapi.json'>openapi.json</a>; the manifest's form: "
        "<a href='/manifest.schema.json'>manifest.schema.json</a>.</p>"
        f"<table>{''.join(rows)}</table><h1>AOS: agents' doors</h1><p>Answered at the same address, each in its own "
        f"protocol's words.</p><table>{''.join(doors)}</table></body></html>"
    )


urlpatterns = [
    path("healthz", Healthz.as_view()),
    path("readyz", Readyz.as_view()),
    path("openapi.json", OpenApi.as_view()),
    path("manifest.schema.json", ManifestSchema.as_view()),
    path("docs", Docs.as_view()),
]
