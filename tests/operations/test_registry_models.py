"""What is registered of models and purposes reaches the facts that decisions rest on, and every process within its epoch."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from aos.kernel.acts import Act, ActKind
from aos.kernel.dialects.values import Dialect
from aos.kernel.errors import NotFound
from aos.kernel.identity import ChainLink, Principal, PrincipalKind
from aos.kernel.models.values import Capability, CascadeCheck, Objective, Price, Provider
from aos.kernel.policy.values import Outcome
from aos.operations.facts import FactsCache, OrganizationFacts
from aos.store.hot.database import Database, DatabaseConfig
from tests.planes import Plane

PRICE = {"input_per_million": "2.50 USD", "output_per_million": "10 USD", "cached_per_million": "1.25 USD"}
DOCUMENT: dict[str, Any] = {
    "aos": 1,
    "organization": {"hosts": ["models.larkspur.example", "127.0.0.1:9001"], "rates": {"USD": "0.92"}},
    "models": {
        "large": {
            "provider": "openai",
            "api_key": {"secret": "openai"},
            "upstream": "gpt-large-1",
            "base_url": "https://models.larkspur.example/v1/",
            "context": 128000,
            "output": 16000,
            "price": PRICE,
            "capabilities": ["tools", "images"],
            "tags": ["general"],
            "region": "eu",
            "strength": 5,
            "fallbacks": ["local/small"],
            "concurrency": 8,
            "timeout": "2m",
        },
        "local/small": {"provider": "openai-compatible", "base_url": "http://127.0.0.1:9001/v1", "price": "free"},
    },
    "purposes": {
        "high-speed": {
            "models": ["local/small", "large"],
            "objective": "latency",
            "residency": ["eu"],
            "canary": {"large": 5},
            "hedge_after": "1500ms",
            "cascade": ["json"],
            "cache": "10m",
            "attempts": 3,
        }
    },
    "agents": {"finance": {"type": "functional", "models": ["purpose:high-speed"]}},
}


def apply(plane: Plane, document: dict[str, Any], **more: Any) -> Any:
    """Apply a manifest and return what it changed."""
    answer = plane.post("/manifest", {"manifest": document, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def facts_of(plane: Plane) -> OrganizationFacts:
    """Return the facts that a process loads now."""

    async def load() -> OrganizationFacts:
        database = Database(DatabaseConfig(plane.database.app, plane.database.machine))
        await database.open()
        try:
            return await FactsCache(database, plane.drivers).of(plane.actor.organization_id)
        finally:
            await database.close()

    return asyncio.run(load())


def test_a_manifests_models_and_purposes_are_the_facts_of_every_process(plane: Plane) -> None:
    apply(plane, DOCUMENT)
    facts = facts_of(plane)
    large, small = facts.models["large"], facts.models["local/small"]
    assert (large.provider, large.upstream, large.version) == (Provider.OPENAI, "gpt-large-1", 1)
    assert large.base_url == "https://models.larkspur.example/v1"
    assert large.dialects == (Dialect.CHAT, Dialect.RESPONSES)
    assert (large.context_tokens, large.output_tokens_max, large.strength) == (128_000, 16_000, 5)
    assert large.prices == (Price("USD", 2_500_000_000, 10_000_000_000, 1_250_000_000),)
    assert large.capabilities == (Capability.TOOLS, Capability.IMAGES)
    assert (large.fallbacks, large.concurrency, large.timeout_seconds) == (("local/small",), 8, 120)
    assert (large.tags, large.region, large.secret) == (("general",), "eu", "openai")
    assert small.prices == (Price("EUR", 0, 0),)
    purpose = facts.purposes["high-speed"]
    assert (purpose.models, purpose.objective) == (("local/small", "large"), Objective.LATENCY)
    assert (purpose.residency, purpose.canary) == (("eu",), {"large": 5})
    assert (purpose.hedge_after_ms, purpose.cascade) == (1_500, (CascadeCheck.JSON,))
    assert (purpose.cache_seconds, purpose.attempts) == (600, 3)
    assert facts.hosts == ("127.0.0.1:9001", "models.larkspur.example")


def test_a_key_is_opened_for_those_secrets_alone_that_models_name(plane: Plane) -> None:
    apply(plane, DOCUMENT)
    with pytest.raises(NotFound, match="aos secrets set openai"):
        facts_of(plane).secret("openai")
    for name in ("openai", "other"):
        plane.post("/secrets", {"name": name, "value": f"sk-{name}\n"})
    before = facts_of(plane)
    assert dict(before.secrets) == {"openai": "sk-openai"}
    assert "sk-openai" not in repr(before)
    plane.request("PUT", "/secrets/openai", {"value": "sk-next"})
    after = facts_of(plane)
    assert (after.secret("openai"), after.epoch > before.epoch) == ("sk-next", True)
    plane.delete("/secrets/openai")
    assert dict(facts_of(plane).secrets) == {}


def decided(plane: Plane, model: str) -> tuple[str, ...]:
    """Return the ids of the rules that the agent's call of a model meets, denials marked."""
    facts = facts_of(plane)
    agent = facts.agents_by_name["finance"]
    link = ChainLink(PrincipalKind.AGENT, agent.id, agent.name, agent.version)
    act = Act(Principal(facts.id, (link,)), ActKind.MODEL, model, {})
    rules = facts.policies.rules_for(act, agent=agent, tool=None).rules
    assert all(each.rule.outcome is Outcome.ALLOW for each in rules)
    return tuple(each.rule.id for each in rules)


def test_an_agent_may_ask_the_models_that_its_purpose_names_at_the_moment(plane: Plane) -> None:
    apply(plane, DOCUMENT)
    assert decided(plane, "large") == ("permission/finance/purpose:high-speed",)
    assert decided(plane, "other") == ()
    apply(plane, {"aos": 1, "purposes": {"high-speed": {"models": ["local/small"]}}})
    assert decided(plane, "large") == ()
    assert decided(plane, "local/small") == ("permission/finance/purpose:high-speed",)


def test_applying_the_same_again_changes_nothing_and_prune_retires(plane: Plane) -> None:
    apply(plane, DOCUMENT)
    assert apply(plane, DOCUMENT)["changes"] == []
    changes = apply(plane, {"aos": 1, "agents": {"finance": {"type": "functional"}}}, prune=True)["changes"]
    removed = [(each["mark"], each["kind"], each["name"]) for each in changes if each["mark"] == "-"]
    assert removed == [("-", "model", "large"), ("-", "model", "local/small"), ("-", "purpose", "high-speed")]
    facts = facts_of(plane)
    assert (dict(facts.models), dict(facts.purposes)) == ({}, {})
    apply(plane, DOCUMENT)
    assert facts_of(plane).models["large"].version == 2
