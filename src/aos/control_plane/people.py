"""/people, /roles, /tokens, /whoami: who may sign in, with which roles, by which tokens."""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpResponse
from django.urls import path
from rest_framework.request import Request

from aos.control_plane import wire
from aos.control_plane.binding import services
from aos.control_plane.bodies import one_of, page_query, read_fields, read_text
from aos.control_plane.endpoint import Endpoint, OpenEndpoint, json_response, page_response, reply_response
from aos.control_plane.openapi import operation
from aos.control_plane.parts import new_part
from aos.control_plane.shapes import LINK, PERSON_PATCH, ROLE_GIVEN, TOKEN_NEW
from aos.kernel.errors import FieldError, NotFound
from aos.kernel.people import ROLE_PERMISSIONS, Actor, Role
from aos.operations.documents import refuse_fields
from aos.operations.idempotency import Reply
from aos.operations.people import (
    TOKEN_DAYS_DEFAULT,
    change_roles,
    create_token,
    exchange_link,
    find_member,
    invite_person,
    list_people,
    list_tokens,
    renew_link,
    revoke_token,
    set_roles,
    show_person,
)
from aos.operations.registry_records import Edit
from aos.operations.sign_in import SignedIn

FILTERS: Final = {"name": read_text, "role": one_of(*(each.value for each in Role))}


class People(Endpoint):
    """The people of the organization."""

    @operation("list_people", "List people", answer="Person", page=True, filters=tuple(FILTERS))
    def get(self, request: Request) -> HttpResponse:
        return page_response(list_people(self.actor(request), page_query(request._request, FILTERS)), wire.person)

    @operation(
        "invite_person",
        "Invite a person by e-mail; `link` is a one-time link, shown once; null for a person of other organizations",
        answer="PersonInvited",
        status=201,
        body="PersonNew",
    )
    def post(self, request: Request) -> HttpResponse:
        body = read_fields(request._request)
        rest = dict(body)
        email = rest.pop("email", None)
        if not isinstance(email, str):
            raise refuse_fields([FieldError("/email", "must be given, as text")])

        def do(edit: Edit) -> Reply:
            spec = new_part(edit, "people", email, fields=rest).people[0]
            id, link = invite_person(edit, spec)
            shown = wire.person(find_member(edit.organization_id, str(id)))
            return Reply(201, {**shown, "link": link}, f"/people/{id}", once=("link",))

        return self.write(request, do, body=body)


class Person(Endpoint):
    """One person, by e-mail or id."""

    @operation("show_person", "Show a person", answer="Person")
    def get(self, request: Request, key: str) -> HttpResponse:
        return json_response(wire.person(show_person(self.actor(request), key)))

    @operation("change_person", "Set a person's roles", answer="Person", body="PersonPatch")
    def patch(self, request: Request, key: str) -> HttpResponse:
        body: Any = read_fields(request._request, PERSON_PATCH)

        def do(edit: Edit) -> Reply:
            set_roles(edit, find_member(edit.organization_id, key), _roles(body))
            return Reply(200, wire.person(find_member(edit.organization_id, key)))

        return self.write(request, do, body=body)


class GivenRoles(Endpoint):
    """A person's roles, to add to."""

    @operation("assign_role", "Give a person a role", answer="Person", body="RoleGiven")
    def post(self, request: Request, key: str) -> HttpResponse:
        body: Any = read_fields(request._request, ROLE_GIVEN)
        given = frozenset({Role(body["role"])})

        def do(edit: Edit) -> Reply:
            change_roles(edit, key, add=given)
            return Reply(200, wire.person(find_member(edit.organization_id, key)))

        return self.write(request, do, body=body)


class GivenRole(Endpoint):
    """One of a person's roles."""

    @operation("unassign_role", "Take a role from a person", answer="Person")
    def delete(self, request: Request, key: str, role: str) -> HttpResponse:
        def do(edit: Edit) -> Reply:
            person = find_member(edit.organization_id, key)
            if role not in person.roles:
                raise NotFound(f"`{person.email}` does not hold the role `{role[:40]}`")
            change_roles(edit, key, remove=frozenset({Role(role)}))
            return Reply(200, wire.person(find_member(edit.organization_id, key)))

        return self.write(request, do)


