"""/tools: what agents can do to the world."""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpResponse
from django.urls import path
from rest_framework.request import Request

from aos.control_plane import wire
from aos.control_plane.bodies import one_of, page_query, read_fields, read_flag, read_text
from aos.control_plane.endpoint import Endpoint, json_response, page_response
from aos.control_plane.openapi import operation
from aos.control_plane.parts import new_part, patched_part, take_name
from aos.control_plane.shapes import PUBLISH
from aos.kernel.tools import Effect, ToolTransport
from aos.operations.documents import Fields, tool_document
from aos.operations.idempotency import Reply
from aos.operations.registry_records import Edit
from aos.operations.tools import (
    change_tool,
    find_tool,
    list_tool_versions,
    list_tools,
    publish_tool,
    register_tool,
    retire_tool,
    show_tool,
)

FILTERS: Final = {
    "name": read_text,
    "effect": one_of(*(each.value for each in Effect)),
    "retired": read_flag,
}


class Tools(Endpoint):
    """The tools of the organization."""

    @operation("list_tools", "List tools", answer="Tool", page=True, filters=tuple(FILTERS))
    def get(self, request: Request) -> HttpResponse:
        return page_response(list_tools(self.actor(request), page_query(request._request, FILTERS)), wire.tool)

    @operation("register_tool", "Register a tool", answer="Tool", status=201, body="ToolNew")
    def post(self, request: Request) -> HttpResponse:
        body = read_fields(request._request)
        name, fields = take_name(body)

        def do(edit: Edit) -> Reply:
            register_tool(edit, new_part(edit, "tools", name, fields=fields).tools[0])
            return Reply(201, wire.tool(find_tool(edit.organization_id, name)), f"/tools/{name}")

        return self.write(request, do, body=body)


class Tool(Endpoint):
    """One tool, by name or id."""

    @operation("show_tool", "Show a tool", answer="Tool")
    def get(self, request: Request, key: str) -> HttpResponse:
        return json_response(wire.tool(show_tool(self.actor(request), key)))

    @operation("change_tool", "Give a tool a new version", answer="Tool", body="ToolPatch")
    def patch(self, request: Request, key: str) -> HttpResponse:
        body = read_fields(request._request)
        return self.write(request, lambda edit: _change(edit, key, body), body=body)

    @operation("retire_tool", "Retire a tool: no agent can call it any more", answer="Tool")
    def delete(self, request: Request, key: str) -> HttpResponse:
        def do(edit: Edit) -> Reply:
            retire_tool(edit, key)
            return Reply(200, wire.tool(find_tool(edit.organization_id, key)))

        return self.write(request, do)


class Publish(Endpoint):
    """Accept a version of a tool that waits."""

    @operation(
        "publish_tool", "Put the version of a tool that waits, and is named, in force", answer="Tool", body="Publish"
    )
    def post(self, request: Request, key: str) -> HttpResponse:
        body: Any = read_fields(request._request, PUBLISH)

        def do(edit: Edit) -> Reply:
            publish_tool(edit, key, version=body.get("version"))
            return Reply(200, wire.tool(find_tool(edit.organization_id, key)))

        return self.write(request, do, body=body)


class Versions(Endpoint):
    """A tool's versions."""

    @operation("list_tool_versions", "List a tool's versions", answer="ToolVersion", page=True)
    def get(self, request: Request, key: str) -> HttpResponse:
        query = page_query(request._request, {})
        return page_response(list_tool_versions(self.actor(request), key, query), wire.tool_version)


def _change(edit: Edit, key: str, patch: Fields) -> Reply:
    spec = find_tool(edit.organization_id, key).spec
    document = tool_document(spec)
    if any(transport in patch for transport in ToolTransport):
        document.pop(spec.transport.value)
    if ToolTransport.MCP in patch and "args" in patch:
        document.pop("args")  # what a server offers is accepted whole, not merged into what it offered
    change_tool(edit, patched_part(edit, "tools", spec.name, document=document, patch=patch).tools[0])
    return Reply(200, wire.tool(find_tool(edit.organization_id, spec.name)))


urlpatterns = [
    path("tools", Tools.as_view()),
    path("tools/<str:key>", Tool.as_view()),
    path("tools/<str:key>/publish", Publish.as_view()),
    path("tools/<str:key>/versions", Versions.as_view()),
]
