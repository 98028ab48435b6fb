"""Who asks: from a personal token or a session's cookie to an actor in one of their organizations.

One statement of the machine role, since the organization is known only afterwards. Nothing is kept between requests: a
token that was revoked counts no more at the next one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from aos.kernel.errors import Forbidden, NotFound, Unauthenticated
from aos.kernel.people import Actor, Role
from aos.operations.tokens import TokenKind, token_hash
from aos.store.cold.machine import read_machine


@dataclass(frozen=True, slots=True)
class Membership:
    """One organization of a person, with the roles held there."""

    organization_id: UUID
    name: str
    roles: frozenset[Role]


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A person behind a credential that counts; memberships are those that it opens, newest first."""

    person_id: UUID
    email: str
    name: str
    credential_id: UUID
    issuer_id: UUID
    memberships: tuple[Membership, ...]
    chosen_id: UUID | None = None

    def membership(self, organization: str | None) -> Membership:
        """Return the membership for an organization's name or id; without one, the chosen or else the newest.

        Raises NotFound where the person has no such organization: whether it exists is not said.
        """
        if not self.memberships:
            raise Forbidden("you belong to no organization: ask an administrator to invite you")
        wanted = organization or (str(self.chosen_id) if self.chosen_id else "")
        for each in self.memberships:
            if wanted in ("", each.name) or str(each.organization_id) == wanted.lower():
                return each
        if organization is None:
            return self.memberships[0]
        raise NotFound(
            f"you belong to no organization `{organization[:80]}`, or came in by another's invitation: "
            "sign in with a link of its own"
        )

    def actor(self, organization: str | None) -> Actor:
        """Return the person as actor in the organization chosen."""
        chosen = self.membership(organization)
        return Actor(chosen.organization_id, self.person_id, self.email, chosen.roles, self.issuer_id)


def sign_in_with_token(token: str) -> SignedIn:
    """Return the person behind a personal token; raise Unauthenticated where it is unknown, revoked or has expired."""
    found = find_person("find_credential", token_hash(token)) if token.startswith(TokenKind.PERSONAL) else None
    if found is None:
        raise Unauthenticated(
            "the token is unknown or was revoked: sign in again, or make one with `aos tokens create`"
        )
    return found


def sign_in_with_session(cookie: str) -> SignedIn:
    """Return the person behind a session's cookie; raise Unauthenticated where it has ended."""
    found = find_person("find_session", token_hash(cookie))
    if found is None:
        raise Unauthenticated("the session has ended: sign in again")
    return found


def find_person(statement: str, hashed: bytes) -> SignedIn | None:
    """Return the person behind a credential's hash, None where it is unknown, used or was ended.

    Raises Unauthenticated where it has expired.
    """
    rows = read_machine(statement, {"token_hash": hashed})
    if not rows or rows[0]["ended"] or rows[0]["used"]:
        return None
    row = rows[0]
    if row["expired"]:
        raise Unauthenticated("the credential has expired: sign in again")
    return SignedIn(
        person_id=row["person_id"],
        email=row["email"],
        name=row["name"],
        credential_id=row["credential_id"],
        issuer_id=row["issuer_id"],
        memberships=tuple(_membership(each) for each in row["memberships"]),
        chosen_id=row["chosen_id"],
    )


def _membership(item: dict[str, Any]) -> Membership:
    return Membership(UUID(item["id"]), item["name"], frozenset(Role(role) for role in item["roles"]))
