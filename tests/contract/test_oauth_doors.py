"""Access tokens at the doors: ordinary OAuth and MCP clients, what ends a token, rotation, and two data planes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import jwt
import pytest
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc.jwk import OKPKey
from mcp import Client
from mcp.client.auth.extensions.client_credentials import PrivateKeyJWTOAuthProvider, SignedJWTParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken

from aos.operations.tokens import TaskToken, make_task_token
from tests.contract.mcp_peer import BOTH_MODES
from tests.contract.oauth_peer import (
    ACCESS_TYPE,
    EXCHANGE,
    Holder,
    access_token,
    ask,
    assertion,
    error_of,
    holder,
)
from tests.databases import Database
from tests.doors import Door, claim_task, open_door, revoke, until
from tests.worlds import World, agent, make_world, tool

ADDRESS = "https://aos.example"


@pytest.fixture
def world(database: Database) -> World:
    return make_world(
        database,
        agents=[agent("finance", "erp.*"), agent("clerk", "erp.*"), agent("month-end", "erp.*")],
        tools=[tool("erp.read")],
    )


@pytest.fixture
def door(world: World) -> Iterator[Door]:
    with open_door(world) as opened:
        yield opened


@pytest.fixture
def finance(world: World) -> Holder:
    return holder(world, "finance")


def status(door: Door, token: str) -> int:
    return door.call("erp.read", token=token).status_code


# --- clients


def test_an_ordinary_oauth_client_finds_its_way_by_the_metadata(door: Door, finance: Holder) -> None:
    metadata = door.client.get("/.well-known/oauth-authorization-server").json()
    session = OAuth2Session(
        str(finance.agent_id), OKPKey.import_key(finance.pem), token_endpoint_auth_method="private_key_jwt"
    )
    session.trust_env = False
    session.register_client_auth_method(PrivateKeyJWT(metadata["token_endpoint"], alg="Ed25519"))
    token = session.fetch_token(metadata["token_endpoint"], grant_type="client_credentials")
    assert token["token_type"] == "Bearer"
    answer = session.post(f"{door.url}/tools/erp.read/call", json={})
    assert answer.status_code == 200, answer.text
    session.close()


class Storage:
    """Remembers what the MCP client's provider was given."""

    token: OAuthToken | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.token

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.token = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return None

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        raise AssertionError("nothing is registered by a client here")


@pytest.mark.parametrize("mode", BOTH_MODES)
def test_the_mcp_client_signs_in_by_itself(door: Door, finance: Holder, mode: Any) -> None:
    storage, name = Storage(), str(finance.agent_id)
    signing = SignedJWTParameters(
        issuer=name, subject=name, signing_key=finance.pem, signing_algorithm="EdDSA"
    ).create_assertion_provider()
    provider = PrivateKeyJWTOAuthProvider(
        f"{door.url}/mcp", storage, client_id=name, assertion_provider=signing, issuer=door.url
    )

    async def main() -> list[str]:
        async with httpx2.AsyncClient(auth=provider, timeout=30) as http:
            transport = streamable_http_client(f"{door.url}/mcp", http_client=http)
            async with Client(transport, mode=mode, read_timeout_seconds=30) as client:
                await client.call_tool("erp_read", {})
                return [each.name for each in (await client.list_tools()).tools]

    assert asyncio.run(main()) == ["erp_read"]
    assert storage.token is not None
    said = jwt.decode(storage.token.access_token, options={"verify_signature": False})
    assert said["aud"] == f"{door.url}/mcp"


# --- what tells of it


def test_the_metadata_names_what_is_there(door: Door) -> None:
    answer = door.client.get("/.well-known/oauth-authorization-server")
    assert answer.headers["cache-control"] == "public, max-age=300"
    assert answer.json() == {
        "issuer": door.url,
        "authorization_endpoint": f"{door.url}/oauth/authorize",
        "token_endpoint": f"{door.url}/oauth/token",
        "jwks_uri": f"{door.url}/.well-known/jwks.json",
        "response_types_supported": [],
        "grant_types_supported": ["client_credentials", EXCHANGE],
        "token_endpoint_auth_methods_supported": ["private_key_jwt", "none"],
        "token_endpoint_auth_signing_alg_values_supported": ["EdDSA", "Ed25519"],
    }
    assert error_of(door.client.get("/oauth/authorize")) == (400, "unsupported_response_type")
    assert door.client.post("/.well-known/oauth-authorization-server").status_code == 405
    assert door.client.head("/.well-known/jwks.json").status_code == 200
    assert door.client.get("/.well-known/jwks.json", params={"organization": "x"}).status_code == 400


