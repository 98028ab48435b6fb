"""Models and purposes by REST and on the command line: versions, drafts that wait, names with slashes, money as objects."""

from __future__ import annotations

from typing import Any

import pytest

from aos.kernel.models.catalogue import find
from tests.contract.test_rest_drafts import facts, publish
from tests.planes import ADMIN, Plane

OWN: dict[str, Any] = {
    "name": "own/small",
    "provider": "openai-compatible",
    "base_url": "http://127.0.0.1:8000/v1",
    "api_key": {"secret": "own"},
    "price": {"input_per_million": {"amount": "2.50", "currency": "EUR"}, "output_per_million": "10 EUR"},
}
WRITTEN = {
    **{name: value for name, value in OWN.items() if name != "name"},
    "price": {"input_per_million": "2.50 EUR", "output_per_million": "10 EUR"},
}
QUICK: dict[str, Any] = {"name": "quick", "models": ["own/small"], "residency": ["eu"]}


@pytest.fixture
def developer(plane: Plane) -> str:
    """A developer in a company with one model, and one purpose that an agent may ask for."""
    made = [plane.post("/models", OWN), plane.post("/purposes", QUICK)]
    assert [each.status_code for each in made] == [201, 201], [each.text for each in made]
    agent = {"name": "finance", "type": "functional", "models": ["purpose:quick"]}
    assert plane.post("/agents", agent).status_code == 201
    return plane.as_person("dan@larkspur.example", "developer")


def test_a_model_is_registered_shown_changed_listed_and_retired_under_a_name_with_slashes(plane: Plane) -> None:
    made = plane.post("/models", OWN)
    assert (made.status_code, made.headers["location"]) == (201, "/models/own/small")
    shown = plane.get("/models/own/small").json()
    assert shown == made.json() == plane.get("/models/own%2Fsmall").json() == plane.get(f"/models/{shown['id']}").json()
    assert {name: shown[name] for name in OWN if name != "price"} == {key: OWN[key] for key in OWN if key != "price"}
    (price,) = shown["price"]
    assert price["input_per_million"] == {"amount": "2.50", "currency": "EUR"}
    assert price["output_per_million"] == {"amount": "10.00", "currency": "EUR"}
    assert (price["cached_per_million"], price["above_tokens"]) == (None, 0)
    changed = plane.patch("/models/own/small", {"tags": ["ours"], "price": {"cached_per_million": "1 EUR"}}).json()
    assert (changed["version"], changed["tags"], changed["price"][0]["input_per_million"]["amount"]) == (
        2,
        ["ours"],
        "2.50",
    )
    versions = plane.get("/models/own/small/versions").json()["items"]
    assert [each["version"] for each in versions] == [2, 1]
    assert [each["name"] for each in plane.get("/models?provider=openai-compatible").json()["items"]] == ["own/small"]
    assert plane.get("/models?provider=openai").json()["items"] == []
    retired = plane.delete("/models/own/small").json()
    assert retired["retired_at"] is not None
    assert plane.post("/models", OWN).json()["version"] == 3


def test_what_a_model_leaves_out_is_shown_as_the_catalogue_has_it(plane: Plane) -> None:
    known = find("gpt-4-turbo")
    assert known is not None
    shown = plane.post("/models", {"name": "gpt-4-turbo"}).json()
    assert (shown["provider"], shown["base_url"]) == (known.provider.value, known.base_url)
    assert (shown["context"], shown["output"]) == (known.context_tokens, known.output_tokens_max)
    assert len(shown["price"]) == len(known.prices)


def test_a_model_that_becomes_another_has_the_others_price_and_keeps_what_was_said_of_it(plane: Plane) -> None:
    plane.post(
        "/models", {"name": "main", "upstream": "gpt-4-turbo", "provider": "openai", "output": 100, "tags": ["x"]}
    )
    plane.patch("/models/main", {"upstream": "gpt-4-32k"})
    known, now = find("gpt-4-32k"), facts(plane).models["main"]
    assert known is not None
    assert (now.prices, now.context_tokens) == (known.prices, known.context_tokens)
    assert (now.output_tokens_max, now.tags, now.upstream) == (100, ("x",), "gpt-4-32k")
    plane.patch("/models/main", {"strength": 1})
    assert facts(plane).models["main"].prices == known.prices


