"""/workflows: what runs, in which order."""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpResponse
from django.urls import path
from rest_framework.request import Request

from aos.control_plane import wire
from aos.control_plane.bodies import page_query, read_fields, read_flag, read_text
from aos.control_plane.endpoint import Endpoint, json_response, page_response
from aos.control_plane.openapi import operation
from aos.control_plane.parts import new_part, patched_part, take_name
from aos.control_plane.shapes import PUBLISH
from aos.operations.documents import workflow_document
from aos.operations.idempotency import Reply
from aos.operations.registry_records import Edit
from aos.operations.workflows import (
    change_workflow,
    create_workflow,
    find_workflow,
    list_workflow_versions,
    list_workflows,
    publish_workflow,
    retire_workflow,
    show_workflow,
)

FILTERS: Final = {"name": read_text, "retired": read_flag}


class Workflows(Endpoint):
    """The workflows of the organization."""

    @operation("list_workflows", "List workflows", answer="Workflow", page=True, filters=tuple(FILTERS))
    def get(self, request: Request) -> HttpResponse:
        page = list_workflows(self.actor(request), page_query(request._request, FILTERS))
        return page_response(page, wire.workflow)

    @operation("create_workflow", "File a workflow", answer="Workflow", status=201, body="WorkflowNew")
    def post(self, request: Request) -> HttpResponse:
        body = read_fields(request._request)
        name, fields = take_name(body)

        def do(edit: Edit) -> Reply:
            create_workflow(edit, new_part(edit, "workflows", name, fields=fields).workflows[0])
            return Reply(201, wire.workflow(find_workflow(edit.organization_id, name)), f"/workflows/{name}")

        return self.write(request, do, body=body)


class Workflow(Endpoint):
    """One workflow, by name or id."""

    @operation("show_workflow", "Show a workflow", answer="Workflow")
    def get(self, request: Request, key: str) -> HttpResponse:
        return json_response(wire.workflow(show_workflow(self.actor(request), key)))

    @operation(
        "change_workflow",
        "Give a workflow a new version; it waits where others' schedules or hooks run it",
        answer="Workflow",
        body="WorkflowPatch",
    )
    def patch(self, request: Request, key: str) -> HttpResponse:
        body = read_fields(request._request)

        def do(edit: Edit) -> Reply:
            spec = find_workflow(edit.organization_id, key).spec
            part = patched_part(edit, "workflows", spec.name, document=workflow_document(spec), patch=body)
            change_workflow(edit, part.workflows[0])
            return Reply(200, wire.workflow(find_workflow(edit.organization_id, spec.name)))

        return self.write(request, do, body=body)

    @operation("retire_workflow", "Retire a workflow: no run of it can start", answer="Workflow")
    def delete(self, request: Request, key: str) -> HttpResponse:
        def do(edit: Edit) -> Reply:
            retire_workflow(edit, key)
            return Reply(200, wire.workflow(find_workflow(edit.organization_id, key)))

        return self.write(request, do)


class Publish(Endpoint):
    """Accept a version of a workflow that waits."""

    @operation(
        "publish_workflow",
        "Put the version of a workflow that waits, and is named, in force",
        answer="Workflow",
        body="Publish",
    )
    def post(self, request: Request, key: str) -> HttpResponse:
        body: Any = read_fields(request._request, PUBLISH)

        def do(edit: Edit) -> Reply:
            publish_workflow(edit, key, version=body.get("version"))
            return Reply(200, wire.workflow(find_workflow(edit.organization_id, key)))

        return self.write(request, do, body=body)


class Versions(Endpoint):
    """A workflow's versions."""

    @operation("list_workflow_versions", "List a workflow's versions", answer="WorkflowVersion", page=True)
    def get(self, request: Request, key: str) -> HttpResponse:
        query = page_query(request._request, {})
        return page_response(list_workflow_versions(self.actor(request), key, query), wire.workflow_version)


urlpatterns = [
    path("workflows", Workflows.as_view()),
    path("workflows/<str:key>", Workflow.as_view()),
    path("workflows/<str:key>/publish", Publish.as_view()),
    path("workflows/<str:key>/versions", Versions.as_view()),
]