def test_a_host_that_the_operator_did_not_name_is_never_the_issuer(door: Door, finance: Holder) -> None:
    for header in ({"host": "evil.example"}, {"x-forwarded-host": "evil.example"}):
        found = door.client.get("/.well-known/oauth-authorization-server", headers=header).json()
        assert found["issuer"] == door.url
        protected = door.client.get("/.well-known/oauth-protected-resource", headers=header).json()
        assert protected["authorization_servers"] == [door.url]
        stolen = assertion(door, finance, aud="http://evil.example/oauth/token")
        data = {"grant_type": "client_credentials", "client_assertion": stolen}
        data["client_assertion_type"] = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        assert error_of(door.client.post("/oauth/token", data=data, headers=header)) == (401, "invalid_client")


def test_whoever_is_not_signed_in_is_told_where_to_ask(door: Door) -> None:
    where = f'Bearer resource_metadata="{door.url}/.well-known/oauth-protected-resource"'
    for method, path in (("POST", "/tools/erp.read/call"), ("POST", "/v1/chat/completions"), ("GET", "/v1/models")):
        assert door.client.request(method, path).headers["www-authenticate"] == where
        refused = door.client.request(method, path, headers={"authorization": "Bearer eyJ.x.y"})
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == f'{where}, error="invalid_token"'
    assert door.client.get("/.well-known/oauth-protected-resource").json()["authorization_servers"] == [door.url]


# --- what ends a token


