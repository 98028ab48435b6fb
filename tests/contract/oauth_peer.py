"""OAuth clients for tests: agents' key pairs, assertions made by hand, and requests to the token endpoint."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aos.kernel.jwk import thumbprint_of
from tests.doors import Door
from tests.worlds import IDS, World

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TYPE = "urn:ietf:params:oauth:token-type:access_token"


@dataclass(frozen=True)
class Holder:
    """An agent's private key, with the id that AOS knows its public half by."""

    agent_id: UUID
    key_id: UUID
    private: Ed25519PrivateKey

    @property
    def public(self) -> bytes:
        return self.private.public_key().public_bytes_raw()

    @property
    def pem(self) -> str:
        form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        return self.private.private_bytes(serialization.Encoding.PEM, *form).decode()


def holder(world: World, agent: str, private: Ed25519PrivateKey | None = None) -> Holder:
    """File a public key for an agent, as registering does."""
    made = Holder(world.agents[agent].id, IDS.new(), private or Ed25519PrivateKey.generate())
    world.rows(
        "insert into agent_key (organization_id, id, agent_id, public_key, thumbprint, proved_at)"
        " values (%s, %s, %s, %s, %s, aos_now())",
        world.organization_id,
        made.key_id,
        made.agent_id,
        made.public,
        thumbprint_of(made.public),
    )
    return made


def claims(audience: str, client: object, **more: Any) -> dict[str, Any]:
    """Return the claims of an assertion; a claim that is given as None is left out."""
    now = int(time.time())
    said = {"iss": str(client), "sub": str(client), "aud": audience, "exp": now + 60, "iat": now, "jti": str(IDS.new())}
    return {name: value for name, value in {**said, **more}.items() if value is not None}


def assertion(door: Door, by: Holder, *, header: dict[str, Any] | None = None, **more: Any) -> str:
    """Return an assertion of a holder, for the door's token endpoint."""
    said = claims(more.pop("aud", f"{door.url}/oauth/token"), more.pop("client", by.agent_id), **more)
    return jwt.encode(said, by.private, algorithm="EdDSA", headers=header)


def form(signed: str, **more: Any) -> dict[str, Any]:
    """Return the form of a client that proves itself by an assertion."""
    return {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": signed,
        **more,
    }


def ask(door: Door, signed: str, **more: Any) -> httpx.Response:
    """Ask for a token with an assertion."""
    return door.client.post("/oauth/token", data=form(signed, **more))


def access_token(door: Door, by: Holder, **more: Any) -> str:
    """Return an access token of an agent."""
    answer = ask(door, assertion(door, by), **more)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


def error_of(answer: httpx.Response) -> tuple[int, str]:
    """Return status and code of a refusal, having seen that its form is OAuth's."""
    said = answer.json()
    assert set(said) == {"error", "error_description"}, said
    assert answer.headers["cache-control"] == "no-store"
    assert ("www-authenticate" in answer.headers) == (answer.status_code == 401)
    return answer.status_code, str(said["error"])
