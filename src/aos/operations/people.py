"""People: their membership and roles, their personal tokens, and the one-time links by which they first come in.

A person is one in the whole deployment and a member of organizations. A link, token or session opens the organization
that issued it, and those that its holder founded with it: no organization answers for who somebody is in another. The last administrator of an organization stays one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from aos.kernel.errors import Conflict, FieldError, InvalidRequest, NotFound, Unauthenticated
from aos.kernel.ledger.record import RecordKind
from aos.kernel.manifest.values import PersonSpec
from aos.kernel.people import Actor, Permission, Role
from aos.operations.drivers import Drivers
from aos.operations.pages import Page, PageQuery, find_one, list_page, parse_uuid
from aos.operations.registry import Entry
from aos.operations.registry_records import Edit, edit_registry, reading
from aos.operations.sign_in import find_person
from aos.operations.tokens import SECRET_BYTES, TokenKind, new_token, token_hash
from aos.store.cold.connection import deployment, run_sql, tenant
from aos.store.cold.machine import read_machine

TOKEN_DAYS_DEFAULT: Final = 90
TOKEN_DAYS_MAX: Final = 366
_LINK: Final = re.compile(rf"{TokenKind.LINK}[A-Za-z0-9_-]{{43}}(?![A-Za-z0-9_-])")
LINK_SECONDS: Final = 24 * 3600
"""How long a one-time link stands."""


@dataclass(frozen=True, slots=True)
class PersonDetail:
    """One member of the organization."""

    id: UUID
    email: str
    name: str
    roles: tuple[Role, ...]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class PersonalToken:
    """One personal token, without the token."""

    id: UUID
    kind: str
    label: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None


def invite_person(edit: Edit, spec: PersonSpec) -> tuple[UUID, str]:
    """Make a person a member with roles and return their id and a one-time link's token, shown once.

    The link opens this organization alone, whatever others the person belongs to. Raises Conflict where they are a member
    already.
    """
    id = add_member(edit, spec)
    return id, _invitation(edit, id)


def renew_link(edit: Edit, key: str) -> tuple[PersonDetail, str]:
    """Return a member with a fresh one-time link into this organization; raise NotFound.

    For oneself it needs no permission: a personal token opens the console as the link does.
    """
    if not edit.actor.may(Permission.PEOPLE_WRITE) and key not in (edit.actor.email, str(edit.actor.person_id)):
        edit.require(Permission.PEOPLE_WRITE)
    person = find_member(edit.organization_id, key)
    edit.record(RecordKind.TOKEN_CHANGED, "link.created", subject=f"person:{person.id}")
    return person, _invitation(edit, person.id)


def _invitation(edit: Edit, person_id: UUID) -> str:
    label = f"invitation to {edit.registry.manifest.organization.name}"[:200]
    return issue_link(edit.drivers, person_id, issuer_id=edit.organization_id, label=label)


def add_member(edit: Edit, spec: PersonSpec) -> UUID:
    """Make a person a member with roles, without a link; raise Conflict where they are one already."""
    edit.require(Permission.PEOPLE_WRITE)
    ids = edit.drivers.ids
    (row,) = run_sql("upsert_person", {"id": ids.new(), "email": spec.email, "name": spec.name})
    person_id: UUID = row["id"]
    params = {
        "organization_id": edit.organization_id,
        "id": ids.new(),
        "person_id": person_id,
        "roles": [role.value for role in spec.roles],
        "founded_from_id": None,
    }
    if not run_sql("insert_member", params):
        raise Conflict(f"`{spec.email}` is a member already")
    edit.registry.entries["person", spec.email] = Entry(person_id)
    edit.record(RecordKind.REGISTRY_CHANGED, "person.invited", subject=f"person:{person_id}")
    return person_id


def change_roles(
    edit: Edit, key: str, *, add: frozenset[Role] = frozenset(), remove: frozenset[Role] = frozenset()
) -> None:
    """Give and take roles of a member, by e-mail or id; raise NotFound, or Conflict for the last administrator."""
    edit.require(Permission.PEOPLE_WRITE)
    person = find_member(edit.organization_id, key)
    set_roles(edit, person, (frozenset(person.roles) | add) - remove)


def set_roles(edit: Edit, person: PersonDetail, roles: frozenset[Role]) -> None:
    """Set a member's roles; raise Conflict where the organization would be left without an administrator."""
    edit.require(Permission.PEOPLE_WRITE)
    params = {
        "organization_id": edit.organization_id,
        "person_id": person.id,
        "roles": sorted(role.value for role in roles),
    }
    run_sql("update_member_roles", params)
    (row,) = run_sql("count_admins", {"organization_id": edit.organization_id})
    if not row["admins"]:
        raise Conflict(f"`{person.email}` is the last administrator: make another one first")
    edit.record(RecordKind.REGISTRY_CHANGED, "person.roles", subject=f"person:{person.id}")


def list_people(actor: Actor, query: PageQuery) -> Page[PersonDetail]:
    """Return a page of the organization's people."""
    with reading(actor, Permission.REGISTRY_READ):
        return find_people(actor.organization_id, query)