ENDINGS = {
    "the key is revoked": "update agent_key set revoked_at = aos_now()",
    "the agent is retired": "update agent set status = 'retired' where name = 'finance'",
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_token_ends_with_its_key_and_agent_in_every_process_that_heard_no_bell(
    world: World, finance: Holder, ending: str
) -> None:
    with open_door(world, addresses=(ADDRESS,)) as one, open_door(world, addresses=(ADDRESS,)) as other:
        token = ask(one, assertion(one, finance, aud=ADDRESS)).json()["access_token"]
        assert [status(each, token) for each in (one, other)] == [200, 200]
        revoke(world, ENDINGS[ending])
        assert [status(each, token) for each in (one, other)] == [401, 401]
    assert world.states() == [("erp.read", "performed")] * 2


def test_a_paused_agent_may_do_nothing_with_its_token(world: World, door: Door, finance: Holder) -> None:
    token = access_token(door, finance)
    assert status(door, token) == 200
    revoke(world, "update agent set status = 'paused' where name = 'finance'")
    assert status(door, token) == 403


def test_another_key_of_the_same_agent_ends_nothing(world: World, door: Door, finance: Holder) -> None:
    second = holder(world, "finance")
    tokens = [access_token(door, each) for each in (finance, second)]
    revoke(world, "update agent_key set revoked_at = aos_now() where id = %s", finance.key_id)
    assert [status(door, each) for each in tokens] == [401, 200]


def test_a_known_token_asks_the_database_nothing(world: World, door: Door, finance: Holder) -> None:
    token = access_token(door, finance)
    first = door.run(door.services.authenticator.principal(token))
    door.run(door.running.database.close())
    again = [door.run(door.services.authenticator.principal(token)) for _ in range(3)]
    assert all(each is first for each in again)


def signed(door: Door, world: World, **more: Any) -> str:
    """Return a token signed with the organization's own key, that says what it must not."""
    facts = door.run(door.services.facts.of(world.organization_id))
    key = facts.key("access")
    now = int(time.time())
    (row,) = world.rows("select id, agent_id from agent_key limit 1")
    said = {
        "iss": door.url, "aud": door.url, "sub": str(row[1]), "client_id": str(row[1]), "iat": now, "exp": now + 60,
        "jti": "1", "aos_organization": str(world.organization_id), "aos_key": str(row[0]),
    } | more  # fmt: skip
    header = {"typ": said.pop("typ", "at+jwt"), "kid": str(said.pop("kid", key.id))}
    private: Any = said.pop("private", Ed25519PrivateKey.from_private_bytes(key.private))
    return jwt.encode({k: v for k, v in said.items() if v is not None}, private, algorithm="EdDSA", headers=header)


def test_a_token_that_says_what_it_must_not_opens_nothing(world: World, door: Door, finance: Holder) -> None:
    access_token(door, finance)
    now = int(time.time())
    assert status(door, signed(door, world)) == 200
    (clerk,) = world.rows("select id from agent where name = 'clerk'")[0]
    wrong: list[dict[str, Any]] = [
        {"exp": now - 1}, {"exp": None}, {"exp": now + 86_400}, {"iat": None}, {"aud": "https://elsewhere.example"},
        {"aud": None}, {"aud": f"{door.url}.evil.example"}, {"iss": "https://elsewhere.example"}, {"iss": None},
        {"typ": "JWT"}, {"aos_organization": None}, {"aos_organization": "x"}, {"aos_key": None},
        {"aos_key": str(clerk)}, {"client_id": str(clerk)}, {"client_id": None},
        {"aos_organization": "00000000-0000-7000-8000-000000000000"},
        {"kid": "00000000-0000-7000-8000-000000000000"}, {"private": Ed25519PrivateKey.generate()},
        {"private": finance.private},
    ]  # fmt: skip
    for each in wrong:
        assert status(door, signed(door, world, **each)) == 401, each
    good = signed(door, world)
    for token in (good[:-6] + "AAAAAA", good + ".x", good.rsplit(".", 1)[0] + ".", "eyJ", "eyJ" + "A" * 9_000):
        assert status(door, token) == 401, token[:40]
    assert status(door, assertion(door, finance)) == 401


def test_a_token_of_another_organizations_key_opens_nothing(database: Database, world: World, door: Door) -> None:
    other = make_world(database, agents=[agent("finance", "erp.*")], tools=[tool("erp.read")], keys=world.keys)
    mine, theirs = holder(world, "finance"), holder(other, "finance")
    assert [status(door, access_token(door, each)) for each in (mine, theirs)] == [200, 200]
    foreign = door.run(door.services.facts.of(other.organization_id)).key("access")
    private = Ed25519PrivateKey.from_private_bytes(foreign.private)
    assert status(door, signed(door, world, private=private)) == 401
    assert status(door, signed(door, world, private=private, kid=foreign.id)) == 401


def test_a_token_expires_though_the_door_knows_it(world: World, door: Door, finance: Holder) -> None:
    access_token(door, finance)
    token = signed(door, world, exp=int(time.time()) + 2)
    assert status(door, token) == 200
    until(lambda: status(door, token) == 401)


# --- rotation


def rotate(world: World) -> None:
    """Do what `rotate_signing_key` does to the keys, but for making the next one."""
    world.rows(
        "update signing_key set state = 'retired', retired_at = aos_now() where purpose = 'access' and state = 'current'"
    )
    world.rows("update signing_key set state = 'current' where purpose = 'access' and state = 'next'")
    world.rows("update organization set epoch = epoch + 1 where id = %s", world.organization_id)


def kids(door: Door) -> set[str]:
    return {each["kid"] for each in door.client.get("/.well-known/jwks.json").json()["keys"]}


def kid(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


def test_a_rotation_ends_no_token_and_the_next_key_was_known_before(world: World, finance: Holder) -> None:
    with open_door(world, addresses=(ADDRESS,)) as one, open_door(world, addresses=(ADDRESS,)) as other:

        def given(door: Door) -> str:
            return str(ask(door, assertion(door, finance, aud=ADDRESS)).json()["access_token"])

        old = given(one)
        published = kids(one)
        assert len(published) == 2
        assert [status(each, old) for each in (one, other)] == [200, 200]
        rotate(world)
        new = [given(door) for door in (one, other)]
        assert {kid(each) for each in new} == published - {kid(old)}
        assert kids(other) == published
        assert [status(door, token) for door in (one, other) for token in (old, *new)] == [200] * 6
        world.rows("update signing_key set retired_at = aos_now() - interval '11 minutes' where state = 'retired'")
        assert kids(one) == published - {kid(old)}
        revoke(world, "select 1")
        for door in (one, other):
            door.run(door.services.facts.refresh())
        assert [status(door, old) for door in (one, other)] == [401, 401]
        assert [status(door, token) for door in (one, other) for token in new] == [200] * 4


def test_first_keys_that_two_processes_make_at_once_are_the_same(world: World, finance: Holder) -> None:
    with open_door(world, addresses=(ADDRESS,)) as one, open_door(world, addresses=(ADDRESS,)) as other:
        facts = [door.run(door.services.facts.of(world.organization_id)) for door in (one, other)]
        for door, known in zip((one, other), facts, strict=True):
            door.run(door.services.oauth.tokens._make_keys(known))
        tokens = [ask(door, assertion(door, finance, aud=ADDRESS)).json()["access_token"] for door in (one, other)]
        assert len({kid(each) for each in tokens}) == 1
        assert [status(door, token) for door in (one, other) for token in tokens] == [200] * 4
    states = world.rows("select state from signing_key where purpose = 'access' order by 1")
    assert states == [("current",), ("next",)]
    assert world.rows("select count(*) from secret where name like 'signing/access/%%'") == [(2,)]


# --- inside a run


def exchange(door: Door, subject: str, **more: Any) -> Any:
    data = {"grant_type": EXCHANGE, "subject_token": subject, "subject_token_type": ACCESS_TYPE, **more}
    return door.client.post("/oauth/token", data=data)


def task_token(door: Door, world: World, name: str) -> tuple[str, Any]:
    run, task, claim = claim_task(world, name)
    facts = door.run(door.services.facts.of(world.organization_id))
    return make_task_token(TaskToken(world.organization_id, run, task, claim), facts.key("token").private), task


def test_a_task_token_is_exchanged_for_one_of_the_same_chain_that_ends_with_the_claim(world: World, door: Door) -> None:
    subject, task = task_token(door, world, "month-end")
    answer = exchange(door, subject, resource=door.url)
    assert answer.status_code == 200, answer.text
    given = answer.json()
    assert (given["issued_token_type"], given["token_type"], given["expires_in"]) == (ACCESS_TYPE, "Bearer", 600)
    token = given["access_token"]
    before, after = (door.run(door.services.authenticator.principal(each)) for each in (subject, token))
    assert (before.chain, before.claim) == (after.chain, after.claim)
    said = jwt.decode(token, options={"verify_signature": False})
    assert said["sub"] == str(world.person_id)
    assert said["act"] == {"sub": str(world.agents["month-end"].id)}
    again = exchange(door, token)
    assert again.status_code == 200
    world.rows("update task set claim_token = null, state = 'ready' where id = %s", task)
    assert [status(door, each) for each in (subject, token, again.json()["access_token"])] == [401, 401, 401]
    assert error_of(exchange(door, subject)) == (400, "invalid_grant")


def test_what_is_no_task_token_is_exchanged_for_nothing(world: World, door: Door, finance: Holder) -> None:
    subject, _ = task_token(door, world, "month-end")
    for other in (door.api_key("finance"), access_token(door, finance), "aost_x", "x", door.personal_token("admin")):
        assert error_of(exchange(door, other)) == (400, "invalid_grant")
    assert error_of(exchange(door, "")) == (400, "invalid_request")
    for more in (
        {"subject_token_type": "urn:ietf:params:oauth:token-type:saml2"},
        {"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"},
        {"actor_token": "x"},
    ):
        assert error_of(exchange(door, subject, **more)) == (400, "invalid_request")
    assert error_of(exchange(door, subject, audience="https://elsewhere.example")) == (400, "invalid_target")
    proof = {"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}
    proof["client_assertion"] = assertion(door, finance)
    assert error_of(exchange(door, subject, **proof)) == (400, "invalid_grant")
