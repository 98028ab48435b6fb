"""Models and purposes in a manifest: filled from the catalogue, refused where they lead nowhere, and closed to silent gains."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import date
from typing import Any

import pytest

from aos.kernel.dialects.values import Dialect
from aos.kernel.errors import InvalidManifest
from aos.kernel.manifest.diff import Mark, diff
from aos.kernel.manifest.gains import agent_gains, model_gains, purpose_gains
from aos.kernel.manifest.parse import parse_manifest
from aos.kernel.manifest.values import AgentSpec, Manifest, ModelSpec, OrganizationSpec, Purpose
from aos.kernel.models.catalogue import find
from aos.kernel.models.spec import price_text
from aos.kernel.models.values import Model, Price, Provider
from aos.kernel.policy.permissions import purposes_of

OWN: dict[str, Any] = {"provider": "openai-compatible", "base_url": "http://127.0.0.1:8000/v1", "price": "free"}
DOLLARS = {"input_per_million": "2.50 USD", "output_per_million": "10 USD"}


def read(model: dict[str, Any], name: str = "m", **more: Any) -> ModelSpec:
    """Return one model as a manifest gives it."""
    return parse_manifest({"aos": 1, "models": {name: model}, **more}).models[0]


def problems(document: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what is wrong with a manifest."""
    with pytest.raises(InvalidManifest) as refused:
        parse_manifest({"aos": 1, **document})
    return [(each.pointer, each.detail) for each in refused.value.errors]


def test_a_spec_says_all_that_a_model_holds_but_its_id_and_version() -> None:
    assert {each.name for each in fields(ModelSpec)} == {each.name for each in fields(Model)} - {"id", "version"}
    whole = {each.name: each.default for each in fields(Model)}
    assert all(whole[each.name] == each.default for each in fields(ModelSpec))


def test_what_a_model_does_not_say_comes_from_the_catalogue() -> None:
    known = find("gpt-4-turbo", Provider.OPENAI)
    assert known is not None
    spec = read({"provider": "openai", "api_key": {"secret": "openai"}}, "gpt-4-turbo")
    for name in ("provider", "upstream", "base_url", "dialects", "context_tokens", "output_tokens_max", "strength"):
        assert getattr(spec, name) == getattr(known, name), name
    assert (spec.prices, spec.capabilities, spec.tags) == (known.prices, known.capabilities, known.tags)
    assert (spec.secret, read({}, "gpt-4-turbo")) == ("openai", replace(spec, secret=""))
    said = read({"upstream": "gpt-4-turbo", "output": 100, "price": DOLLARS, "tags": []}, "ours")
    assert (said.upstream, said.output_tokens_max, said.tags) == ("gpt-4-turbo", 100, ())
    assert said.prices == (Price("USD", 2_500_000_000, 10_000_000_000),)


def test_models_of_the_catalogue_may_be_named_before_they_are_registered() -> None:
    document: dict[str, Any] = {
        "aos": 1,
        "organization": {"name": "Larkspur", "currency": "EUR"},
        "models": {"gpt-4-turbo": {"provider": "openai", "api_key": {"secret": "openai"}}},
        "purposes": {"high-speed": {"models": ["gpt-3.5-turbo", "local/smollm2"]}},
        "agents": {"finance": {"type": "functional", "models": ["purpose:high-speed"]}},
    }
    manifest = parse_manifest(document)
    assert [each.name for each in manifest.models] == ["gpt-4-turbo"]
    assert manifest.purposes == (Purpose("high-speed", ("gpt-3.5-turbo", "local/smollm2")),)


def test_whoever_else_serves_a_known_model_says_its_price_and_address() -> None:
    spec = read({**OWN, "upstream": "gpt-4-turbo"})
    known = find("gpt-4-turbo")
    assert known is not None
    assert (spec.context_tokens, spec.prices) == (known.context_tokens, (Price("EUR", 0, 0),))
    bare = {"models": {"gpt-4-turbo": {"provider": "openai-compatible"}}}
    assert [at for at, _ in problems(bare)] == ["/models/gpt-4-turbo/base_url", "/models/gpt-4-turbo/price"]


def test_what_is_free_costs_nothing_in_the_organizations_own_currency() -> None:
    assert read(OWN).prices == (Price("EUR", 0, 0),)
    assert read(OWN, organization={"currency": "CHF"}).prices == (Price("CHF", 0, 0),)
    known = Manifest(organization=OrganizationSpec(currency="USD"))
    assert parse_manifest({"aos": 1, "models": {"m": OWN}}, known).models[0].prices == (Price("USD", 0, 0),)


