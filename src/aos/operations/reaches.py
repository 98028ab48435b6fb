"""What an agent may use at all, as its own code asks by `ctx.reach()`: a reading of the facts, which promises nothing.

Policy decides every call for itself; here stands what it does not rule out whatever the arguments are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from aos.kernel.agents import Agent, RuntimeKind
from aos.kernel.identity import Principal
from aos.kernel.json import Json
from aos.kernel.models.values import Capability, Model
from aos.kernel.models.wishes import AUTO
from aos.kernel.policy.permissions import PURPOSE_PREFIX, glob_matches
from aos.kernel.policy.reach import is_agent_within_reach, is_within_reach
from aos.kernel.shown_tools import shown_name, shown_schema
from aos.kernel.tools import Tool
from aos.operations.facts import OrganizationFacts

SKILLS_MAX: Final = 20
"""Tools that stand beside an agent's name, so that whoever hands out work sees what it can do."""


def reach_of(principal: Principal, agent: Agent, facts: OrganizationFacts, *, model: str) -> dict[str, Json]:
    """Return the tools and agents within reach of `principal`, and how `model` (empty: the agent's own) is best asked."""
    options = agent.runtime.options if agent.runtime is not None and agent.runtime.kind == RuntimeKind.LLM else {}
    asked = model or str(options.get("model") or "") or _usual_model(agent)
    models = _models_of(asked, agent, facts)
    return {
        "type": agent.type.value,
        "tools": [
            _tool(facts.tools[name])
            for name in sorted(facts.tools)
            if is_within_reach(facts.policies, principal, facts.tools[name], agents=facts.agents)
        ],
        "agents": [
            _agent(facts.agents_by_name[name])
            for name in sorted(facts.agents_by_name)
            if name != agent.name and is_agent_within_reach(facts.policies, principal, name, agents=facts.agents)
        ],
        "model": asked,
        "style": _style(models),
        "context_tokens": min((each.context_tokens for each in models if each.context_tokens), default=0),
        "options": dict(options),
    }


def _usual_model(agent: Agent) -> str:
    """Return the agent's only model; where it may ask several, AOS chooses."""
    only = agent.models[0] if len(agent.models) == 1 else ""
    return only if only and "*" not in only else AUTO


def _models_of(asked: str, agent: Agent, facts: OrganizationFacts) -> list[Model]:
    """Return the models that may come to answer where `asked` is asked for."""
    if asked.startswith(PURPOSE_PREFIX):
        purpose = facts.purposes.get(asked.removeprefix(PURPOSE_PREFIX))
        names: Sequence[str] = purpose.models if purpose is not None else ()
    elif asked == AUTO:
        permitted = {each for _, models in agent.purposes for each in models}
        names = [
            name
            for name in sorted(facts.models)
            if name in permitted or any(glob_matches(each, name) for each in agent.models)
        ]
    else:
        names = (asked,)
    return [facts.models[name] for name in names if name in facts.models]


def _style(models: Sequence[Model]) -> str:
    """Return how the models are best asked: a request with tools goes to those that can take it, where any can."""
    if not models or any(Capability.TOOLS in each.capabilities for each in models):
        return "tools"
    return "json" if any(Capability.JSON_SCHEMA in each.capabilities for each in models) else "plain"


def _tool(tool: Tool) -> dict[str, Any]:
    return {
        "name": tool.name,
        "shown": shown_name(tool.name),
        "description": tool.description,
        "schema": shown_schema(tool),
        "effect": tool.effect.value,
    }


def _agent(agent: Agent) -> dict[str, Any]:
    return {
        "name": agent.name,
        "type": agent.type.value,
        "goal": agent.goal,
        "objectives": [each.name for each in agent.objectives],
        "tools": [each.pattern for each in agent.tools[:SKILLS_MAX]],
    }
