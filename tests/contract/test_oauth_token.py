"""`POST /oauth/token`: who gets an access token by which proof, and in what words everybody else is refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from aos.kernel.jwk import thumbprint_of
from aos.kernel.limits import CLIENT_KEYS_MAX
from aos.operations.archive import Housekeeping
from tests.contract.oauth_peer import Holder, access_token, ask, assertion, claims, error_of, form, holder
from tests.databases import Database
from tests.doors import Door, open_door, revoke
from tests.worlds import World, agent, make_world, tool

CLIENT = (401, "invalid_client")
REQUEST = (400, "invalid_request")


def company(database: Database, **more: Any) -> World:
    return make_world(database, agents=[agent("finance", "erp.*"), agent("clerk")], tools=[tool("erp.read")], **more)


@pytest.fixture
def world(database: Database) -> World:
    return company(database)


@pytest.fixture
def door(world: World) -> Iterator[Door]:
    with open_door(world) as opened:
        yield opened


@pytest.fixture
def finance(world: World) -> Holder:
    return holder(world, "finance")


def used(world: World) -> int:
    return int(world.rows("select count(*) from used_assertion")[0][0])


def test_a_key_is_worth_an_access_token_that_opens_the_doors(world: World, door: Door, finance: Holder) -> None:
    answer = ask(door, assertion(door, finance))
    assert answer.status_code == 200
    said = answer.json()
    assert set(said) == {"access_token", "token_type", "expires_in"}
    assert (said["token_type"], said["expires_in"]) == ("Bearer", 600)
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
    assert door.call("erp.read", token=said["access_token"]).status_code == 200
    headers = {"x-api-key": said["access_token"]}
    assert door.client.post("/tools/erp.read/call", json={}, headers=headers).status_code == 200
    assert door.client.get("/v1/models", headers=headers).status_code == 200
    chains = world.rows("select chain from action")
    names = [[link["name"] for link in chain] for (chain,) in chains]
    assert names == [[f"maria-{world.organization_id}@larkspur.example", "finance"]] * 2


def test_a_token_is_what_the_specification_says(door: Door, finance: Holder) -> None:
    token = access_token(door, finance)
    (key,) = [
        each
        for each in door.client.get("/.well-known/jwks.json").json()["keys"]
        if each["kid"] == jwt.get_unverified_header(token)["kid"]
    ]
    assert jwt.get_unverified_header(token)["typ"] == "at+jwt"
    said = jwt.decode(token, jwt.PyJWK.from_dict(key), algorithms=["EdDSA"], audience=door.url, issuer=door.url)
    assert said["sub"] == said["client_id"] == str(finance.agent_id)
    assert said["exp"] - said["iat"] == 600
    assert {"jti", "aos_organization", "aos_key"} < set(said)


@pytest.mark.parametrize("named", ["id", "name", "identity"])
def test_a_client_is_an_agent_by_its_id_its_name_or_its_identity(
    world: World, door: Door, finance: Holder, named: str
) -> None:
    names = {
        "id": str(finance.agent_id),
        "name": "finance",
        "identity": f"spiffe://aos/{world.organization_id}/agent/finance",
    }
    signed = assertion(door, finance, client=names[named], header={"kid": "mine"})
    assert ask(door, signed, client_id=names[named]).status_code == 200


def test_the_audience_may_be_the_endpoint_or_the_issuer(door: Door, finance: Holder) -> None:
    for audience in (door.url, f"{door.url}/", f"{door.url}/oauth/token", ["https://elsewhere.example", door.url]):
        assert ask(door, assertion(door, finance, aud=audience)).status_code == 200


WRONG: dict[str, dict[str, Any]] = {
    "another server's audience": {"aud": "https://elsewhere.example/oauth/token"},
    "no audience": {"aud": ""},
    "an audience below the endpoint": {"aud": ["/oauth/token", 5, None]},
    "expired": {"exp": int(time.time()) - 3600},
    "no expiry": {"exp": None},
    "an expiry that is no number": {"exp": "9999999999"},
    "an expiry that is no finite number": {"exp": 1e400},
    "an expiry that is true": {"exp": True},
    "an expiry days ahead": {"exp": int(time.time()) + 86_400},
    "an expiry past all dates": {"exp": 10**18},
    "not before later": {"nbf": int(time.time()) + 86_400},
    "not before no number": {"nbf": "now"},
    "issued later": {"iat": int(time.time()) + 86_400},
    "no jti": {"jti": None},
    "an empty jti": {"jti": ""},
    "a jti that is no text": {"jti": 5},
    "a long jti": {"jti": "x" * 300},
    "another issuer": {"iss": "finance"},
    "no issuer": {"iss": None},
    "no subject": {"sub": None},
    "an empty client": {"client": ""},
    "an unknown client": {"client": "nobody"},
    "a client with a byte that no database holds": {"client": "fin\x00ance"},
    "another agent's name": {"client": "clerk"},
    "an unknown organization": {"client": "spiffe://aos/00000000-0000-7000-8000-000000000000/agent/finance"},
}


def test_an_assertion_that_says_what_it_must_not_proves_nobody(world: World, door: Door, finance: Holder) -> None:
    for what, more in WRONG.items():
        said = claims(f"{door.url}/oauth/token", more.get("client", finance.agent_id))
        said = {name: value for name, value in {**said, **more}.items() if value is not None and name != "client"}
        text = json.dumps(said).replace("Infinity", "1e400").encode()
        signed = jwt.PyJWS().encode(text, finance.private, algorithm="EdDSA")
        assert error_of(ask(door, signed)) == CLIENT, what
    assert used(world) == 0


def test_a_key_that_cannot_be_a_thumbprint_is_as_if_none_were_named(door: Door, finance: Holder) -> None:
    for kid in ("a\x00", "\ud800"):
        assert ask(door, assertion(door, finance, header={"kid": kid})).status_code == 200


def by_hand(header: dict[str, Any], said: dict[str, Any], signature: bytes | None = None, *, key: bytes = b"") -> str:
    def text(part: bytes) -> str:
        return base64.urlsafe_b64encode(part).rstrip(b"=").decode()

    plain = f"{text(json.dumps(header).encode())}.{text(json.dumps(said).encode())}"
    made = hmac.new(key, plain.encode(), hashlib.sha256).digest() if signature is None else signature
    return f"{plain}.{text(made)}"


def test_no_other_algorithm_proves_anything(world: World, door: Door, finance: Holder) -> None:
    said = claims(f"{door.url}/oauth/token", finance.agent_id)
    raw = finance.public
    spki = finance.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    forged = [
        by_hand({"alg": "none"}, said, b""),
        by_hand({"alg": "None"}, said, b""),
        by_hand({"alg": "none"}, said, b"").rstrip("."),
        by_hand({"alg": "HS256"}, said, key=raw),
        by_hand({"alg": "HS256"}, said, key=spki),
        by_hand({"alg": "EdDSA"}, said, key=raw),
        by_hand({"alg": ["EdDSA"]}, said, b"x" * 64),
        by_hand({}, said, b"x" * 64),
        by_hand({"alg": "EdDSA", "crit": ["b64"], "b64": False}, said, b"x" * 64),
        by_hand({"alg": "EdDSA", "jwk": {"kty": "OKP", "crv": "Ed25519", "x": "AA"}}, said, b"x" * 64),
        jwt.encode(said, ec.generate_private_key(ec.SECP256R1()), algorithm="ES256"),
        jwt.encode(said, Ed25519PrivateKey.generate(), algorithm="EdDSA"),
        assertion(door, finance)[:-4] + "AAAA",
        "no.token.here",
        "x" * 9_000,
        "\N{SNOWMAN}.e30.e30",
    ]
    for each in forged:
        assert error_of(ask(door, each)) == CLIENT, each[:80]
    assert used(world) == 0


def test_an_assertion_is_used_once(world: World, door: Door, finance: Holder) -> None:
    signed = assertion(door, finance)
    assert ask(door, signed).status_code == 200
    again = ask(door, signed)
    assert error_of(again) == CLIENT
    assert "used before" in again.json()["error_description"]
    assert used(world) == 1


def test_an_assertion_is_used_once_in_all_processes_together(world: World, finance: Holder) -> None:
    addresses = ("https://aos.example",)
    with open_door(world, addresses=addresses) as one, open_door(world, addresses=addresses) as other:
        signed = assertion(one, finance, aud="https://aos.example/oauth/token")
        assert ask(one, signed).status_code == 200
        assert error_of(ask(other, signed)) == CLIENT


def test_two_agents_may_use_the_same_jti(world: World, door: Door, finance: Holder) -> None:
    clerk = holder(world, "clerk")
    assert [ask(door, assertion(door, each, jti="1")).status_code for each in (finance, clerk)] == [200, 200]


def test_what_is_no_longer_accepted_is_forgotten(world: World, door: Door, finance: Holder) -> None:
    for _ in range(3):
        access_token(door, finance)
    house = Housekeeping(door.running.database)
    assert door.run(house.forget_assertions()) == 0
    world.rows("update used_assertion set expires_at = aos_now() - interval '2 minutes'")
    assert door.run(house.forget_assertions()) == 3
    assert used(world) == 0


ENDINGS = {
    "revoked": "update agent_key set revoked_at = aos_now()",
    "retired": "update agent set status = 'retired' where name = 'finance'",
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_key_that_has_ended_is_worth_nothing(world: World, door: Door, finance: Holder, ending: str) -> None:
    assert access_token(door, finance)
    revoke(world, ENDINGS[ending])
    assert error_of(ask(door, assertion(door, finance))) == CLIENT


def test_a_key_proves_an_agent_of_its_own_organization_alone(
    database: Database, world: World, door: Door, finance: Holder
) -> None:
    other = company(database, keys=world.keys)
    theirs = holder(other, "finance")
    assert error_of(ask(door, assertion(door, theirs, client=finance.agent_id))) == CLIENT
    token = access_token(door, theirs)
    assert door.call("erp.read", token=token).status_code == 200
    assert world.rows("select distinct organization_id from action") == [(other.organization_id,)]
    named = [ask(door, assertion(door, each, client="finance")).json() for each in (finance, theirs)]
    said = [jwt.decode(each["access_token"], options={"verify_signature": False}) for each in named]
    assert [each["sub"] for each in said] == [str(finance.agent_id), str(theirs.agent_id)]


def test_nobody_crowds_another_out_by_taking_its_id_or_name(
    database: Database, world: World, door: Door, finance: Holder
) -> None:
    crowd = make_world(database, agents=[agent(str(finance.agent_id)), agent("finance")], keys=world.keys)
    for name in crowd.agents:
        for _ in range(CLIENT_KEYS_MAX + 1):
            holder(crowd, name)
    assert ask(door, assertion(door, finance)).status_code == 200
    assert error_of(ask(door, assertion(door, finance, client="finance"))) == CLIENT
    kid = {"kid": thumbprint_of(finance.public)}
    assert ask(door, assertion(door, finance, client="finance", header=kid)).status_code == 200


def test_a_name_and_key_that_two_agents_share_names_neither(
    database: Database, world: World, door: Door, finance: Holder
) -> None:
    holder(company(database, keys=world.keys), "finance", finance.private)
    refused = ask(door, assertion(door, finance, client="finance"))
    assert error_of(refused) == CLIENT
    assert "by its id" in refused.json()["error_description"]
    assert ask(door, assertion(door, finance)).status_code == 200


def test_a_token_is_for_this_server_or_none(door: Door, finance: Holder) -> None:
    for resource in ("{url}", "{url}/mcp", "{url}/"):
        named = resource.format(url=door.url)
        token = access_token(door, finance, resource=named)
        assert jwt.decode(token, options={"verify_signature": False})["aud"] == named
        assert door.call("erp.read", token=token).status_code == 200
    for resource in ("https://elsewhere.example", "{url}.evil.example", "{url}/mcp#part", "{url}?x=1", "mcp"):
        answer = ask(door, assertion(door, finance), resource=resource.format(url=door.url))
        assert error_of(answer) == (400, "invalid_target")
    both = ask(door, assertion(door, finance), resource=[door.url, f"{door.url}/mcp"])
    assert both.status_code == 200


def test_a_request_that_is_not_well_formed_is_refused_in_oauths_form(door: Door, finance: Holder) -> None:
    signed = assertion(door, finance)
    good = form(signed)
    post, kind = door.client.post, {"content-type": "application/x-www-form-urlencoded"}
    assert error_of(post("/oauth/token", json=good)) == REQUEST
    assert error_of(post("/oauth/token", content=b"")) == REQUEST
    assert error_of(post("/oauth/token", params={"grant_type": "x"}, data=good)) == REQUEST
    assert error_of(post("/oauth/token", content=b"\xff\xfe=1", headers=kind)) == REQUEST
    assert error_of(post("/oauth/token", content=b"a=%ff", headers=kind)) == REQUEST
    assert error_of(post("/oauth/token", content=b"&".join(b"%d=1" % n for n in range(50)), headers=kind)) == REQUEST
    for name in good:
        twice = [*good.items(), (name, good[name])]
        assert error_of(post("/oauth/token", content=str(httpx.QueryParams(twice)), headers=kind)) == REQUEST
    assert error_of(post("/oauth/token", content=b"x=" + b"y" * 20_000, headers=kind)) == (413, "invalid_request")
    assert error_of(post("/oauth/token", data={**good, "grant_type": "password"})) == (400, "unsupported_grant_type")
    assert error_of(post("/oauth/token", data={**good, "grant_type": ""})) == REQUEST
    assert error_of(post("/oauth/token", data={**good, "scope": "all"})) == (400, "invalid_scope")
    assert error_of(post("/oauth/token", data={**good, "client_assertion": ""})) == CLIENT
    assert error_of(post("/oauth/token", data={**good, "client_assertion_type": "x"})) == CLIENT
    assert error_of(post("/oauth/token", data={**good, "client_id": "clerk"})) == CLIENT
    basic = post("/oauth/token", data=good, auth=("finance", "secret"))
    assert error_of(basic) == CLIENT
    assert basic.headers["www-authenticate"].startswith("Basic")
    for method in ("GET", "PUT", "OPTIONS"):
        refused = door.client.request(method, "/oauth/token")
        assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
    unknown = {**good, "unheard_of": "1", "resource": ""}
    assert post("/oauth/token", data=unknown).status_code == 200


def test_the_database_that_is_away_is_said_in_oauths_form(world: World, finance: Holder) -> None:
    with open_door(world) as door:
        signed = assertion(door, finance)
        door.run(door.running.database.close())
        assert error_of(ask(door, signed)) == (503, "temporarily_unavailable")