def test_prices_change_with_time_and_size() -> None:
    figures = [
        DOLLARS,
        {**DOLLARS, "since": "2026-03-01", "above_tokens": 200_000, "cached_per_million": "0.25 USD", "source": "page"},
    ]
    first, second = read({**OWN, "price": figures}).prices
    assert (first.since, first.cached) == (date(1970, 1, 1), None)
    assert (second.since, second.above_tokens, second.cached) == (date(2026, 3, 1), 200_000, 250_000_000)
    assert price_text(second) == "2.50/10.00 USD from 200000 tokens on since 2026-03-01"


def test_a_servers_dialects_are_its_providers_unless_it_says_so() -> None:
    assert read(OWN).dialects == (Dialect.CHAT,)
    assert read({**OWN, "dialects": ["openai-embeddings"]}).dialects == (Dialect.EMBEDDINGS,)


@pytest.mark.parametrize(
    ("name", "changed", "at", "told"),
    [
        ("m", {"provider": "openapi"}, "/provider", "did you mean"),
        ("m", {"provider": ...}, "/provider", "the catalogue does not know a model `m`"),
        ("m", {"price": ...}, "/price", "give it, or say `free`"),
        ("m", {"price": {"output_per_million": "1 USD"}}, "/price", "input_per_million"),
        ("m", {"price": [DOLLARS, DOLLARS]}, "/price", "two figures for one day"),
        ("m", {"price": {**DOLLARS, "cached_per_million": "1 EUR"}}, "/price", "one currency"),
        ("m", {"base_url": ...}, "/base_url", "no server of its own"),
        ("m", {"base_url": "ftp://x"}, "/base_url", ""),
        ("m", {"base_url": "http://u:p@x/"}, "/base_url", ""),
        ("m", {"provider": "local"}, "/base_url", "AOS's own to say"),
        ("m", {"api_key": {"secret": "signing/token/1"}}, "/api_key/secret", "a key of AOS itself"),
        ("m", {"api_key": "sk-1"}, "/api_key", "an object"),
        ("m", {"fallbacks": ["nobody"]}, "/fallbacks/0", "no model is called `nobody`"),
        ("m", {"fallbacks": ["m"]}, "/fallbacks/0", "cannot fall back to itself"),
        ("m", {"timeout": "0s"}, "/timeout", "longer than 0s"),
        ("m", {"strength": 6}, "/strength", "at most 5"),
        ("auto", {}, "", "requests mean something else"),
        ("purpose:x", {}, "", "requests mean something else"),
        ("a/publish", {}, "", "a meaning of its own in paths"),
        ("a//b", {}, "", "a meaning of its own in paths"),
    ],
)
def test_what_is_wrong_with_a_model_is_named_where_it_stands(
    name: str, changed: dict[str, Any], at: str, told: str
) -> None:
    model = {key: value for key, value in {**OWN, **changed}.items() if value is not ...}
    found = problems({"models": {name: model}})
    where = f"/models/{name.replace('/', '~1')}{at}"
    assert any(place.startswith(where) and told in detail for place, detail in found), found


@pytest.mark.parametrize(
    ("purpose", "at", "told"),
    [
        ({"models": []}, "/models", "at least 1"),
        ({"models": ["gpt-4-turbo", "gpt-4-turbi"]}, "/models/1", "did you mean `gpt-4-turbo`"),
        ({"models": ["gpt-4-turbo"], "canary": {"gpt-4-32k": 5}}, "/canary/gpt-4-32k", "none of the purpose's models"),
        (
            {"models": ["gpt-4-turbo", "gpt-4-32k"], "canary": {"gpt-4-turbo": 60, "gpt-4-32k": 41}},
            "/canary",
            "at most 100",
        ),
        ({"models": ["gpt-4-turbo"], "hedge_after": "0s"}, "/hedge_after", "longer than 0s"),
        ({"models": ["gpt-4-turbo"], "cascade": ["jsn"]}, "/cascade/0", "did you mean"),
    ],
)
def test_what_is_wrong_with_a_purpose_is_named_where_it_stands(purpose: dict[str, Any], at: str, told: str) -> None:
    found = problems({"purposes": {"quick": purpose}})
    assert any(place == f"/purposes/quick{at}" and told in detail for place, detail in found), found


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("m", None),
        ("m*", None),
        ("gpt-4-turbo", None),
        ("purpose:own", None),
        ("purpose:*", None),
        ("n", "no model is called `n`"),
        ("zz*", "takes in no model"),
        ("purpose:owm", "did you mean `own`"),
        ("purpose:zz*", "takes in no purpose"),
    ],
)
def test_an_agent_names_models_and_purposes_that_there_are(entry: str, told: str | None) -> None:
    document: dict[str, Any] = {
        "models": {"m": OWN},
        "purposes": {"own": {"models": ["m"]}},
        "agents": {"a": {"type": "functional", "models": [entry]}},
    }
    if told is None:
        assert parse_manifest({"aos": 1, **document}).agents[0].models == (entry,)
    else:
        ((at, detail),) = problems(document)
        assert (at, told in detail) == ("/agents/a/models/0", True)


