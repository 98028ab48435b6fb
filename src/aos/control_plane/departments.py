"""/departments: who pays."""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpResponse
from django.urls import path
from rest_framework.request import Request

from aos.control_plane import wire
from aos.control_plane.bodies import page_query, read_fields, read_text
from aos.control_plane.endpoint import Endpoint, json_response, page_response
from aos.control_plane.openapi import operation
from aos.control_plane.parts import new_part, patched_part, take_name
from aos.operations.departments import (
    change_department,
    create_department,
    find_department,
    list_departments,
    show_department,
)
from aos.operations.idempotency import Reply
from aos.operations.registry_records import Edit

FILTERS: Final = {"name": read_text, "cost_center": read_text}


class Departments(Endpoint):
    """The departments of the organization."""

    @operation("list_departments", "List departments", answer="Department", page=True, filters=tuple(FILTERS))
    def get(self, request: Request) -> HttpResponse:
        page = list_departments(self.actor(request), page_query(request._request, FILTERS))
        return page_response(page, wire.department)

    @operation("create_department", "Make a department", answer="Department", status=201, body="DepartmentNew")
    def post(self, request: Request) -> HttpResponse:
        body = read_fields(request._request)
        name, fields = take_name(body)

        def do(edit: Edit) -> Reply:
            create_department(edit, new_part(edit, "departments", name, fields=fields).departments[0])
            return Reply(201, wire.department(find_department(edit.organization_id, name)), f"/departments/{name}")

        return self.write(request, do, body=body)


class Department(Endpoint):
    """One department, by name or id."""

    @operation("show_department", "Show a department", answer="Department")
    def get(self, request: Request, key: str) -> HttpResponse:
        return json_response(wire.department(show_department(self.actor(request), key)))

    @operation("change_department", "Set a department's cost centre", answer="Department", body="DepartmentPatch")
    def patch(self, request: Request, key: str) -> HttpResponse:
        body = read_fields(request._request)

        def do(edit: Edit) -> Reply:
            found = find_department(edit.organization_id, key)
            document: dict[str, Any] = {"cost_center": found.cost_center}
            part = patched_part(edit, "departments", found.name, document=document, patch=body)
            change_department(edit, part.departments[0])
            return Reply(200, wire.department(find_department(edit.organization_id, found.name)))

        return self.write(request, do, body=body)


urlpatterns = [
    path("departments", Departments.as_view()),
    path("departments/<str:key>", Department.as_view()),
]
