"""Sessions of the console: opened by a one-time link or a personal token, kept as a cookie's hash, ended by the person.

A cookie's text exists once, in the answer that sets it. Opening and ending are in the ledger like any other credential.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from aos.kernel.errors import NotFound, Unauthenticated
from aos.kernel.ledger.record import RecordKind
from aos.operations.drivers import Drivers
from aos.operations.registry_records import edit_registry
from aos.operations.sign_in import SignedIn, find_person, sign_in_with_session, sign_in_with_token
from aos.operations.tokens import SECRET_BYTES, TokenKind, new_token, token_hash
from aos.store.cold.connection import run_sql, tenant

SESSION_COOKIE: Final = "aos_session"
SESSION_SECONDS: Final = 12 * 3600
"""How long a session stands."""


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """A session that was just opened: the cookie's text, and when it ends."""

    cookie: str
    expires_at: datetime


def open_session_by_link(drivers: Drivers, link: str) -> OpenedSession:
    """Use a one-time link and open a session for its person.

    Raises Unauthenticated where the link is unknown, used, revoked or has expired: which of these is not said.
    """
    hashed = token_hash(link)
    person = find_person("find_credential", hashed) if link.startswith(TokenKind.LINK) else None
    if person is None or not person.memberships:
        raise _dead_link()
    return _open(drivers, person, link=hashed)


def open_session_by_token(drivers: Drivers, token: str) -> OpenedSession:
    """Open a session for the person behind a personal token; raise Unauthenticated."""
    return _open(drivers, sign_in_with_token(token.strip()), link=None)


def end_session(drivers: Drivers, cookie: str) -> None:
    """End a session; nothing happens where it has ended already."""
    try:
        person = sign_in_with_session(cookie)
    except Unauthenticated:
        return
    with edit_registry(drivers, person.actor(None)) as edit:
        if run_sql("end_session", {"token_hash": token_hash(cookie)}):
            edit.record(RecordKind.TOKEN_CHANGED, "session.ended", subject=f"session:{person.credential_id}")


def choose_organization(cookie: str, organization_id: UUID) -> None:
    """Let a session show another of the person's organizations; raise NotFound where they are no member of it."""
    person = sign_in_with_session(cookie)
    if organization_id not in [each.organization_id for each in person.memberships]:
        raise NotFound(f"you belong to no organization `{organization_id}`")
    with tenant(organization_id):
        run_sql("choose_session_organization", {"token_hash": token_hash(cookie), "organization_id": organization_id})


def _open(drivers: Drivers, person: SignedIn, *, link: bytes | None) -> OpenedSession:
    cookie = new_token(TokenKind.SESSION, drivers.ids.random_bytes(SECRET_BYTES))
    actor = person.actor(None if link is None else str(person.issuer_id))
    with edit_registry(drivers, actor) as edit:
        if link is not None and not run_sql("use_link", {"token_hash": link}):
            raise _dead_link()
        session_id = drivers.ids.new()
        params = {
            "id": session_id,
            "person_id": person.person_id,
            "token_hash": token_hash(cookie),
            "issuer_id": person.issuer_id,
            "organization_id": actor.organization_id,
            "seconds": SESSION_SECONDS,
        }
        (row,) = run_sql("insert_session", params)
        edit.record(RecordKind.TOKEN_CHANGED, "session.opened", subject=f"session:{session_id}")
    return OpenedSession(cookie, row["expires_at"])


def _dead_link() -> Unauthenticated:
    return Unauthenticated("this link is unknown, was used, or has expired: ask an administrator for a new one")
