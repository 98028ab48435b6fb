"""Signed cards (A2A 1.0): those of AOS hold for the official library, and one elsewhere is believed as far as its signature holds."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from typing import Any

import jwt
import pytest
from a2a.client import A2ACardResolver
from a2a.types import AgentCard, GetExtendedAgentCardRequest
from a2a.utils.signing import (
    InvalidSignaturesError,
    NoSignatureError,
    ProtectedHeader,
    create_agent_card_signer,
    create_signature_verifier,
)
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from google.protobuf.json_format import MessageToDict, ParseDict

from tests.contract.a2a_elsewhere import Elsewhere, elsewhere
from tests.contract.a2a_peer import connected
from tests.contract.test_a2a_elsewhere import DONE, company, failed, story
from tests.databases import Database, Server, cloned
from tests.doors import Door, open_door
from tests.working import Working
from tests.worlds import agent, make_world

CARD = "/.well-known/agent-card.json"
PRIVATE: Any = {
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    "RS256": rsa.generate_private_key(65537, 2048),
}
ALGORITHMS: Any = {
    "ES256": jwt.algorithms.ECAlgorithm,
    "EdDSA": jwt.algorithms.OKPAlgorithm,
    "RS256": jwt.algorithms.RSAAlgorithm,
}


# --- cards of AOS


@pytest.fixture(scope="module")
def door(postgres_server: Server) -> Iterator[Door]:
    for database in cloned(postgres_server):
        world = make_world(
            database, agents=[agent("clerk", goal="Zahlt Rechnungen für Überweisungen"), agent("caller")]
        )
        with open_door(world) as opened:
            yield opened


def verifier(door: Door, asked: list[str]) -> Any:
    """Return the official check, by keys that are fetched from where a card says that they are."""

    def key(key_id: str | None, keys_url: str | None) -> jwt.PyJWK:
        assert keys_url is not None
        asked.append(keys_url)
        (found,) = (each for each in door.client.get(keys_url).json()["keys"] if each["kid"] == key_id)
        return jwt.PyJWK(found)

    return create_signature_verifier(key, ["EdDSA"])


@pytest.mark.parametrize("path", [f"/a2a/clerk{CARD}", CARD])
def test_a_card_is_signed_by_its_organization_for_its_own_callers(door: Door, path: str) -> None:
    answer = door.client.get(path, headers={"Authorization": f"Bearer {door.api_key('caller')}"})
    asked: list[str] = []
    check = verifier(door, asked)
    check(ParseDict(answer.json(), AgentCard()))
    assert asked == [f"{door.url}/.well-known/jwks.json?organization={door.world.organization_id}"]
    changes: list[dict[str, Any]] = [{"name": "another"}, {"version": "9"}, {"skills": []}]
    for changed in changes:
        with pytest.raises(InvalidSignaturesError):
            check(ParseDict({**answer.json(), **changed}, AgentCard()))
    anybodys = door.client.get(path).json()
    with pytest.raises(NoSignatureError):
        check(ParseDict(anybodys, AgentCard()))


def test_the_official_client_checks_the_card_that_it_resolves_and_the_extended_one(door: Door) -> None:
    check = verifier(door, [])

    async def main() -> AgentCard:
        async with connected(door, "clerk", door.api_key("caller")) as client:
            resolver = A2ACardResolver(client._transport.httpx_client, f"{door.url}/a2a/clerk")  # type: ignore[attr-defined]
            await resolver.get_agent_card(signature_verifier=check)
            return await client.get_extended_agent_card(GetExtendedAgentCardRequest(), signature_verifier=check)

    assert asyncio.run(main()).name == "clerk"


def test_no_card_is_taken_for_an_access_token(door: Door) -> None:
    key = door.api_key("caller")
    card = door.client.get(f"/a2a/clerk{CARD}", headers={"Authorization": f"Bearer {key}"}).json()
    (signature,) = card.pop("signatures")
    payload = jwt.utils.base64url_encode(json.dumps(card, sort_keys=True, separators=(",", ":")).encode()).decode()
    token = f"{signature['protected']}.{payload}.{signature['signature']}"
    assert door.client.get(f"/a2a/clerk{CARD}", headers={"Authorization": f"Bearer {token}"}).status_code == 401


# --- cards elsewhere


def signed(card: Mapping[str, Any], algorithm: str, keys_url: str, *, key_id: str = "k") -> dict[str, Any]:
    """Return a card as the official library signs it."""
    form = PrivateFormat.PKCS8, NoEncryption()
    pem = PRIVATE[algorithm].private_bytes(Encoding.PEM, *form)
    header = ProtectedHeader(kid=key_id, alg=algorithm, jku=keys_url, typ="JOSE")
    return MessageToDict(create_agent_card_signer(pem, header)(ParseDict(dict(card), AgentCard())))


def key_set(*algorithms: str, key_id: str = "k") -> dict[str, Any]:
    """Return the public halves."""
    found = [json.loads(ALGORITHMS[each].to_jwk(PRIVATE[each].public_key())) for each in algorithms]
    return {"keys": [{**each, "kid": key_id} for each in found]}


def shows(far: Elsewhere, keys: Any) -> str:
    """Have the far side show a set of keys; return where."""

    def answer(handler: BaseHTTPRequestHandler) -> bool:
        if handler.path != "/keys":
            return False
        body = json.dumps(keys).encode()
        handler.send_response(200 if keys is not None else 404)
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)
        return True

    far.raw = answer
    return f"{far.url}/keys"


@pytest.mark.parametrize("algorithm", PRIVATE)
@pytest.mark.parametrize("required", [True, False])
def test_a_card_whose_signature_holds_is_believed_and_one_that_was_changed_is_not(
    database: Database, algorithm: str, required: bool
) -> None:
    with elsewhere(lambda method, params: DONE) as far:
        keys_url = shows(far, key_set(algorithm))
        honest = signed(far.card, algorithm, keys_url)

        async def work(aos: Working) -> None:
            far.card = honest
            assert (await aos.ended(await aos.start(agent="reviews")))["state"] == "succeeded"
            sent = len(far.verbs())
            far.card = {**honest, "description": "Reviews whatever you pay for"}
            assert "is not signed by any of the 1 keys" in await failed(aos)
            assert len(far.verbs()) == sent

        options: Any = {"keys": keys_url} if required else {}
        story(company(database, far, **options), work)


def test_where_keys_are_named_no_other_signature_counts_and_none_is_none(database: Database) -> None:
    with elsewhere(lambda method, params: DONE) as far, elsewhere() as thief:
        keys_url, theirs = shows(far, key_set("ES256")), shows(thief, key_set("EdDSA"))
        plain = dict(far.card)
        public = PRIVATE["ES256"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        confused = {"keys": [{"kty": "oct", "kid": "k", "k": jwt.utils.base64url_encode(public).decode()}]}

        async def work(aos: Working) -> None:
            for card in (
                plain,
                {**plain, "signatures": []},
                {**plain, "signatures": [{"protected": "e30", "signature": "AA"}]},
                signed(plain, "EdDSA", theirs),
                signed(plain, "ES256", keys_url, key_id="another"),
                {**signed(plain, "ES256", keys_url), "signatures": [{"protected": "?", "signature": "?"}] * 20},
            ):
                far.card = card
                assert "is not signed by any" in await failed(aos)
            far.card = signed(plain, "ES256", theirs)  # what it says of its keys is no matter: these are named
            assert (await aos.ended(await aos.start(agent="reviews")))["state"] == "succeeded"
            sets: list[Any] = [confused, {"keys": key_set("ES256")["keys"] * 200}, {"keys": "many"}, [], None]
            for keys in sets:
                shows(far, keys)
                assert "is not signed by any" in await failed(aos)
            assert thief.heard == []

        story(company(database, far, keys=keys_url, hosts=[far.host, thief.host]), work)


def test_a_card_that_names_no_keys_of_its_own_origin_is_as_one_without_signature(database: Database) -> None:
    with elsewhere(lambda method, params: DONE) as far, elsewhere() as thief:
        theirs = shows(thief, key_set("ES256"))
        plain = dict(far.card)
        lost = signed(plain, "ES256", shows(far, None))

        async def work(aos: Working) -> None:
            for card in (signed(plain, "ES256", theirs), lost):
                far.card = card
                assert (await aos.ended(await aos.start(agent="reviews")))["state"] == "succeeded"
            assert thief.heard == []

        story(company(database, far, hosts=[far.host, thief.host]), work)