def test_a_policy_names_models_that_there_are() -> None:
    rule = {"id": "no", "outcome": "deny", "actions": ["model:gpt-4-turbo", "model:later-*", "model:gpt-4-turbi"]}
    ((at, detail),) = problems({"policies": [rule]})
    assert (at, "did you mean" in detail) == ("/policies/0/actions/2", True)


MODEL = read({**OWN, "api_key": {"secret": "key"}, "price": DOLLARS})
PURPOSE = Purpose("quick", ("a", "b"), residency=("eu", "ch"))
WIDER_MODEL: dict[str, Any] = {
    "provider": Provider.OPENAI,
    "upstream": "other",
    "base_url": "http://127.0.0.1:8001/v1",
    "secret": "other",
    "prices": (Price("USD", 2_500_000_000, 9_000_000_000),),
    "region": "eu",
    "fallbacks": ("other",),
    "context_tokens": 1,
    "options": {"deployment": "other"},
}
WIDER_PURPOSE: dict[str, Any] = {"models": ("a", "b", "c"), "residency": ()}


def test_every_field_of_a_model_or_purpose_gives_something_or_is_known_to_give_nothing() -> None:
    plain = {"name", "dialects", "output_tokens_max", "capabilities", "tags", "strength"}
    plain |= {"concurrency", "timeout_seconds"}
    assert {each.name for each in fields(ModelSpec)} - plain == set(WIDER_MODEL)
    for name, value in WIDER_MODEL.items():
        assert model_gains(MODEL, replace(MODEL, **{name: value})), name
    chooses = {"name", "objective", "canary", "hedge_after_ms", "cascade", "cache_seconds", "attempts"}
    assert {each.name for each in fields(Purpose)} - chooses == set(WIDER_PURPOSE)
    for name, value in WIDER_PURPOSE.items():
        assert purpose_gains(PURPOSE, replace(PURPOSE, **{name: value})), name


def test_what_is_taken_from_a_model_or_purpose_gives_nothing() -> None:
    dearer = (Price("USD", 2_500_000_000, 11_000_000_000, 2_500_000_000),)
    assert model_gains(MODEL, replace(MODEL, prices=dearer, secret="", tags=("x",), strength=1)) == []
    assert purpose_gains(PURPOSE, replace(PURPOSE, models=("b",), residency=("ch",), attempts=1)) == []


def test_a_context_that_is_said_smaller_or_for_the_first_time_gives_and_a_larger_one_does_not() -> None:
    known = replace(MODEL, context_tokens=8_000)
    gives = {context: bool(model_gains(known, replace(known, context_tokens=context))) for context in (4_000, 16_000)}
    assert gives == {4_000: True, 16_000: False}
    assert model_gains(replace(MODEL, context_tokens=0), known)


def test_a_new_model_and_a_new_purpose_always_give() -> None:
    assert model_gains(None, MODEL) == ["a new model at http://127.0.0.1:8000/v1, with the secret `key`"]
    assert purpose_gains(None, PURPOSE) == [f"whoever may ask for it may ask `{each}`" for each in "ab"]
    agent = AgentSpec("a", type=parse_manifest({"aos": 1, "agents": {"a": {"type": "observer"}}}).agents[0].type)
    asks = replace(agent, models=("m", "purpose:quick"))
    assert agent_gains(agent, asks, ()) == ["may now ask the model `m`", "may now ask the models of `purpose:quick`"]


def test_what_changes_is_told_with_its_price_and_wider_hosts_are_marked() -> None:
    current = Manifest(organization=OrganizationSpec(hosts=("a",)), models=(MODEL,), purposes=(PURPOSE,))
    dearer = replace(MODEL, prices=(Price("USD", 2_500_000_000, 11_000_000_000),))
    wanted = Manifest(
        organization=OrganizationSpec(hosts=("b",)), models=(dearer,), purposes=(replace(PURPOSE, models=("c",)),)
    )
    organization, model, purpose = diff(current, wanted)
    assert (organization.mark, "`b` may be reached" in organization.detail) == (Mark.WIDEN, True)
    assert (model.mark, model.detail) == (Mark.CHANGE, "prices: 2.50/10.00 USD -> 2.50/11.00 USD")
    assert (purpose.mark, purpose.detail) == (Mark.WIDEN, "whoever may ask for it may ask `c`; models: a, b -> c")
    assert [each.mark for each in diff(Manifest(), Manifest(models=(MODEL,), purposes=(PURPOSE,)))] == [Mark.ADD] * 2


def test_a_purposes_models_are_found_by_its_name_or_a_glob_each_once() -> None:
    purposes = {"quick": ("a", "b"), "deep": ("b", "c")}
    found = dict(purposes_of(("a", "purpose:quick", "purpose:*", "purpose:gone"), purposes))
    assert found == {"purpose:quick": ("a", "b"), "purpose:*": ("a", "b", "c"), "purpose:gone": ()}
