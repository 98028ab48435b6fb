"""Agents by REST: registered with a proved key, changed by versions, stopped at once, and never forgotten."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.planes import ADMIN, Plane

FINANCE = {
    "name": "finance",
    "type": "functional",
    "goal": "Match vendor invoices to orders",
    "objectives": [{"name": "close on time", "kpi": "days_to_close", "target": "<= 3"}],
    "models": ["purpose:high-speed"],
    "price": {"per_second": {"amount": "0.0001", "currency": "EUR"}},
}


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed_key(plane: Plane, name: str, key: Ed25519PrivateKey, *, organization: Any = None) -> dict[str, Any]:
    """Return the two fields of a body that bring a key, made only from what the documentation says."""
    jwk = {"crv": "Ed25519", "kty": "OKP", "x": base64url(key.public_key().public_bytes_raw())}
    thumbprint = base64url(hashlib.sha256(json.dumps(jwk, sort_keys=True, separators=(",", ":")).encode()).digest())
    challenge = f"aos-agent-registration:{organization or plane.actor.organization_id}:{name}:{thumbprint}"
    return {"public_key": jwk, "proof": base64url(key.sign(challenge.encode()))}


def test_an_agent_is_registered_running_with_version_1_and_shown_as_it_was_sent(plane: Plane) -> None:
    made = plane.post("/agents", FINANCE)
    assert (made.status_code, made.headers["location"]) == (201, "/agents/finance")
    shown = plane.get(made.headers["location"]).json()
    assert {name: shown[name] for name in FINANCE} == FINANCE
    assert (shown["status"], shown["version"], shown["owner"]) == ("running", 1, ADMIN)
    assert shown == plane.get(f"/agents/{shown['id']}").json()
    assert "private_key" not in shown


def test_a_key_that_aos_makes_is_handed_out_once_and_is_the_one_it_keeps(plane: Plane) -> None:
    private = plane.post("/agents", FINANCE).json()["private_key"]
    seed = base64.urlsafe_b64decode(private["d"] + "=")
    public = base64url(Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw())
    (key,) = plane.get("/agents/finance").json()["identity"]["keys"]
    assert key["public_key"]["x"] == public == private["x"]


def test_a_given_key_counts_only_with_the_proof_of_its_holder(plane: Plane) -> None:
    key = Ed25519PrivateKey.generate()
    good = signed_key(plane, "finance", key)
    made = plane.post("/agents", {**FINANCE, **good})
    assert made.status_code == 201
    assert "private_key" not in made.json()
    # The same key for another agent, a proof for another name, no proof, and a private key sent by mistake.
    for body, pointer in (
        (signed_key(plane, "finance", Ed25519PrivateKey.generate()), "/proof"),
        ({"public_key": good["public_key"]}, "/proof"),
        ({"public_key": {**good["public_key"], "d": "AAAA"}, "proof": "AAAA"}, "/public_key/d"),
        ({"public_key": {**good["public_key"], "x": "AAAA"}, "proof": "AAAA"}, "/public_key/x"),
    ):
        refused = plane.post("/agents", {**FINANCE, "name": "other", **body})
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (400, pointer)
    taken = plane.post("/agents", {**FINANCE, "name": "other", **signed_key(plane, "other", key)})
    assert taken.status_code == 409
    assert plane.get("/agents/other").status_code == 404


def test_a_key_that_could_not_tell_two_agents_of_one_name_apart_is_refused(plane: Plane) -> None:
    key = Ed25519PrivateKey.generate()
    assert plane.post("/agents", {**FINANCE, **signed_key(plane, "finance", key)}).status_code == 201
    assert plane.post("/organizations", {"name": "Other"}).status_code == 201
    ((other,),) = plane.rows("select id from organization where name = 'Other'")

    def bring(name: str, key: Ed25519PrivateKey) -> Any:
        body = {"name": name, "type": "functional", **signed_key(plane, name, key, organization=other)}
        return plane.request("POST", "/agents", body, AOS_Organization="Other")

    refused = bring("finance", key)
    assert (refused.status_code, refused.json()["title"]) == (409, "Conflict")
    assert "make a key for this one alone" in refused.json()["detail"]
    assert bring("finance", Ed25519PrivateKey.generate()).status_code == 201
    assert bring("books", key).status_code == 201
    assert plane.rows("select count(*) from agent_key where organization_id = %s", other) == [(2,)]


def test_a_patch_makes_a_new_version_and_leaves_the_old_one_as_it_was(plane: Plane) -> None:
    plane.post("/agents", FINANCE)
    changed = plane.patch("/agents/finance", {"goal": "Pay what is due", "price": None, "risk": "high"})
    assert changed.status_code == 200
    shown = changed.json()
    assert (shown["version"], shown["goal"], shown["price"], shown["risk"]) == (2, "Pay what is due", None, "high")
    assert shown["objectives"] == FINANCE["objectives"]
    newest, first = plane.get("/agents/finance/versions").json()["items"]
    assert (newest["version"], newest["goal"]) == (2, "Pay what is due")
    assert (first["version"], first["goal"], first["price"]) == (1, FINANCE["goal"], FINANCE["price"])


def test_an_agent_moves_only_between_statuses_that_allow_it(plane: Plane) -> None:
    plane.post("/agents", FINANCE)
    for verb, status in (("pause", "paused"), ("resume", "running"), ("kill", "quarantined"), ("resume", "running")):
        assert plane.post(f"/agents/finance/{verb}").json()["status"] == status
    assert plane.post("/agents/finance/resume").status_code == 409
    assert plane.delete("/agents/finance").json()["status"] == "retired"
    for verb in ("pause", "resume", "kill"):
        assert plane.post(f"/agents/finance/{verb}").status_code == 409
    assert plane.patch("/agents/finance", {"goal": "none"}).status_code == 409


def test_a_retired_agent_keeps_its_history_and_its_name_and_loses_its_keys(plane: Plane) -> None:
    plane.post("/agents", FINANCE)
    plane.post("/agents/finance/api-keys", {"label": "door"})
    plane.delete("/agents/finance")
    assert plane.post("/agents", FINANCE).status_code == 409
    assert plane.get("/agents/finance").json()["identity"]["keys"] == []
    assert [key["revoked_at"] is None for key in plane.get("/agents/finance/keys").json()["items"]] == [False]
    assert [key["revoked_at"] is None for key in plane.get("/agents/finance/api-keys").json()["items"]] == [False]
    assert plane.post("/agents/finance/api-keys", {}).status_code == 409
    assert len(plane.get("/agents/finance/versions").json()["items"]) == 1


def test_a_kill_takes_the_agents_claims(plane: Plane) -> None:
    agent = plane.post("/agents", FINANCE).json()["id"]
    organization, run = plane.actor.organization_id, plane.drivers.ids.new()
    plane.run(
        "insert into run (organization_id, id, agent_id, name, state, chain, origin_key_content_id)"
        " values (%s, %s, %s, 'finance', 'running', '[]', %s)",
        *(organization, run, agent, plane.drivers.ids.new()),
    )
    plane.run(
        "insert into task (organization_id, id, run_id, name, label, kind, agent_id, chain, spec, state, claim_token)"
        " values (%s, %s, %s, 'a', 'a', 'agent', %s, '[]', '{}', 'running', %s)",
        *(organization, plane.drivers.ids.new(), run, agent, plane.drivers.ids.new()),
    )
    plane.post("/agents/finance/kill")
    assert plane.rows("select claim_token, lease_until <= aos_now() from task") == [(None, True)]


def test_an_api_key_is_shown_once_and_only_its_hash_is_kept(plane: Plane) -> None:
    plane.post("/agents", FINANCE)
    made = plane.post("/agents/finance/api-keys", {"label": "door", "expires_days": 30}).json()
    key = made["api_key"]
    assert key.startswith(made["prefix"] + "_")
    assert len(key) == len("aos_") + 8 + 1 + 43
    assert plane.rows("select key_hash from api_key") == [(hashlib.sha256(key.encode()).digest(),)]
    (listed,) = plane.get("/agents/finance/api-keys").json()["items"]
    assert "api_key" not in listed
    assert plane.delete(f"/agents/finance/api-keys/{made['id']}").status_code == 200
    assert plane.delete(f"/agents/finance/api-keys/{made['id']}").status_code == 404


@pytest.mark.parametrize(
    ("body", "pointer", "words"),
    [
        ({"type": "functional"}, "/name", "missing"),
        ({"name": "Finance", "type": "functional"}, "/name", "Finance"),
        ({"name": "finance"}, "", "type"),
        ({"name": "finance", "type": "boss"}, "/type", "boss"),
        ({"name": "finance", "type": "functional", "gaol": "x"}, "/gaol", "goal"),
        ({"name": "finance", "type": "functional", "goal": 5}, "/goal", "string"),
        ({"name": "finance", "type": "functional", "owner": "who@larkspur.example"}, "/owner", "who@"),
        ({"name": "finance", "type": "functional", "department": "nowhere"}, "/department", "nowhere"),
        ({"name": "finance", "type": "functional", "tools": ["erp.read"]}, "/tools/0", "erp.read"),
        ({"name": "finance", "type": "functional", "price": {"per_second": "-1.00 EUR"}}, "/price/per_second", "-1"),
        (
            {"name": "finance", "type": "functional", "price": {"per_second": {"amount": "-1", "currency": "EUR"}}},
            "/price/per_second/amount",
            "negative",
        ),
        (
            {"name": "finance", "type": "functional", "price": {"per_second": {"amount": 1, "currency": "EUR"}}},
            "/price/per_second/amount",
            "text",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_pointer_and_changes_nothing(
    plane: Plane, body: Any, pointer: str, words: str
) -> None:
    before = plane.epoch(), plane.records()
    refused = plane.post("/agents", body)
    problem = refused.json()
    assert (refused.status_code, refused.headers["content-type"]) == (400, "application/problem+json")
    assert problem["type"] == "urn:aos:problem:invalid-request"
    assert pointer in [each["pointer"] for each in problem["errors"]]
    assert words in json.dumps(problem["errors"])
    assert plane.get("/agents").json()["items"] == []
    assert (plane.epoch(), plane.records()) == before


def test_an_api_key_is_made_by_the_agents_owner_or_by_who_administers_people(plane: Plane) -> None:
    developer = plane.as_person("dev@larkspur.example", "developer")
    assert plane.post("/agents", {"name": "theirs", "type": "observer"}).status_code == 201
    refused = plane.post("/agents/theirs/api-keys", {"label": "mine"}, token=developer)
    assert (refused.status_code, ADMIN in refused.json()["detail"]) == (403, True)
    assert plane.get("/agents/theirs/api-keys").json()["items"] == []
    own = {"name": "own", "type": "observer", "owner": "dev@larkspur.example"}
    assert plane.post("/agents", own, token=developer).status_code == 201
    assert plane.post("/agents/own/api-keys", {"label": "mine"}, token=developer).status_code == 201
    assert plane.post("/agents/own/api-keys", {"label": "administrator"}).status_code == 201
