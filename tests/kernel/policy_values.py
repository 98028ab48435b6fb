"""Agents, tools, acts and facts for the tests of the policy engine: each as a newcomer would write it, changed by keyword."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import UUID

from aos.kernel.acts import Act, ActKind
from aos.kernel.agents import Agent, AgentStatus, AgentType, ToolPermission
from aos.kernel.identity import ChainLink, Claim, Principal, PrincipalKind
from aos.kernel.json import Json
from aos.kernel.policy.decide import decide
from aos.kernel.policy.index import PolicySet
from aos.kernel.policy.values import Approvers, Decision, Facts, Outcome, Rule, Subject
from aos.kernel.tools import Effect, FactLookup, Repeat, ResultTrust, Tool, ToolTransport

ORGANIZATION = UUID(int=77)
FRIDAY = datetime(2026, 1, 30, 10, 15, tzinfo=UTC)

PAYMENT_SCHEMA: Json = {
    "type": "object",
    "properties": {
        "iban": {"type": "string"},
        "amount": {"type": "string", "format": "money"},
        "fee": {"type": "string", "format": "money"},
        "currency": {"type": "string"},
        "note": {"type": "string"},
        "count": {"type": "integer"},
        "rate": {"type": "number"},
        "urgent": {"type": "boolean"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "vendor": {"type": "object", "properties": {"id": {"type": "string"}, "limit": {"$ref": "#/$defs/limit"}}},
        "vendor-id": {"type": "string"},
        "in": {"type": "integer"},
        "open": {},
        "meta": {"type": "object"},
    },
    "$defs": {"limit": {"type": "integer"}},
}


def an_agent(name: str = "finance", *, number: int = 1, **changes: object) -> Agent:
    values: dict[str, object] = {
        "id": UUID(int=number),
        "name": name,
        "version": 1,
        "type": AgentType.FUNCTIONAL,
        "status": AgentStatus.RUNNING,
        "department_id": UUID(int=900),
        "department": "finance",
        "owner": "maria@larkspur.example",
        "goal": "pay what is due",
        "runtime": None,
        "tools": (ToolPermission("payments.create"),),
    }
    return Agent(**{**values, **changes})  # type: ignore[arg-type]


def a_tool(name: str = "payments.create", **changes: object) -> Tool:
    values: dict[str, object] = {
        "id": UUID(int=500),
        "name": name,
        "version": 1,
        "effect": Effect.PAY,
        "repeat": Repeat.KEYED,
        "result_trust": ResultTrust.OWN,
        "transport": ToolTransport.PYTHON,
        "entry": "example.erp:create_payment",
        "schema": PAYMENT_SCHEMA,
        "sinks": ("iban", "amount"),
        "money": ("amount", "fee"),
        "lookups": (FactLookup("vendor", "erp.vendors.get", (("id", "vendor.id"),)),),
    }
    return Tool(**{**values, **changes})  # type: ignore[arg-type]


def link(agent: Agent) -> ChainLink:
    return ChainLink(PrincipalKind.AGENT, agent.id, agent.name, agent.version)


def a_person(name: str = "maria") -> ChainLink:
    return ChainLink(PrincipalKind.PERSON, UUID(int=4_000), name)


def an_act(
    *chain: ChainLink,
    arguments: Json = None,
    kind: ActKind = ActKind.TOOL,
    name: str = "payments.create",
    roles: tuple[str, ...] = (),
    in_run: bool = False,
) -> Act:
    claim = Claim(UUID(int=1), UUID(int=2), 1, UUID(int=3)) if in_run else None
    principal = Principal(ORGANIZATION, chain or (link(an_agent()),), roles, None, claim)
    return Act(principal, kind, name, {} if arguments is None else arguments)


def the_facts(**changes: object) -> Facts:
    values: dict[str, object] = {
        "subject": Subject("finance", "functional", "finance", "normal", ("person:maria", "agent:finance"), "maria"),
        "now": FRIDAY,
        "decided_at": FRIDAY,
    }
    return Facts(**{**values, **changes})  # type: ignore[arg-type]


def a_rule(
    when: str = "",
    *,
    id: str = "rule",
    outcome: Outcome = Outcome.DENY,
    agents: tuple[str, ...] = (),
    actions: tuple[str, ...] = ("tool:payments.create",),
    reason: str = "",
    version: int = 1,
    effects: tuple[str, ...] = (),
    approvers: Approvers | None = None,
) -> Rule:
    return Rule(id, version, outcome, agents, actions, when, reason, effects, approvers)


def decided(
    rules: tuple[Rule, ...] | list[Rule] | PolicySet = (),
    *,
    arguments: Json = None,
    act: Act | None = None,
    agents: tuple[Agent, ...] | None = None,
    tool: Tool | None = None,
    no_tool: bool = False,
    facts: Mapping[str, object] | None = None,
) -> Decision:
    """Decide a payment by the agent `finance`, or what the keywords say instead."""
    known = (an_agent(),) if agents is None else agents
    policies = rules if isinstance(rules, PolicySet) else PolicySet(rules)
    return decide(
        policies,
        act or an_act(arguments=arguments),
        agents={agent.id: agent for agent in known},
        tool=None if no_tool else tool or a_tool(),
        facts=the_facts(**(facts or {})),
    )