class NewLink(Endpoint):
    """A fresh one-time link for a person."""

    @operation("renew_link", "Make a fresh one-time link for a person, shown once", answer="PersonInvited")
    def post(self, request: Request, key: str) -> HttpResponse:
        def do(edit: Edit) -> Reply:
            person, link = renew_link(edit, key)
            return Reply(200, {**wire.person(person), "link": link}, once=("link",))

        return self.write(request, do)


class Link(OpenEndpoint):
    """A one-time link for a token."""

    @operation(
        "exchange_link",
        "Exchange a one-time link for a personal token, shown once",
        answer="TokenMade",
        status=201,
        body="Link",
        open_to_all=True,
    )
    def post(self, request: Request) -> HttpResponse:
        body: Any = read_fields(request._request, LINK)
        token, text, _ = exchange_link(services().drivers, body["link"], label=body.get("label", "from a link"))
        return reply_response(Reply(201, {**wire.personal_token(token), "token": text}, f"/tokens/{token.id}"))


class Roles(Endpoint):
    """The roles there are."""

    @operation(
        "list_roles",
        "List the roles and what each permits",
        answer={
            "type": "object",
            "properties": {
                "items": {"type": "array", "items": {"$ref": "#/components/schemas/Role"}},
                "next": {"type": "null"},
            },
            "required": ["items", "next"],
            "additionalProperties": False,
        },
    )
    def get(self, request: Request) -> HttpResponse:
        return json_response({"items": [wire.role(role) for role in Role], "next": None})


class Tokens(Endpoint):
    """One's own personal tokens."""

    @operation("list_tokens", "List your own tokens, without the tokens", answer="Token", page=True)
    def get(self, request: Request) -> HttpResponse:
        return page_response(list_tokens(self.actor(request), page_query(request._request, {})), wire.personal_token)

    @operation("create_token", "Make a personal token, shown once", answer="TokenMade", status=201, body="TokenNew")
    def post(self, request: Request) -> HttpResponse:
        body: Any = read_fields(request._request, TOKEN_NEW)

        def do(edit: Edit) -> Reply:
            days = body.get("expires_days", TOKEN_DAYS_DEFAULT)
            token, text = create_token(edit, label=body.get("label", ""), expires_days=days)
            return Reply(201, {**wire.personal_token(token), "token": text}, f"/tokens/{token.id}", once=("token",))

        return self.write(request, do, body=body)


class Token(Endpoint):
    """One of one's own tokens."""

    @operation("revoke_token", "Revoke one of your own tokens", answer={"type": "object"})
    def delete(self, request: Request, key: str) -> HttpResponse:
        def do(edit: Edit) -> Reply:
            revoke_token(edit, key)
            return Reply(200, {})

        return self.write(request, do)


class WhoAmI(Endpoint):
    """Who asks."""

    @operation("show_whoami", "Show who you are, where, and what you may do", answer="WhoAmI")
    def get(self, request: Request) -> HttpResponse:
        return json_response(_who(self.person(request), self.actor(request)))


class Me(Endpoint):
    """Who asks, among the people."""

    @operation("show_me", "Show who you are, where, and what you may do", answer="WhoAmI")
    def get(self, request: Request) -> HttpResponse:
        return json_response(_who(self.person(request), self.actor(request)))


def _who(person: SignedIn, actor: Actor) -> wire.Shown:
    here = next(each for each in person.memberships if each.organization_id == actor.organization_id)
    permissions = frozenset(each for role in actor.roles for each in ROLE_PERMISSIONS[role])
    return {
        "id": person.person_id,
        "email": person.email,
        "name": person.name,
        "organization": {"id": here.organization_id, "name": here.name},
        "roles": wire.names(here.roles),
        "permissions": sorted(permissions),
        "organizations": [
            {"id": each.organization_id, "name": each.name, "roles": wire.names(each.roles)}
            for each in person.memberships
        ],
    }


def _roles(body: dict[str, Any]) -> frozenset[Role]:
    return frozenset(Role(role) for role in body["roles"])


urlpatterns = [
    path("people", People.as_view()),
    path("people/link", Link.as_view()),
    path("people/me", Me.as_view()),
    path("people/<str:key>", Person.as_view()),
    path("people/<str:key>/link", NewLink.as_view()),
    path("people/<str:key>/roles", GivenRoles.as_view()),
    path("people/<str:key>/roles/<str:role>", GivenRole.as_view()),
    path("roles", Roles.as_view()),
    path("tokens", Tokens.as_view()),
    path("tokens/<str:key>", Token.as_view()),
    path("whoami", WhoAmI.as_view()),
]
