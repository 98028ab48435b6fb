"""/organizations, /manifest: what concerns an organization as a whole."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from django.http import HttpResponse
from django.urls import path
from rest_framework.request import Request

from aos.control_plane import wire
from aos.control_plane.binding import services
from aos.control_plane.bodies import read_fields
from aos.control_plane.endpoint import Endpoint, json_response, reply_response
from aos.control_plane.openapi import operation
from aos.control_plane.shapes import MANIFEST_APPLY, ORGANIZATION_NEW, list_of, maybe, ref
from aos.kernel.errors import FieldError, InvalidCondition, InvalidManifest, NotFound
from aos.kernel.json import Json
from aos.kernel.manifest.values import OrganizationSpec
from aos.operations.idempotency import Reply, perform_write, perform_write_apart
from aos.operations.manifest import apply_manifest
from aos.operations.organizations import create_own_organization, list_organizations
from aos.operations.registry_records import Edit

_MANY: Final = {
    "type": "object",
    "properties": {"items": list_of(ref("Organization")), "next": maybe({"type": "string"})},
    "required": ["items", "next"],
    "additionalProperties": False,
}


class Organizations(Endpoint):
    """One's own organizations."""

    @operation(
        "list_organizations",
        "List your own organizations that your credential opens, newest membership first",
        answer=_MANY,
    )
    def get(self, request: Request) -> HttpResponse:
        person = self.person(request)
        found = list_organizations(person.person_id, issuer_id=person.issuer_id)
        return json_response({"items": [wire.organization(each) for each in found], "next": None})

    @operation(
        "create_organization",
        "Make another organization, with you as its administrator",
        answer="Organization",
        status=201,
        body="OrganizationNew",
    )
    def post(self, request: Request) -> HttpResponse:
        body: Any = read_fields(request._request, ORGANIZATION_NEW)
        spec = OrganizationSpec(**body)
        drivers, actor, asked = services().drivers, self.actor(request), self.asked(request, body)

        def do() -> Reply:
            made = create_own_organization(drivers, actor, spec, dry_run=asked.dry_run)
            return Reply(201, wire.organization(made), f"/organizations/{made.id}")

        return reply_response(perform_write_apart(drivers, actor, asked, do=do))


class Organization(Endpoint):
    """One of one's own organizations, by name or id."""

    @operation("show_organization", "Show one of your own organizations", answer="Organization")
    def get(self, request: Request, key: str) -> HttpResponse:
        person = self.person(request)
        for each in list_organizations(person.person_id, issuer_id=person.issuer_id):
            if key == each.name or key.lower() == str(each.id):
                return json_response(wire.organization(each))
        raise NotFound(f"you belong to no organization `{key[:80]}`")


class Manifest(Endpoint):
    """The manifest."""

    @operation(
        "apply_manifest",
        "Apply a manifest: all of it or nothing; `prune` retires what it does not name",
        answer="Applied",
        body="ManifestApply",
    )
    def post(self, request: Request) -> HttpResponse:
        body: Any = read_fields(request._request, MANIFEST_APPLY)
        asked = self.asked(request, body)
        if body.get("dry_run"):
            asked = replace(asked, dry_run=True)

        def do(edit: Edit) -> Reply:
            try:
                applied = apply_manifest(edit, body["manifest"], prune=body.get("prune", False))
            except (InvalidManifest, InvalidCondition) as error:
                errors = [FieldError(f"/manifest{each.pointer}", each.detail) for each in error.errors]
                raise type(error)(error.detail, errors=errors) from error
            changes: list[Json] = [
                {
                    "mark": each.mark.value,
                    "kind": each.kind,
                    "name": each.name,
                    "detail": each.detail,
                    "waits": each.waits,
                }
                for each in applied.changes
            ]
            said = {name: list(getattr(applied, name)) for name in ("waits", "waits_for", "warnings")}
            return Reply(200, {"changes": changes, **said})

        return reply_response(perform_write(services().drivers, self.actor(request), asked, do=do))


urlpatterns = [
    path("organizations", Organizations.as_view()),
    path("organizations/<str:key>", Organization.as_view()),
    path("manifest", Manifest.as_view()),
]
