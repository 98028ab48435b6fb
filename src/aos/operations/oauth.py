"""The token endpoint: clients that prove themselves by an agent's key, and what they are given.

A client signs an assertion with one of the agent's registered keys (RFC 7523, `private_key_jwt`); it counts once, in every
process. Inside a run a task token is exchanged for an access token that ends with the task's claim (RFC 8693). What a client
asked wrongly is said in OAuth's own words; whether an agent exists is not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from aos.kernel.errors import TokenRefused, Unauthenticated
from aos.kernel.identity import Principal
from aos.kernel.limits import CLIENT_KEYS_MAX
from aos.kernel.oauth import (
    ACCESS_TOKEN_SECONDS,
    ACCESS_TOKEN_TYPE,
    ASSERTION_TYPE,
    CLIENT_CREDENTIALS,
    TOKEN_EXCHANGE,
    Access,
    Held,
    Jwt,
    key_named_by,
    name_client,
    names_server,
    read_assertion,
    subject_of,
)
from aos.operations.access_tokens import AccessTokens
from aos.operations.authenticate import Authenticator
from aos.store.hot.database import Database, MachineTransaction, Row

GRANTS: Final = (CLIENT_CREDENTIALS, TOKEN_EXCHANGE)
_UNKNOWN: Final = "the client is unknown, or the assertion is not signed with a key of its own that counts"


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A request to the token endpoint; what is empty was not sent. `issuer` is the address it was sent to."""

    issuer: str
    grant_type: str = ""
    client_id: str = ""
    client_assertion: str = ""
    client_assertion_type: str = ""
    scope: str = ""
    resources: tuple[str, ...] = ()
    subject_token: str = ""
    subject_token_type: str = ""
    requested_token_type: str = ""
    actor_token: str = ""


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """An access token and how long it counts; `exchanged` where it was given for another token."""

    access_token: str
    expires_in_seconds: int
    exchanged: bool = False


@dataclass(frozen=True, slots=True)
class _Client:
    """An agent that has proved to hold one of its keys; `epoch` is the one under which both stood."""

    organization_id: UUID
    agent_id: UUID
    key_id: UUID
    epoch: int
    now: datetime


