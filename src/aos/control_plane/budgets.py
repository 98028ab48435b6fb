"""/budgets: limits on what AOS itself costs."""

from __future__ import annotations

from typing import Final

from django.http import HttpResponse
from django.urls import path
from rest_framework.request import Request

from aos.control_plane import wire
from aos.control_plane.bodies import one_of, page_query, read_fields, read_flag, read_text
from aos.control_plane.endpoint import Endpoint, json_response, page_response
from aos.control_plane.openapi import operation
from aos.control_plane.parts import new_part, patched_part, take_name
from aos.kernel.manifest.values import BudgetScope
from aos.operations.budgets import (
    change_budget,
    create_budget,
    find_budget,
    list_budgets,
    retire_budget,
    show_budget,
)
from aos.operations.documents import budget_document
from aos.operations.idempotency import Reply
from aos.operations.registry_records import Edit

FILTERS: Final = {
    "name": read_text,
    "scope": one_of(*(each.value for each in BudgetScope)),
    "retired": read_flag,
}


class Budgets(Endpoint):
    """The budgets of the organization."""

    @operation("list_budgets", "List budgets", answer="Budget", page=True, filters=tuple(FILTERS))
    def get(self, request: Request) -> HttpResponse:
        return page_response(list_budgets(self.actor(request), page_query(request._request, FILTERS)), wire.budget)

    @operation("create_budget", "Set up a budget", answer="Budget", status=201, body="BudgetNew")
    def post(self, request: Request) -> HttpResponse:
        body = read_fields(request._request)
        name, fields = take_name(body)

        def do(edit: Edit) -> Reply:
            create_budget(edit, new_part(edit, "budgets", name, fields=fields).budgets[0])
            return Reply(201, wire.budget(find_budget(edit.organization_id, name)), f"/budgets/{name}")

        return self.write(request, do, body=body)


class Budget(Endpoint):
    """One budget, by name or id."""

    @operation("show_budget", "Show a budget", answer="Budget")
    def get(self, request: Request, key: str) -> HttpResponse:
        return json_response(wire.budget(show_budget(self.actor(request), key)))

    @operation("change_budget", "Change a budget; what was spent stays counted", answer="Budget", body="BudgetPatch")
    def patch(self, request: Request, key: str) -> HttpResponse:
        body = read_fields(request._request)

        def do(edit: Edit) -> Reply:
            spec = find_budget(edit.organization_id, key).spec
            part = patched_part(edit, "budgets", spec.id, document=budget_document(spec), patch=body)
            change_budget(edit, part.budgets[0])
            return Reply(200, wire.budget(find_budget(edit.organization_id, spec.id)))

        return self.write(request, do, body=body)

    @operation("retire_budget", "End a budget: it limits nothing any more", answer="Budget")
    def delete(self, request: Request, key: str) -> HttpResponse:
        def do(edit: Edit) -> Reply:
            retire_budget(edit, key)
            return Reply(200, wire.budget(find_budget(edit.organization_id, key)))

        return self.write(request, do)


urlpatterns = [
    path("budgets", Budgets.as_view()),
    path("budgets/<str:key>", Budget.as_view()),
]
