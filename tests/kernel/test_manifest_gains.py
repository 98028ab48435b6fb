"""What gives an agent or a tool more is found closed: a field that nobody called harmless counts."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from aos.kernel.agents import AgentType, Objective, Runtime, ToolPermission
from aos.kernel.manifest.gains import agent_gains, tool_gains
from aos.kernel.manifest.values import AgentSpec, ToolSpec
from aos.kernel.money import Money
from aos.kernel.tools import Compensation, Effect, FactLookup, Repeat, ResultTrust, ToolTransport

TOOL = ToolSpec(
    "erp.pay", Effect.PAY, Repeat.KEYED, ResultTrust.OWN, ToolTransport.PYTHON, "a.b:c", {"type": "object"},
    sinks=("iban",), price=Money(5, "EUR"),
)  # fmt: skip
AGENT = AgentSpec("finance", AgentType.FUNCTIONAL, owner="a@b.example", runtime=Runtime("python", "a.b:c"),
                  price_per_second=Money(5, "EUR"))  # fmt: skip
LOOSER: dict[str, Any] = {
    "effect": Effect.READ, "repeat": Repeat.SAFE, "result_trust": ResultTrust.TRUSTED, "transport": ToolTransport.AOS,
    "entry": "a.b:d", "schema": {}, "sinks": (), "money": ("amount",), "lookups": (FactLookup("v", "t", ()),),
    "price": Money(4, "EUR"), "reversible": True, "fixed": {"bank": "x"},
    "compensate": Compensation("erp.unpay"), "options": {"url": "https://x.example"},
}  # fmt: skip
FREER: dict[str, Any] = {
    "type": AgentType.EXECUTIVE, "owner": "c@d.example", "department": "sales", "tools": (ToolPermission("erp.*"),),
    "models": ("gpt",), "delegates": ("x",), "roles": ("payer",), "permissions": ("run.start",), "risk": "low",
    "price_per_second": None, "runtime": Runtime("python", "a.b:c", inline=True),
}  # fmt: skip


def test_every_field_gives_something_or_is_known_to_give_nothing() -> None:
    harmless = {"name", "description", "timeout_seconds", "goal", "objectives", "queue", "concurrency"}
    assert {each.name for each in fields(ToolSpec)} - harmless == set(LOOSER)
    assert {each.name for each in fields(AgentSpec)} - harmless == set(FREER)
    for name, value in LOOSER.items():
        assert tool_gains(TOOL, replace(TOOL, **{name: value})), name
    for name, value in FREER.items():
        assert agent_gains(AGENT, replace(AGENT, **{name: value}), ()), name


def test_what_becomes_stricter_gives_nothing() -> None:
    stricter: dict[str, Any] = {
        "repeat": Repeat.NEVER, "result_trust": ResultTrust.UNTRUSTED, "sinks": ("iban", "amount"),
        "price": Money(6, "EUR"), "description": "Pays", "timeout_seconds": 5,
    }  # fmt: skip
    assert tool_gains(TOOL, replace(TOOL, **stricter)) == []
    rich = replace(AGENT, **{**FREER, "price_per_second": Money(1, "EUR")})
    poorer = replace(rich, tools=(), models=(), delegates=(), roles=(), permissions=(), runtime=None, goal="Pay",
                     objectives=(Objective("close"),))  # fmt: skip
    assert agent_gains(rich, poorer, ()) == []


def test_a_new_tool_always_gives_and_a_new_agent_by_what_it_may() -> None:
    assert tool_gains(None, TOOL)
    assert agent_gains(None, AGENT, ()) == []
    assert agent_gains(None, replace(AGENT, tools=(ToolPermission("erp.get"),)), ())


@pytest.mark.parametrize(
    ("had", "wanted", "gives"),
    [
        (("erp.*", ()), ("erp.get", ()), False),
        (("erp.*", ()), ("erp.*", (Effect.READ,)), False),
        (("erp.*", (Effect.READ,)), ("erp.*", ()), True),
        (("erp.*", (Effect.READ,)), ("erp.get", (Effect.READ,)), False),
        (("erp.*", (Effect.READ,)), ("erp.get", (Effect.PAY,)), True),
        (("erp.get", ()), ("erp.*", ()), True),
        (("erp.*", ()), ("erp.*.x*", ()), True),
    ],
)
def test_an_entry_gives_unless_one_that_was_there_surely_covers_it(had: Any, wanted: Any, gives: bool) -> None:
    old, new = replace(AGENT, tools=(ToolPermission(*had),)), replace(AGENT, tools=(ToolPermission(*wanted),))
    assert bool(agent_gains(old, new, ())) is gives


def test_a_runtime_that_sends_tasks_elsewhere_gives_and_so_does_another_address_secret_or_trust_in_its_card() -> None:
    here, there = "https://a.example", "https://b.example"

    def gains(old: AgentSpec | None, **options: Any) -> list[str]:
        return agent_gains(old, replace(AGENT, runtime=Runtime("a2a", options=options)), ())

    pinned = replace(AGENT, runtime=Runtime("a2a", options={"url": here, "card": "sha256:1"}))
    assert gains(None, url=here) == gains(AGENT, url=here) == [f"its tasks are sent to `{here}`"]
    assert gains(AGENT, url=here, secret="k")[1:] == [f"`{here}` is sent the secret `k`"]
    assert gains(pinned, url=here, card="sha256:1") == []
    assert gains(pinned, url=here, card="sha256:2") == ["another card of its address is believed"]
    assert gains(pinned, url=here) == ["any card of its address is believed"]
    assert gains(pinned, url=here, card="sha256:1", secret="k") == [f"`{here}` is sent the secret `k`"]
    signed = replace(AGENT, runtime=Runtime("a2a", options={"url": here, "keys": there}))
    assert gains(signed, url=here, keys=there) == []
    assert gains(signed, url=here, keys=here) == [f"its card is believed when signed by the keys at `{here}`"]
    assert gains(signed, url=here) == ["its card is believed when nobody signed it"]
    assert gains(pinned, url=there, card="sha256:1") == [f"its tasks are sent to `{there}`"]
