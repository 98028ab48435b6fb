"""Keys as people handle them: an agent registered over REST signs in with what it was shown, and signing keys are rotated."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from aos.boot.addresses import addresses_of, url_of
from aos.boot.assertions import sign_claims
from aos.boot.config import Config, read_config
from aos.drivers.clock import machine_now
from aos.kernel.errors import Misconfigured
from tests.contract.cli_peer import Cli, Peer
from tests.contract.oauth_peer import ask, claims, error_of, holder
from tests.doors import Door, open_door
from tests.planes import ADMIN, Plane
from tests.worlds import World, make_world


@pytest.fixture
def door(plane: Plane) -> Iterator[Door]:
    keys: Any = plane.drivers.keys
    with open_door(World(plane.database, plane.actor.organization_id, plane.actor.person_id, {}, {}, keys)) as opened:
        yield opened


def register(plane: Plane, name: str) -> Any:
    answer = plane.post("/agents", {"name": name, "type": "functional", "owner": ADMIN, "tools": []})
    assert answer.status_code == 201, answer.text
    return answer.json()


def sign_in(door: Door, agent: Any, **more: Any) -> Any:
    key = jwt.PyJWK.from_dict(agent["private_key"], "EdDSA")
    said = claims(f"{door.url}/oauth/token", agent["id"], **more)
    return ask(door, jwt.encode(said, key.key, algorithm="EdDSA", headers={"kid": agent["private_key"]["kid"]}))


def kids(door: Door) -> list[str]:
    return [each["kid"] for each in door.client.get("/.well-known/jwks.json").json()["keys"]]


def test_the_private_half_that_was_shown_once_signs_in_until_it_is_revoked(plane: Plane, door: Door) -> None:
    agent = register(plane, "clerk")
    (key,) = agent["identity"]["keys"]
    assert agent["private_key"]["kid"] == key["thumbprint"]
    answer = sign_in(door, agent)
    assert answer.status_code == 200, answer.text
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    assert door.client.get("/v1/models", headers=headers).status_code == 200
    assert plane.delete(f"/agents/clerk/keys/{key['id']}").status_code == 200
    door.run(door.services.facts.refresh())
    assert door.client.get("/v1/models", headers=headers).status_code == 401
    assert error_of(sign_in(door, agent)) == (401, "invalid_client")


def test_a_rotation_moves_each_key_one_on_and_is_recorded(plane: Plane, door: Door) -> None:
    agent = register(plane, "clerk")
    shown = plane.get("/signing-keys?purpose=access").json()["items"]
    assert sorted(each["state"] for each in shown) == ["current", "next"]
    assert all(set(each["public_key"]) == {"kty", "crv", "x"} for each in shown)
    (current,), (following,) = ([k["id"] for k in shown if k["state"] == state] for state in ("current", "next"))
    old = sign_in(door, agent).json()["access_token"]
    assert jwt.get_unverified_header(old)["kid"] == current
    assert sorted(kids(door)) == sorted([current, following])
    before, epoch = plane.records(), plane.epoch()
    assert plane.post("/signing-keys/rotate").json() == {"id": following, "purpose": "access", "state": "current"}
    assert (plane.records(), plane.epoch()) == (before + 2, epoch + 1)
    new = sign_in(door, agent).json()["access_token"]
    assert jwt.get_unverified_header(new)["kid"] == following
    assert len(kids(door)) == 3
    for token in (old, new):
        assert door.client.get("/v1/models", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    states = {each["id"]: each["state"] for each in plane.get("/signing-keys?purpose=access").json()["items"]}
    assert (states[current], states[following], sorted(states.values())) == (
        "retired", "current", ["current", "next", "retired"],
    )  # fmt: skip
    plane.run("update signing_key set retired_at = aos_now() - interval '11 minutes' where state = 'retired'")
    assert current not in kids(door)


def test_keys_are_rotated_by_an_administrator_and_only_those_of_access_tokens(plane: Plane) -> None:
    developer = plane.as_person("dan@larkspur.example", "developer")
    assert plane.post("/signing-keys/rotate", token=developer).status_code == 403
    assert plane.get("/signing-keys", token=developer).status_code == 200
    assert plane.post("/signing-keys/rotate?dry_run=true").status_code == 200
    assert len(plane.get("/signing-keys?purpose=access").json()["items"]) == 2
    assert len(plane.get("/signing-keys").json()["items"]) == 6


def test_an_organization_older_than_access_tokens_gets_its_keys_when_they_are_needed(plane: Plane, door: Door) -> None:
    agent = register(plane, "clerk")
    plane.run("delete from signing_key where purpose = 'access'")
    plane.run("update organization set epoch = epoch + 1")
    assert kids(door) == []
    assert sign_in(door, agent).status_code == 200
    assert len(kids(door)) == 2
    plane.run("delete from signing_key where purpose = 'access'")
    assert plane.post("/signing-keys/rotate").status_code == 200
    assert sign_in(door, agent).status_code == 200


def test_the_keys_of_one_organization_can_be_asked_for_alone(plane: Plane, door: Door) -> None:
    other = make_world(plane.database, keys=door.world.keys)
    found = door.client.get("/.well-known/jwks.json", params={"organization": str(plane.actor.organization_id)}).json()
    assert len(found["keys"]) == 2
    assert door.client.get("/.well-known/jwks.json", params={"organization": str(other.organization_id)}).json() == {
        "keys": []
    }


# --- the command line


def test_the_command_line_signs_in_with_any_form_of_the_key(
    plane: Plane, door: Door, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    agent = register(plane, "clerk")
    world = door.world
    world.agents["clerk"] = type("Known", (), {"id": agent["id"]})()  # type: ignore[assignment]
    pem = holder(world, "clerk").pem
    aos = Cli(Peer(door.url), tmp_path / "config", capsys, token="", now=machine_now)
    for number, text in enumerate((json.dumps(agent), json.dumps(agent["private_key"]), pem)):
        path = tmp_path / f"key-{number}"
        path.write_text(text)
        for name in ("clerk", agent["id"]):
            done = aos("agents", "token", name, "--key", str(path))
            assert done.status == 0, done.err
            headers = {"Authorization": f"Bearer {done.out.strip()}"}
            assert door.client.get("/v1/models", headers=headers).status_code == 200
    file = str(tmp_path / "key-0")
    shown = aos("--json", "agents", "token", "clerk", "--key", file).json
    assert (shown["token_type"], shown["expires_in"]) == ("Bearer", 600)
    refused = aos("agents", "token", "nobody", "--key", file)
    assert refused.status == 8
    assert "Token refused: the client is unknown" in refused.err


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"kty": "OKP", "crv": "Ed25519", "x": "AA"}', "-----BEGIN X-----"])
def test_what_is_no_private_key_signs_nothing(text: str) -> None:
    with pytest.raises(ValueError, match=r"JWK|key"):
        sign_claims(text, {})


# --- addresses


def test_without_a_public_url_only_this_machines_addresses_are_believed() -> None:
    assert addresses_of(Config(host="0.0.0.0", port=1)) == (
        "http://127.0.0.1:1",
        "http://localhost:1",
        "http://[::1]:1",
    )
    assert addresses_of(Config(host="10.0.0.5", port=1)) == ("http://10.0.0.5:1",)
    public = read_config({"AOS_PUBLIC_URL": "https://aos.example/, http://10.0.0.5:8470"})
    assert addresses_of(public) == ("https://aos.example", "http://10.0.0.5:8470")
    assert url_of(public) == "http://127.0.0.1:8470"
    for wrong in ("aos.example", "https://aos.example/path", "ftp://aos.example", "https://u@aos.example", "https://"):
        with pytest.raises(Misconfigured, match="AOS_PUBLIC_URL"):
            read_config({"AOS_PUBLIC_URL": wrong})