def show_person(actor: Actor, key: str) -> PersonDetail:
    """Return one member by e-mail or id; raise NotFound."""
    with reading(actor, Permission.REGISTRY_READ):
        return find_member(actor.organization_id, key)


def find_member(organization_id: UUID, key: str) -> PersonDetail:
    """Return one member by e-mail or id, in the open transaction; raise NotFound."""
    return find_one(find_people, organization_id, key, what="person")


def find_people(organization_id: UUID, query: PageQuery) -> Page[PersonDetail]:
    """Return a page of the organization's people, in the open transaction."""
    return list_page(
        "list_people",
        organization_id,
        query,
        read=lambda row: PersonDetail(**{**row, "roles": tuple(Role(role) for role in row["roles"])}),
        names="email",
        **{"role": None, **query.filters},
    )


def create_token(edit: Edit, *, label: str, expires_days: int = TOKEN_DAYS_DEFAULT) -> tuple[PersonalToken, str]:
    """Make a personal token for the actor and return it with its text, which is shown once: `aosp_...`.

    It opens what the credential opens with which the actor signed in, and no more.
    """
    if not 1 <= expires_days <= TOKEN_DAYS_MAX:
        detail = f"must lie between 1 and {TOKEN_DAYS_MAX}"
        raise InvalidRequest(f"`expires_days` {detail}", errors=[FieldError("/expires_days", detail)])
    text, id = new_token(TokenKind.PERSONAL, edit.drivers.ids.random_bytes(SECRET_BYTES)), edit.drivers.ids.new()
    params = {
        "id": id,
        "person_id": edit.actor.person_id,
        "issuer_id": edit.actor.issuer,
        "kind": "personal",
        "label": label,
        "token_hash": token_hash(text),
        "seconds": expires_days * 86_400,
    }
    (row,) = run_sql("insert_token", params)
    edit.record(RecordKind.TOKEN_CHANGED, "token.created", subject=f"token:{id}")
    return PersonalToken(id, "personal", label, row["created_at"], row["expires_at"]), text


def revoke_token(edit: Edit, key: str) -> None:
    """Revoke one of the actor's own tokens; it counts nowhere any more, in no organization. Raises NotFound."""
    id = parse_uuid(key)
    if id is None or not run_sql("revoke_token", _holder(edit.actor, id=id)):
        raise NotFound(f"you have no token `{key[:80]}` that counts")
    others = [row["id"] for row in read_machine("list_memberships", _holder(edit.actor))]
    run_sql("raise_epochs", {"organization_ids": [each for each in others if each != edit.organization_id]})
    edit.record(RecordKind.TOKEN_CHANGED, "token.revoked", subject=f"token:{id}")


def list_tokens(actor: Actor, query: PageQuery) -> Page[PersonalToken]:
    """Return a page of the actor's own tokens, without the tokens."""
    with tenant(actor.organization_id):
        return list_page(
            "list_tokens",
            actor.organization_id,
            query,
            read=lambda row: PersonalToken(**row),
            **_holder(actor),
        )


def _holder(actor: Actor, **more: UUID) -> dict[str, Any]:
    """Return what tells a person's credentials of one issuer from all others."""
    return {"person_id": actor.person_id, "issuer_id": actor.issuer, **more}


def issue_link(drivers: Drivers, person_id: UUID, *, issuer_id: UUID, label: str) -> str:
    """File a one-time link for a person, in the open transaction, and return its token; it stands for LINK_SECONDS.

    It opens the organization that issues it, which answers for who the person is.
    """
    text = new_token(TokenKind.LINK, drivers.ids.random_bytes(SECRET_BYTES))
    params = {
        "id": drivers.ids.new(),
        "person_id": person_id,
        "issuer_id": issuer_id,
        "kind": "link",
        "label": label,
        "token_hash": token_hash(text),
        "seconds": LINK_SECONDS,
    }
    run_sql("insert_token", params)
    return text


def create_link(drivers: Drivers, person_id: UUID, *, issuer_id: UUID, label: str) -> str:
    """File a one-time link for a person in a transaction of its own: what an empty store prints for its administrator."""
    with deployment():
        return issue_link(drivers, person_id, issuer_id=issuer_id, label=label)


def exchange_link(drivers: Drivers, link: str, *, label: str) -> tuple[PersonalToken, str, Actor]:
    """Use a one-time link and return a fresh personal token for its person, recorded in the organization that issued it.

    `link` is its token, or the whole address that holds it. Raises Unauthenticated where it is unknown, used, revoked or
    has expired: which of these is not said.
    """
    found = _LINK.search(link)
    hashed = token_hash(found[0] if found else link)
    person = find_person("find_credential", hashed) if found else None
    if person is None or not person.memberships:
        raise _dead_link()
    actor = person.actor(str(person.issuer_id))
    with edit_registry(drivers, actor) as edit:
        if not run_sql("use_link", {"token_hash": hashed}):
            raise _dead_link()
        token, text = create_token(edit, label=label)
    return token, text, actor


def _dead_link() -> Unauthenticated:
    return Unauthenticated("this link is unknown, was used, or has expired: ask an administrator for a new one")