@pytest.mark.parametrize(
    ("path", "body", "at"),
    [
        ("/models", {"name": "m"}, "/provider"),
        ("/models", {**OWN, "name": "a b"}, "/name"),
        ("/models", {**OWN, "name": "auto"}, ""),
        ("/models", {**OWN, "price": None}, "/price"),
        ("/models", {**OWN, "price": {"input_per_million": {"amount": "1"}}}, "/price/input_per_million/currency"),
        ("/models", {**OWN, "price": [{"input_per_million": {"amount": 1}}]}, "/price/0/input_per_million/amount"),
        ("/models", {**OWN, "apikey": "sk"}, "/apikey"),
        ("/purposes", {"name": "q", "models": ["nobody"]}, "/models/0"),
        ("/purposes", {"name": "q"}, ""),
        ("/agents", {"name": "a", "type": "functional", "models": ["purpose:nobody"]}, "/models/0"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_pointer(plane: Plane, path: str, body: dict[str, Any], at: str) -> None:
    refused = plane.post(path, body)
    assert refused.status_code == 400, refused.text
    assert at in [each["pointer"] for each in refused.json()["errors"]]


@pytest.mark.parametrize(
    "patch",
    [
        {"provider": "openai", "base_url": "https://api.openai.com/v1"},
        {"base_url": "http://127.0.0.1:9000/v1"},
        {"api_key": {"secret": "other"}},
        {"upstream": "other"},
        {"price": "free"},
        {"region": "eu"},
    ],
)
def test_a_model_that_leads_elsewhere_or_costs_less_waits(plane: Plane, developer: str, patch: dict[str, Any]) -> None:
    before = facts(plane).models["own/small"]
    changed = plane.patch("/models/own/small", patch, token=developer)
    assert (changed.status_code, changed.json()["version"], changed.json()["draft_version"]) == (200, 1, 2)
    assert facts(plane).models["own/small"] == before
    assert plane.post("/models/own/small/publish", {"version": 2}, token=developer).status_code == 403
    assert publish(plane, "/models/own/small")["version"] == 2
    assert facts(plane).models["own/small"] != before


def test_a_new_model_or_purpose_counts_once_it_is_accepted(plane: Plane, developer: str) -> None:
    for path, body in (("/models", {**OWN, "name": "second"}), ("/purposes", {"name": "deep", "models": ["second"]})):
        made = plane.post(path, body, token=developer).json()
        assert (made["version"], made["draft_version"]) == (0, 1)
        assert plane.post(path, body, token=developer).status_code == 409
    assert (set(facts(plane).models), set(facts(plane).purposes)) == ({"own/small"}, {"quick"})
    publish(plane, "/purposes/deep")
    publish(plane, "/models/second")
    assert (set(facts(plane).models), set(facts(plane).purposes)) == ({"own/small", "second"}, {"quick", "deep"})


def test_a_purpose_that_names_a_model_more_waits_and_one_that_names_fewer_does_not(
    plane: Plane, developer: str
) -> None:
    plane.post("/models", {**OWN, "name": "second"})
    wider = plane.patch("/purposes/quick", {"models": ["own/small", "second"]}, token=developer).json()
    assert (wider["version"], wider["draft_version"]) == (1, 2)
    assert facts(plane).agents_by_name["finance"].purposes == (("purpose:quick", ("own/small",)),)
    publish(plane, "/purposes/quick")
    assert facts(plane).agents_by_name["finance"].purposes == (("purpose:quick", ("own/small", "second")),)
    met = plane.get("/policies/explain?agent=finance&action=model:second").json()["rules"]
    assert [each["id"] for each in met] == ["permission/finance/purpose:quick"]
    assert plane.patch("/purposes/quick", {"residency": None}, token=developer).json()["draft_version"] == 3
    narrower = plane.patch("/purposes/quick", {"models": ["second"], "objective": "cost"}, token=developer).json()
    assert (narrower["version"], narrower["draft_version"]) == (4, None)


def test_hosts_are_changed_by_who_may_publish_policies_alone(plane: Plane, developer: str) -> None:
    manifest = {"manifest": {"aos": 1, "organization": {"hosts": ["127.0.0.1:8000"]}}}
    assert plane.post("/manifest", manifest, token=developer).status_code == 403
    (change,) = plane.post("/manifest", manifest).json()["changes"]
    assert (change["mark"], "`127.0.0.1:8000` may be reached" in change["detail"]) == ("!", True)
    assert facts(plane).hosts == ("127.0.0.1:8000",)


def test_applying_warns_of_whatever_keeps_models_from_use(plane: Plane, developer: str) -> None:
    document: dict[str, Any] = {
        "aos": 1,
        "models": {
            "own/small": {**WRITTEN, "tags": ["x"]},
            "gpt-4-turbo": {"api_key": {"secret": "openai"}},
        },
        "purposes": {"quick": {"models": ["own/small", "gpt-4-32k"], "residency": ["eu"]}},
    }
    warnings = plane.post("/manifest", {"manifest": document, "dry_run": True}).json()["warnings"]
    for told in (
        "model `gpt-4-turbo` is sent the secret `openai`, which is not set: `aos secrets set openai`",
        "model `gpt-4-turbo` is priced in USD: its calls are refused until `organization.rates` says what one is worth",
        "model `own/small` is at `127.0.0.1:8000`: its calls are refused until `organization.hosts` names it",
        "purpose `quick` passes over `gpt-4-32k` until registered under `models`",
    ):
        assert told in warnings
    plane.post("/secrets", {"name": "openai", "value": "sk"})
    document["organization"] = {"rates": {"USD": "0.92"}, "hosts": ["127.0.0.1"]}
    left = plane.post("/manifest", {"manifest": document, "dry_run": True}).json()["warnings"]
    assert not [each for each in left if "`openai`, which" in each or "USD" in each or "organization.hosts" in each]


def test_what_waits_in_a_manifest_waits_for_those_who_may_accept_it(plane: Plane, developer: str) -> None:
    document = {
        "aos": 1,
        "models": {"second": WRITTEN},
        "purposes": {"quick": {"models": ["own/small", "second"], "residency": ["eu"]}},
        "agents": {"clerk": {"type": "functional", "models": ["second"]}},
    }
    answer = plane.post("/manifest", {"manifest": document}, token=developer).json()
    assert (set(answer["waits"]), answer["waits_for"]) == ({"second", "quick", "clerk"}, [ADMIN])
    assert {each["mark"] for each in answer["changes"]} == {"!"}
    again = plane.post("/manifest", {"manifest": document}, token=developer).json()
    assert set(again["waits"]) == {"second", "quick", "clerk"}
    assert plane.get("/models/second").json()["draft_version"] == 1
    assert plane.post("/manifest", {"manifest": document}).json()["waits"] == []
    assert set(facts(plane).models) == {"own/small", "second"}
