"""What a principal could call at all: never less than `decide` would allow, and nothing that no arguments can open."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from aos.kernel.agents import AgentStatus, AgentType, ToolPermission
from aos.kernel.identity import ChainLink, Principal
from aos.kernel.policy.index import PolicySet
from aos.kernel.policy.permissions import permission_rules
from aos.kernel.policy.reach import is_agent_within_reach, is_within_reach
from aos.kernel.policy.values import Outcome
from aos.kernel.tools import Effect
from tests.kernel.policy_values import a_person, a_rule, a_tool, an_act, an_agent, decided, link

MAY: dict[str, Any] = {"tools": (ToolPermission("payments.*"),)}


def within(*rules, agent=None, chain: tuple[ChainLink, ...] = (), roles: tuple[str, ...] = (), agents=(), tool=None):
    principal = Principal(UUID(int=7), (*chain, link(agent)) if agent is not None else chain, roles=roles)
    known = {each.id: each for each in ((agent, *agents) if agent is not None else agents)}
    return is_within_reach(PolicySet(rules), principal, tool or a_tool(), agents=known)


@pytest.mark.parametrize(
    ("rules", "reachable"),
    [
        ((), True),
        ((a_rule(outcome=Outcome.DENY),), False),
        ((a_rule(outcome=Outcome.DENY, agents=("other",)),), True),
        ((a_rule("args.amount > 10", outcome=Outcome.DENY),), True),
        ((a_rule("this does not compile", outcome=Outcome.DENY),), False),
        ((a_rule(outcome=Outcome.ESCALATE),), True),
    ],
)
def test_only_what_is_denied_whatever_the_arguments_is_out_of_reach(rules, reachable):
    assert within(*rules, agent=an_agent(**MAY)) is reachable


def test_what_no_rule_allows_is_out_of_reach():
    nothing = an_agent(tools=())
    assert not within(agent=nothing)
    assert within(a_rule(outcome=Outcome.ALLOW), agent=nothing)
    assert within(a_rule("args.amount > 10", outcome=Outcome.ALLOW), agent=nothing)
    assert not within(a_rule("this does not compile", outcome=Outcome.ALLOW), agent=nothing)


def test_what_an_agent_is_counts_as_at_the_gate():
    assert not within(agent=an_agent(type=AgentType.OBSERVER, **MAY))
    assert within(agent=an_agent(type=AgentType.OBSERVER, **MAY), tool=a_tool(effect=Effect.READ))
    assert not within(agent=an_agent(status=AgentStatus.PAUSED, **MAY))
    above, below = an_agent("above", number=2, tools=()), an_agent("below", number=3, type=AgentType.SUB_AGENT, **MAY)
    assert not within(agent=below, chain=(a_person(), link(above)), agents=(above,))


def test_an_agent_that_is_not_known_reaches_nothing():
    stranger = an_agent(**MAY)
    assert not is_within_reach(PolicySet(()), Principal(UUID(int=7), (link(stranger),)), a_tool(), agents={})


@pytest.mark.parametrize(("role", "reachable"), [("admin", True), ("developer", False), ("approver", False)])
def test_a_person_reaches_what_their_roles_allow(role, reachable):
    assert within(chain=(a_person(),), roles=(role,)) is reachable


def test_whatever_the_gate_would_allow_is_within_reach():
    agent = an_agent(**MAY)
    for rules in ((), (a_rule("args.amount > 10", outcome=Outcome.DENY),), (a_rule(outcome=Outcome.ESCALATE),)):
        act = an_act(link(agent), arguments={"iban": "DE1", "amount": "5", "currency": "EUR"})
        outcome = decided(list(rules), act=act, agents=(agent,)).outcome
        assert outcome is Outcome.DENY or within(*rules, agent=agent)


def test_whom_work_can_be_handed_to_follows_lists_policies_and_kind():
    lead = an_agent("lead", number=2, delegates=("helper",))
    known = {lead.id: lead}
    principal = Principal(UUID(int=7), (link(lead),))
    deny = a_rule(outcome=Outcome.DENY, actions=("delegate:helper",))
    assert is_agent_within_reach(PolicySet(permission_rules(lead)), principal, "helper", agents=known)
    assert not is_agent_within_reach(PolicySet(permission_rules(lead)), principal, "other", agents=known)
    assert not is_agent_within_reach(PolicySet((*permission_rules(lead), deny)), principal, "helper", agents=known)
    for kind in (AgentType.OBSERVER, AgentType.SUB_AGENT):
        bound = an_agent("lead", number=2, delegates=("helper",), type=kind)
        rules = PolicySet(permission_rules(bound))
        assert not is_agent_within_reach(rules, principal, "helper", agents={bound.id: bound})
