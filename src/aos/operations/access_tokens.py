"""Access tokens: signed for agents with their organization's key, and read back at every door.

A token names the organization, the agent, and the public key that its client proved, or the claim that it was exchanged for:
with these it ends, whatever its time. The key that signs is made when an organization first needs it, where it has none yet.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from aos.kernel.errors import NotFound, Unauthenticated, Unavailable
from aos.kernel.identity import Principal
from aos.kernel.json import Json
from aos.kernel.limits import JWKS_KEYS_MAX
from aos.kernel.oauth import (
    ACCESS_TOKEN_SECONDS,
    JWKS_PATH,
    SKEW_SECONDS,
    Access,
    Issued,
    Jwt,
    access_jwt,
    counts_for,
    organization_of,
    read_access,
)
from aos.kernel.ports import Jwts
from aos.operations.drivers import Drivers
from aos.operations.facts import FactsCache, OrganizationFacts, SigningKey
from aos.operations.key_rows import ACCESS, key_document, new_signing_key
from aos.operations.principals import principal_of_agent, principal_of_task
from aos.store.hot.database import Database

log = logging.getLogger("aos.operations")

_REFUSED = "the access token is unknown, expired or revoked: ask for another"
_JTI_BYTES = 16


@dataclass(frozen=True, slots=True)
class AccessTokens:
    """Gives access tokens and takes them. `addresses` are those by which clients know this server, the issuer's first."""

    database: Database
    facts: FactsCache
    drivers: Drivers
    addresses: tuple[str, ...]

    async def issue(
        self,
        access: Access,
        *,
        issuer: str,
        audience: tuple[str, ...],
        actors: tuple[UUID, ...],
        epoch: int,
        now: datetime,
    ) -> str:
        """Return a signed token; `epoch` is the one under which its agent was found to stand, and the key is no older.

        The token expires ACCESS_TOKEN_SECONDS after `now`, whatever `access` says.
        """
        key = await self._signing_key(access.organization_id, newer_than=epoch - 1)
        access = replace(access, expires_at=now + timedelta(seconds=ACCESS_TOKEN_SECONDS))
        jti = self.drivers.ids.random_bytes(_JTI_BYTES).hex()
        issued = Issued(issuer, audience or (issuer,), access, actors, now, jti)
        return self.jwts().sign(access_jwt(issued, key_id=key.id), key.private)

    async def read(self, token: str) -> tuple[Principal, datetime]:
        """Return who an access token stands for, and when it expires; raise Unauthenticated."""
        said = self.jwts().read(token) if self.addresses else None
        organization_id = organization_of(said) if said is not None else None
        if said is None or organization_id is None:
            raise Unauthenticated(_REFUSED)
        key = await self._key_of(organization_id, said)
        proved = self.jwts().verify(token, key.public) if key is not None and key.public is not None else None
        now = self.facts.now()
        if key is None or proved is None or not counts_for(key.retired_at, now=now):
            raise Unauthenticated(_REFUSED)
        access = read_access(proved, self.addresses, now=now)
        if access is None or access.organization_id != organization_id:
            raise Unauthenticated(_REFUSED)
        principal = await (self._of_claim(access) if access.held is not None else self._of_key(access))
        return principal, access.expires_at

    async def public_keys(self, organization_id: UUID | None) -> Sequence[tuple[UUID, bytes]]:
        """Return the public keys that access tokens are checked by, by id; of all organizations where none is named.

        Raises NotFound where they are more than one answer holds.
        """
        seconds = ACCESS_TOKEN_SECONDS + SKEW_SECONDS
        params = {"organization_id": organization_id, "retired_seconds": seconds, "rows_max": JWKS_KEYS_MAX + 1}
        rows = await self.database.read("list_access_keys", params)
        if len(rows) > JWKS_KEYS_MAX:
            raise NotFound(f"there are more than {JWKS_KEYS_MAX} keys: name one organization as `?organization=<id>`")
        return [(row["id"], bytes(row["public_key"])) for row in rows]

    async def signed_card(self, organization_id: UUID, card: dict[str, Json], *, issuer: str) -> dict[str, Json]:
        """Return an agent's card signed by its organization, as it is where this process knows no addresses of its own.

        The key is the one of access tokens: it is found at the issuer, and no card can be taken for a token.
        """
        if self.drivers.cards is None or not self.addresses:
            return card
        key = await self._signing_key(organization_id, newer_than=-1)
        keys_url = f"{issuer}{JWKS_PATH}?organization={organization_id}"
        return self.drivers.cards.signed(card, key_id=str(key.id), keys_url=keys_url, private=key.private)

    async def _signing_key(self, organization_id: UUID, *, newer_than: int) -> SigningKey:
        facts = await self.facts.of(organization_id, newer_than=newer_than)
        if (key := _current(facts)) is None:
            await self._make_keys(facts)
            facts = await self.facts.of(organization_id, newer_than=facts.epoch)
            key = _current(facts)
        if key is None:
            raise Unavailable("the organization has no key to sign access tokens with; try again in a second")
        return key

    async def _make_keys(self, facts: OrganizationFacts) -> None:
        """Make the first keys of an organization that has none: one that is older than access tokens are."""
        keys = facts.data_keys
        rows = [
            new_signing_key(
                self.drivers,
                facts.id,
                ACCESS,
                state=state,
                data_key_id=keys.current_id,
                key=keys.by_id[keys.current_id],
            )
            for state in ("current", "next")
        ]
        document = msgspec.json.encode([key_document(row) for row in rows]).decode()
        made = await self.database.write_in_order(
            ("begin_change", {"organization_id": facts.id}), ("insert_access_keys", {"keys": document})
        )
        if made:
            log.info("made the first keys for access tokens", extra={"organization_id": str(facts.id)})

    async def _key_of(self, organization_id: UUID, said: Jwt) -> SigningKey | None:
        """Return the key that a token's header names; one that is not known is looked for under the newest epoch."""
        try:
            facts = await self.facts.of(organization_id)
            if (key := _named(facts, said)) is None:
                await self.facts.refresh()
                key = _named(await self.facts.of(organization_id), said)
            return key
        except NotFound:
            return None

    async def _of_key(self, access: Access) -> Principal:
        params = {
            "organization_id": access.organization_id,
            "key_id": access.key_id,
            "agent_id": access.agent_id,
        }
        rows = await self.database.read("find_agent_key", params)
        if not rows:
            raise Unauthenticated(_REFUSED)
        return principal_of_agent(rows[0])

    async def _of_claim(self, access: Access) -> Principal:
        held = access.held
        assert held is not None
        params = {"run_id": held.run_id, "task_id": held.task_id, "claim_token": held.claim_token}
        rows = await self.database.read("find_claim", {"organization_id": access.organization_id, **params})
        if not rows or rows[0]["agent_id"] != access.agent_id:
            raise Unauthenticated(_REFUSED)
        return principal_of_task(rows[0], held.claim_token)

    def jwts(self) -> Jwts:
        """Return what reads and signs; raise Unauthenticated where this process has none."""
        if self.drivers.jwts is None:
            raise Unauthenticated("this process takes no access tokens")
        return self.drivers.jwts


def _current(facts: OrganizationFacts) -> SigningKey | None:
    return next((key for key in facts.signing_keys if key.purpose == ACCESS and key.state == "current"), None)


def _named(facts: OrganizationFacts, said: Jwt) -> SigningKey | None:
    kid = said.header.get("kid")
    return next((key for key in facts.signing_keys if key.purpose == ACCESS and str(key.id) == kid), None)
