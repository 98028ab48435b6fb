"""/mcp-servers: programs and addresses whose tools agents may call."""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpResponse
from django.urls import path
from rest_framework.request import Request

from aos.control_plane import mcp_wire
from aos.control_plane.bodies import page_query, read_fields, read_flag, read_text
from aos.control_plane.endpoint import Endpoint, json_response, page_response
from aos.control_plane.openapi import operation
from aos.control_plane.parts import new_part, patched_part, take_name
from aos.control_plane.shapes import PUBLISH
from aos.control_plane.wire import Shown
from aos.operations.documents import Fields
from aos.operations.held_tool_views import find_held, list_held
from aos.operations.idempotency import Reply
from aos.operations.mcp_documents import mcp_server_document
from aos.operations.mcp_servers import MCP_SERVERS, restart_mcp_server
from aos.operations.registry_records import Edit

FILTERS: Final = {
    "name": read_text,
    "retired": read_flag,
}


class McpServers(Endpoint):
    """The MCP servers of the organization."""

    @operation("list_mcp_servers", "List MCP servers", answer="McpServer", page=True, filters=tuple(FILTERS))
    def get(self, request: Request) -> HttpResponse:
        actor = self.actor(request)
        held = list_held(actor)
        page = MCP_SERVERS.page(actor, page_query(request._request, FILTERS))
        return page_response(page, lambda each: mcp_wire.mcp_server(each, held))

    @operation("register_mcp_server", "Register an MCP server", answer="McpServer", status=201, body="McpServerNew")
    def post(self, request: Request) -> HttpResponse:
        body = read_fields(request._request)
        name, fields = take_name(body)

        def do(edit: Edit) -> Reply:
            MCP_SERVERS.register(edit, new_part(edit, "mcp_servers", name, fields=fields).mcp_servers[0])
            return Reply(201, _shown(edit, name), f"/mcp-servers/{name}")

        return self.write(request, do, body=body)


class McpServer(Endpoint):
    """One MCP server, by name or id."""

    @operation("show_mcp_server", "Show an MCP server", answer="McpServer")
    def get(self, request: Request, key: str) -> HttpResponse:
        actor = self.actor(request)
        return json_response(mcp_wire.mcp_server(MCP_SERVERS.show(actor, key), list_held(actor)))

    @operation("change_mcp_server", "Give an MCP server a new version", answer="McpServer", body="McpServerPatch")
    def patch(self, request: Request, key: str) -> HttpResponse:
        body = read_fields(request._request)
        return self.write(request, lambda edit: _change(edit, key, body), body=body)

    @operation("retire_mcp_server", "Retire an MCP server: no agent can call its tools any more", answer="McpServer")
    def delete(self, request: Request, key: str) -> HttpResponse:
        def do(edit: Edit) -> Reply:
            MCP_SERVERS.retire(edit, key)
            return Reply(200, _shown(edit, key))

        return self.write(request, do)


class Publish(Endpoint):
    """Accept a version of an MCP server that waits."""

    @operation(
        "publish_mcp_server",
        "Put the version of an MCP server that waits, and is named, in force",
        answer="McpServer",
        body="Publish",
    )
    def post(self, request: Request, key: str) -> HttpResponse:
        body: Any = read_fields(request._request, PUBLISH)

        def do(edit: Edit) -> Reply:
            MCP_SERVERS.publish(edit, key, version=body.get("version"))
            return Reply(200, _shown(edit, key))

        return self.write(request, do, body=body)


class Restart(Endpoint):
    """Begin the sessions with an MCP server anew."""

    @operation(
        "restart_mcp_server",
        "End the sessions with an MCP server in every process: its next call begins a new one",
        answer="McpServer",
    )
    def post(self, request: Request, key: str) -> HttpResponse:
        def do(edit: Edit) -> Reply:
            restart_mcp_server(edit, key)
            return Reply(200, _shown(edit, key))

        return self.write(request, do)


class Versions(Endpoint):
    """An MCP server's versions."""

    @operation("list_mcp_server_versions", "List an MCP server's versions", answer="McpServerVersion", page=True)
    def get(self, request: Request, key: str) -> HttpResponse:
        query = page_query(request._request, {})
        return page_response(MCP_SERVERS.versions(self.actor(request), key, query), mcp_wire.mcp_server_version)


def _change(edit: Edit, key: str, patch: Fields) -> Reply:
    spec = MCP_SERVERS.find(edit.organization_id, key).spec
    document = mcp_server_document(spec)
    MCP_SERVERS.change(
        edit, patched_part(edit, "mcp_servers", spec.name, document=document, patch=patch).mcp_servers[0]
    )
    return Reply(200, _shown(edit, spec.name))


def _shown(edit: Edit, key: str) -> Shown:
    return mcp_wire.mcp_server(MCP_SERVERS.find(edit.organization_id, key), find_held(edit.organization_id))


urlpatterns = [
    path("mcp-servers", McpServers.as_view()),
    path("mcp-servers/<str:key>", McpServer.as_view()),
    path("mcp-servers/<str:key>/publish", Publish.as_view()),
    path("mcp-servers/<str:key>/restart", Restart.as_view()),
    path("mcp-servers/<str:key>/versions", Versions.as_view()),
]
