"""What a principal could call at all: the tools that policy does not rule out whatever the arguments are.

It is for lists alone and promises nothing: every call is decided by `decide`. Conditions are not evaluated, so a tool that
only some arguments or hours allow is within reach.
"""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from aos.kernel.acts import Act, ActKind
from aos.kernel.agents import Agent
from aos.kernel.identity import Principal, PrincipalKind
from aos.kernel.policy.index import PolicySet
from aos.kernel.policy.permissions import built_in_denials
from aos.kernel.policy.values import Outcome
from aos.kernel.tools import Tool


def is_within_reach(policies: PolicySet, principal: Principal, tool: Tool, *, agents: Mapping[UUID, Agent]) -> bool:
    """Return whether some call of `tool` by `principal` could be allowed, at once or by a person.

    `agents` holds at least the agents of the principal's chain, by id.
    """
    return _could_be_allowed(policies, Act(principal, ActKind.TOOL, tool.name, {}), agents=agents, tool=tool)


def is_agent_within_reach(
    policies: PolicySet, principal: Principal, name: str, *, agents: Mapping[UUID, Agent]
) -> bool:
    """Return whether `principal` could hand some work to the agent of this name, at once or by a person's leave."""
    return _could_be_allowed(policies, Act(principal, ActKind.DELEGATE, name, {}), agents=agents, tool=None)


def _could_be_allowed(policies: PolicySet, act: Act, *, agents: Mapping[UUID, Agent], tool: Tool | None) -> bool:
    if built_in_denials(act, agents=agents, tool=tool):
        return False
    actor = act.principal.actor
    agent = agents.get(actor.id) if actor.kind is PrincipalKind.AGENT else None
    rules = policies.rules_for(act, agent=agent, tool=tool).rules
    denied = any(each.rule.outcome is Outcome.DENY and each.condition is None for each in rules)
    return not denied and any(each.rule.outcome is Outcome.ALLOW and not each.broken for each in rules)
