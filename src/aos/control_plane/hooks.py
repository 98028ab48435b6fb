"""/hooks: signed doors through which systems outside start runs or signal them. The door itself is the data plane's."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.http import HttpResponse
from django.urls import path
from rest_framework.request import Request

from aos.control_plane.bodies import page_query, read_fields, read_flag, read_text
from aos.control_plane.endpoint import Endpoint, json_response, page_response
from aos.control_plane.openapi import operation
from aos.control_plane.parts import new_part, patched_part, take_name
from aos.control_plane.wire import Shown, instant
from aos.operations.documents import hook_document
from aos.operations.hooks import (
    HookDetail,
    MadeHook,
    change_hook,
    create_hook,
    find_hook,
    list_hooks,
    retire_hook,
    rotate_hook,
    show_hook,
)
from aos.operations.idempotency import Reply
from aos.operations.registry_records import Edit

FILTERS: Final = {"name": read_text, "enabled": read_flag, "retired": read_flag}


def shown(detail: HookDetail, organization_id: UUID) -> Shown:
    """Show a hook, without its secret."""
    return {
        "id": detail.id,
        "name": detail.spec.name,
        "workflow": None,
        "agent": None,
        "signal": None,
        **hook_document(detail.spec),
        "path": f"/hooks/{organization_id}/{detail.id}",
        "secret_version": detail.secret_version,
        "last_at": instant(detail.last_at),
        "created_at": instant(detail.created_at),
        "updated_at": instant(detail.updated_at),
        "retired_at": instant(detail.retired_at),
    }


class Hooks(Endpoint):
    """The hooks of the organization."""

    @operation("list_hooks", "List hooks", answer="Hook", page=True, filters=tuple(FILTERS))
    def get(self, request: Request) -> HttpResponse:
        actor = self.actor(request)
        page = list_hooks(actor, page_query(request._request, FILTERS))
        return page_response(page, lambda each: shown(each, actor.organization_id))

    @operation("create_hook", "Open a hook; its secret is shown once", answer="HookMade", status=201, body="HookNew")
    def post(self, request: Request) -> HttpResponse:
        body = read_fields(request._request)
        name, fields = take_name(body)

        def do(edit: Edit) -> Reply:
            made = create_hook(edit, new_part(edit, "hooks", name, fields=fields).hooks[0])
            return _with_secret(edit, made, status=201)

        return self.write(request, do, body=body)


class Hook(Endpoint):
    """One hook, by name or id."""

    @operation("show_hook", "Show a hook", answer="Hook")
    def get(self, request: Request, key: str) -> HttpResponse:
        actor = self.actor(request)
        return json_response(shown(show_hook(actor, key), actor.organization_id))

    @operation("change_hook", "Change what a hook takes and starts", answer="Hook", body="HookPatch")
    def patch(self, request: Request, key: str) -> HttpResponse:
        body = read_fields(request._request)

        def do(edit: Edit) -> Reply:
            name, _ = edit.registry.get("hook", key)
            spec = find_hook(edit.organization_id, name).spec
            part = patched_part(edit, "hooks", name, document=hook_document(spec), patch=body)
            change_hook(edit, part.hooks[0])
            return Reply(200, shown(find_hook(edit.organization_id, name), edit.organization_id))

        return self.write(request, do, body=body)

    @operation("retire_hook", "Close a hook for good", answer="Hook")
    def delete(self, request: Request, key: str) -> HttpResponse:
        def do(edit: Edit) -> Reply:
            id = find_hook(edit.organization_id, key).id
            retire_hook(edit, key)
            return Reply(200, shown(find_hook(edit.organization_id, str(id)), edit.organization_id))

        return self.write(request, do)


class Rotation(Endpoint):
    """A hook's secret."""

    @operation("rotate_hook", "Give a hook another secret, shown once; the old one counts no more", answer="HookMade")
    def post(self, request: Request, key: str) -> HttpResponse:
        return self.write(request, lambda edit: _with_secret(edit, rotate_hook(edit, key), status=200))


def _with_secret(edit: Edit, made: MadeHook, *, status: int) -> Reply:
    detail = find_hook(edit.organization_id, str(made.id))
    body = {**shown(detail, edit.organization_id), "secret": made.secret}
    return Reply(status, body, f"/hooks/{detail.spec.name}", once=("secret",))


urlpatterns = [
    path("hooks", Hooks.as_view()),
    path("hooks/<str:key>", Hook.as_view()),
    path("hooks/<str:key>/rotate", Rotation.as_view()),
]
