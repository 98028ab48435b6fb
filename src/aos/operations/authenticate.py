"""From a bearer token to a principal, for agents' doors.

Known tokens are kept by their hash with the epoch they were checked under; when the organization's epoch has moved, they
are looked up again. So a revocation, which raises the epoch in its own transaction, ends them in every process: the gate
asks `credential_stands` where it decides under a later epoch than the principal carries.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from aos.kernel.errors import NotFound, Unauthenticated
from aos.kernel.identity import ChainLink, Claim, Principal, PrincipalKind
from aos.kernel.limits import TOKEN_CACHE_MAX
from aos.operations.access_tokens import AccessTokens
from aos.operations.facts import FactsCache
from aos.operations.principals import principal_of_agent, principal_of_task
from aos.operations.tokens import (
    TaskToken,
    TokenKind,
    is_genuine,
    parse_stream_token,
    parse_task_token,
    token_hash,
    token_kind,
)
from aos.store.hot.database import Database

_TAKEN: Final = frozenset({TokenKind.ACCESS, TokenKind.API_KEY, TokenKind.TASK, TokenKind.PERSONAL})


@dataclass(frozen=True, slots=True)
class _Known:
    principal: Principal
    expires_at: datetime | None
    epoch: int | None


class Authenticator:
    """Turns tokens into principals."""

    def __init__(self, database: Database, facts: FactsCache, access: AccessTokens | None = None) -> None:
        self._database = database
        self._facts = facts
        self._access = access
        self._known: OrderedDict[bytes, _Known] = OrderedDict()

    async def principal(self, token: str | None, *, organization: str | None = None) -> Principal:
        """Return who a bearer token stands for; `organization` names one of a person's, else the newest counts.

        Raises Unauthenticated, which never says whether a token was ever known.
        """
        kind = token_kind(token) if token else None
        if token is None or kind not in _TAKEN:
            raise Unauthenticated(
                "give an access token, an agent API key, a task token or a personal token as `Authorization: Bearer`"
            )
        digest = token_hash(token)
        if kind is TokenKind.TASK:
            return await self._of_task(token)
        if kind is TokenKind.PERSONAL:
            return await self._of_person(digest, organization)
        if (principal := await self._still_known(digest)) is not None:
            return principal
        return await (self._of_access_token(token, digest) if kind is TokenKind.ACCESS else self._of_api_key(digest))

    async def stream(self, token: str, run_id: UUID) -> UUID:
        """Return the organization of a console page's stream token, which is for one run and expires."""
        parsed = parse_stream_token(token)
        if parsed is None or parsed[0].run_id != run_id or parsed[0].expires_at < self._facts.now().timestamp():
            raise Unauthenticated("the stream token is malformed, expired or for another run: reload the page")
        said, plain, mac = parsed
        try:
            facts = await self._facts.of(said.organization_id)
        except NotFound as error:
            raise Unauthenticated("the stream token is not genuine") from error
        if not is_genuine(plain, mac, key=facts.key("token").private):
            raise Unauthenticated("the stream token is not genuine")
        return said.organization_id

    async def _of_api_key(self, digest: bytes) -> Principal:
        rows = await self._database.read("find_api_key", {"hash": digest})
        if not rows:
            self._known.pop(digest, None)
            raise Unauthenticated("the API key is unknown, expired or revoked")
        principal = principal_of_agent(rows[0])
        self._keep(digest, _Known(principal, rows[0]["expires_at"], principal.epoch))
        return principal

    async def _of_access_token(self, token: str, digest: bytes) -> Principal:
        if self._access is None:
            raise Unauthenticated("this process takes no access tokens")
        try:
            principal, expires_at = await self._access.read(token)
        except Unauthenticated:
            self._known.pop(digest, None)
            raise
        epoch = principal.epoch or self._facts.epoch_of(principal.organization_id)
        self._keep(digest, _Known(principal, expires_at, epoch))
        return principal

    async def _still_known(self, digest: bytes) -> Principal | None:
        """Return who a token was found to stand for, if nothing that could end it has happened since."""
        known = self._known.get(digest)
        if known is None:
            return None
        principal = known.principal
        facts = await self._facts.of(principal.organization_id)
        over = known.expires_at is not None and known.expires_at <= self._facts.now()
        if facts.epoch != known.epoch or over:
            return None
        if principal.claim is not None:  # its claim may be lost under any epoch
            stands = await claim_stands(self._database, principal.organization_id, principal.claim)
            return principal if stands else None
        return principal

    def _keep(self, digest: bytes, known: _Known) -> None:
        self._known[digest] = known
        self._known.move_to_end(digest)
        while len(self._known) > TOKEN_CACHE_MAX:
            self._known.popitem(last=False)

    async def _of_person(self, digest: bytes, organization: str | None) -> Principal:
        rows = await self._database.read("find_person_token", {"hash": digest, "organization": organization})
        if not rows or rows[0]["organization_id"] is None:
            raise Unauthenticated("the personal token is unknown, expired or revoked")
        row = rows[0]
        return Principal(
            organization_id=row["organization_id"],
            chain=(ChainLink(PrincipalKind.PERSON, row["person_id"], row["email"]),),
            roles=tuple(row["roles"]),
            credential_id=row["id"],
            epoch=row["epoch"],
        )

    async def task_token(self, text: str) -> TaskToken:
        """Return what a genuine task token says, whether or not its claim still stands; raise Unauthenticated."""
        parsed = parse_task_token(text)
        if parsed is None:
            raise Unauthenticated("the task token is malformed")
        said, plain, mac = parsed
        try:
            facts = await self._facts.of(said.organization_id)
        except NotFound as error:
            raise Unauthenticated("the task token is unknown or its task has ended") from error
        keys = [key for key in facts.signing_keys if key.purpose == "token" and key.state in ("current", "next")]
        if not any(is_genuine(plain, mac, key=key.private) for key in keys):
            raise Unauthenticated("the task token is unknown or its task has ended")
        return said

    async def _of_task(self, token: str) -> Principal:
        said = await self.task_token(token)
        rows = await self._database.read(
            "find_claim",
            {
                "organization_id": said.organization_id,
                "run_id": said.run_id,
                "task_id": said.task_id,
                "claim_token": said.claim_token,
            },
        )
        if not rows or rows[0]["agent_id"] is None:
            raise Unauthenticated("the task token is unknown or its task has ended")
        return principal_of_task(rows[0], said.claim_token)


async def claim_stands(database: Database, organization_id: UUID, claim: Claim) -> bool:
    """Say whether the task is still claimed under this token."""
    rows = await database.read(
        "find_claim",
        {
            "organization_id": organization_id,
            "run_id": claim.run_id,
            "task_id": claim.task_id,
            "claim_token": claim.token,
        },
    )
    return bool(rows)


async def credential_stands(database: Database, principal: Principal) -> bool:
    """Say whether what the principal was signed in with still counts, with the same roles."""
    rows = await database.read(
        "find_standing",
        {"organization_id": principal.organization_id, "credential_id": principal.credential_id},
    )
    return bool(rows) and tuple(rows[0]["roles"] or ()) == principal.roles