class TokenEndpoint:
    """Gives access tokens to those who prove who they are."""

    def __init__(self, database: Database, tokens: AccessTokens, authenticator: Authenticator) -> None:
        self.tokens = tokens
        self._database = database
        self._authenticator = authenticator

    async def issue(self, asked: TokenRequest) -> IssuedToken:
        """Return an access token; raise TokenRefused with OAuth's code."""
        if not asked.grant_type:
            raise TokenRefused("`grant_type` is missing")
        if asked.grant_type not in GRANTS:
            raise TokenRefused(f"`grant_type` must be one of {', '.join(GRANTS)}", code="unsupported_grant_type")
        if asked.scope:
            raise TokenRefused("there are no scopes: what an agent may do stands in its policy", code="invalid_scope")
        for each in asked.resources:
            if not names_server(each, self.tokens.addresses):
                raise TokenRefused(f"`{each[:80]}` is not this server: see AOS_PUBLIC_URL", code="invalid_target")
        if asked.grant_type == TOKEN_EXCHANGE:
            return await self._exchange(asked)
        client = await self._authenticate(asked)
        access = Access(client.organization_id, client.agent_id, client.now, key_id=client.key_id)
        return await self._issue(asked, access, actors=(client.agent_id,), epoch=client.epoch, now=client.now)

    async def _exchange(self, asked: TokenRequest) -> IssuedToken:
        """Give an access token for a task's: of the same chain, and ended by the same claim (RFC 8693, section 2)."""
        if asked.actor_token or asked.requested_token_type not in ("", ACCESS_TOKEN_TYPE):
            raise TokenRefused(f"only `{ACCESS_TOKEN_TYPE}` is given, for a subject token alone")
        if not asked.subject_token or asked.subject_token_type != ACCESS_TOKEN_TYPE:
            raise TokenRefused(f"`subject_token` must be a task token, `subject_token_type` `{ACCESS_TOKEN_TYPE}`")
        try:
            subject = await self._authenticator.principal(asked.subject_token)
        except Unauthenticated as error:
            raise TokenRefused(error.detail, code="invalid_grant") from error
        if subject.claim is None:
            raise TokenRefused("`subject_token` must be the token of a task under way", code="invalid_grant")
        if asked.client_assertion and (await self._authenticate(asked)).agent_id != subject.actor.id:
            raise TokenRefused("`subject_token` is another agent's", code="invalid_grant")
        await self.tokens.facts.refresh()
        now = self.tokens.facts.now()
        access = Access(subject.organization_id, subject.actor.id, now, held=_held(subject))
        actors = tuple(link.id for link in subject.chain)
        return await self._issue(asked, access, actors=actors, epoch=0, now=now)

    async def _issue(
        self, asked: TokenRequest, access: Access, *, actors: tuple[UUID, ...], epoch: int, now: datetime
    ) -> IssuedToken:
        token = await self.tokens.issue(
            access, issuer=asked.issuer, audience=asked.resources, actors=actors, epoch=epoch, now=now
        )
        return IssuedToken(token, ACCESS_TOKEN_SECONDS, exchanged=access.held is not None)

    async def _authenticate(self, asked: TokenRequest) -> _Client:
        """Return the client that an assertion proves, and use the assertion up."""
        if not asked.client_assertion or asked.client_assertion_type != ASSERTION_TYPE:
            detail = f"send `client_assertion` with the `client_assertion_type` `{ASSERTION_TYPE}`"
            raise TokenRefused(detail, code="invalid_client")
        said = self.tokens.jwts().read(asked.client_assertion)
        if said is None:
            raise TokenRefused("`client_assertion` is not a signed JSON Web Token", code="invalid_client")
        subject = subject_of(said)
        if asked.client_id not in ("", subject):
            raise TokenRefused("`client_id` is not the `sub` of the assertion", code="invalid_client")
        row, proved = await self._key_of(asked.client_assertion, said, subject)
        kept = read_assertion(proved.claims, self.tokens.addresses, now=row["now"])
        params = {
            "organization_id": row["organization_id"],
            "key_id": row["id"],
            "jti_hash": hashlib.sha256(kept.jti.encode()).digest(),
            "expires_at": kept.expires_at,
        }
        used = await self._write("use_assertion", params)
        if not used:
            raise TokenRefused(_UNKNOWN, code="invalid_client")
        if not used[0]["first"]:
            raise TokenRefused("the assertion was used before: sign one with another `jti`", code="invalid_client")
        return _Client(row["organization_id"], row["agent_id"], row["id"], used[0]["epoch"], used[0]["now"])

    async def _key_of(self, assertion: str, said: Jwt, subject: str) -> tuple[Row, Jwt]:
        """Return the one registered key that an assertion is signed with, and what it says."""
        named = name_client(subject)
        params = {
            "organization_id": named.organization_id,
            "agent_id": named.agent_id,
            "name": named.name,
            "thumbprint": key_named_by(said),
            "rows_max": CLIENT_KEYS_MAX,
        }
        keys: Sequence[Row] = await self._database.read("find_client_keys", params)
        verified = [(row, self.tokens.jwts().verify(assertion, bytes(row["public_key"]))) for row in keys]
        found = [(row, jwt) for row, jwt in verified if jwt is not None]
        if len(found) > 1:
            raise TokenRefused("several agents have this name and key: name yours by its id", code="invalid_client")
        if not found:
            raise TokenRefused(_UNKNOWN, code="invalid_client")
        return found[0]

    async def _write(self, statement: str, params: dict[str, object]) -> list[Row]:
        async def work(transaction: MachineTransaction) -> list[Row]:
            return await transaction.run(statement, params)

        return await self._database.write(work)


def _held(subject: Principal) -> Held:
    claim = subject.claim
    assert claim is not None
    return Held(claim.run_id, claim.task_id, claim.token)
