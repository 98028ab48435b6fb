"""Permissions as rules: what an agent's own lists allow, and what AOS allows or denies whatever a policy says.

An agent's `tools`, `models` and `delegates` are its permissions; each is the allow rule `permission/<agent>/<name>`, and
what no rule allows is denied. `purpose:NAME` among its models permits the models that the purpose names at the moment. The built-in denials below hold against every allow:

    built-in/unknown-agent          the actor is no agent of this organization
    built-in/unknown-tool           no tool of that name is registered
    built-in/status                 the agent is not running
    built-in/observer-reads         an observer asks for an effect other than read, or starts a run
    built-in/observer-delegates     an observer delegates
    built-in/sub-agent-delegates    a sub-agent delegates
    built-in/narrowed               the agent that spawned this sub-agent lacks the permission itself
    built-in/delegation-depth       the chain is as long as it may be

Every agent may ask a person (`ask:NAME`), which `built-in/ask-a-person` escalates whatever else holds.

People and schedules have no lists: `MAY_BY_ROLE` is all that is allowed to them without a policy.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final
from uuid import UUID

from aos.kernel.acts import Act, ActKind
from aos.kernel.agents import Agent, AgentStatus, AgentType
from aos.kernel.identity import ChainLink, Principal, PrincipalKind
from aos.kernel.limits import DELEGATION_DEPTH_MAX
from aos.kernel.policy.values import Approvers, Matched, Outcome, Rule, RuleSource
from aos.kernel.tools import Effect, Tool

MAY_BY_ROLE: Final[Mapping[str, tuple[str, ...]]] = {
    "admin": ("delegate:*", "message:*", "model:*", "run:*", "tool:*"),
    "developer": ("delegate:*", "message:*", "model:*", "run:*"),
    "operator": ("delegate:*", "message:*", "model:*", "run:*"),
    "schedule": ("delegate:*", "message:*", "run:*"),
}
"""What a person may do by role; a schedule, made by somebody who may, has the role `schedule`.

`delegate:*` is what a run does for the one who started it: each of its tasks is a delegation to an agent. Whoever may start
runs, which cost money too, may try a model: budgets and policies count for them as for agents.
"""


ASK_SECONDS: Final = 7 * 86_400
"""How long a question to a person stands."""
PURPOSE_PREFIX: Final = "purpose:"
"""What an entry of an agent's `models` begins with where it names a purpose."""


@lru_cache(maxsize=20_000)
def _glob(pattern: str) -> re.Pattern[str]:
    return re.compile(
        "".join(".*" if part == "*" else re.escape(part) for part in re.split(r"(\*)", pattern)), re.DOTALL
    )


def glob_matches(pattern: str, name: str) -> bool:
    """Return whether `name` matches `pattern`, in which `*` stands for any text and nothing else is special."""
    return pattern == name or ("*" in pattern and _glob(pattern).fullmatch(name) is not None)


def permission_rules(agent: Agent) -> tuple[Rule, ...]:
    """Return the allow rules that the agent's lists make."""
    lists: list[tuple[tuple[str, ...], str, tuple[str, ...]]] = [
        ((f"tool:{each.pattern}",), each.pattern, tuple(effect.value for effect in each.effects))
        for each in agent.tools
    ]
    named = dict(agent.purposes)
    # A rule without actions would allow everything: a purpose that names no model keeps the action of its own name.
    lists += [
        ((f"model:{name}", *(f"model:{model}" for model in named.get(name, ()))), name, ()) for name in agent.models
    ]
    # Whom it may hand a task to, it may send one through a door as well: that starts a run of the other agent.
    lists += [((f"delegate:{name}", f"run:{name}"), name, ()) for name in agent.delegates]
    return tuple(
        Rule(
            id=f"permission/{agent.name}/{name}",
            version=agent.version,
            outcome=Outcome.ALLOW,
            agents=(agent.name,),
            actions=actions,
            effects=effects,
            source=RuleSource.PERMISSION,
        )
        for actions, name, effects in lists
    )


def purposes_of(
    models: Iterable[str], purposes: Mapping[str, tuple[str, ...]]
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return what an agent's `models` permit through purposes: each entry that names one, or a glob, with its models.

    `purposes` holds the models of each purpose by its name. An entry that names no purpose there permits nothing.
    """
    found: list[tuple[str, tuple[str, ...]]] = []
    for entry in models:
        if entry.startswith(PURPOSE_PREFIX):
            pattern = entry.removeprefix(PURPOSE_PREFIX)
            named = [model for name, each in purposes.items() if glob_matches(pattern, name) for model in each]
            found.append((entry, tuple(dict.fromkeys(named))))
    return tuple(found)


def ask_rules() -> tuple[Rule, ...]:
    """Return the rules of asking a person: every agent may, and nothing is answered without one."""
    return (
        Rule("built-in/ask", 1, Outcome.ALLOW, (), ("ask:*",), source=RuleSource.BUILT_IN),
        Rule(
            "built-in/ask-a-person",
            1,
            Outcome.ESCALATE,
            (),
            ("ask:*",),
            reason="the agent asks a person",
            approvers=Approvers(expires_seconds=ASK_SECONDS),
            source=RuleSource.BUILT_IN,
        ),
    )


def role_rules(principal: Principal) -> tuple[Rule, ...]:
    """Return the built-in allow rules of a person's roles, or of a schedule."""
    kind = principal.actor.kind
    roles = principal.roles if kind is PrincipalKind.PERSON else ("schedule",) if kind is PrincipalKind.SCHEDULE else ()
    return tuple(
        Rule(f"built-in/role/{role}", 1, Outcome.ALLOW, (), MAY_BY_ROLE[role], source=RuleSource.BUILT_IN)
        for role in sorted(set(roles))
        if role in MAY_BY_ROLE and (role != "schedule" or kind is PrincipalKind.SCHEDULE)
    )


def permits(agent: Agent, kind: ActKind, *, name: str, tool: Tool | None) -> bool:
    """Return whether the agent's own lists allow this action."""
    if kind is ActKind.TOOL:
        return tool is not None and any(
            (not each.effects or tool.effect in each.effects) and glob_matches(each.pattern, name)
            for each in agent.tools
        )
    if kind is ActKind.ASK:
        return True
    if kind is ActKind.MODEL and any(name in models for _, models in agent.purposes):
        return True
    patterns = agent.models if kind is ActKind.MODEL else agent.delegates if kind is ActKind.DELEGATE else ()
    return any(glob_matches(pattern, name) for pattern in patterns)


def built_in_denials(act: Act, *, agents: Mapping[UUID, Agent], tool: Tool | None) -> tuple[Matched, ...]:
    """Return every built-in denial that the act meets; empty for almost all acts.

    `agents` holds at least the agents of the act's chain, by id; one that is not there is unknown.
    """
    found: list[Matched] = []
    chain = act.principal.chain
    actor = chain[-1]
    if act.kind is ActKind.TOOL and (tool is None or tool.name != act.name):
        found.append(_denial("unknown-tool", f"there is no tool `{act.name}`"))
    if actor.kind is PrincipalKind.AGENT:
        agent = agents.get(actor.id)
        if agent is None:
            found.append(_denial("unknown-agent", f"there is no agent `{actor.name}`"))
        else:
            _deny_agent(found, agent, act, agents=agents, tool=tool)
    if act.kind is ActKind.DELEGATE:
        depth = sum(link.kind is PrincipalKind.AGENT for link in chain)
        if depth >= DELEGATION_DEPTH_MAX:
            found.append(
                _denial("delegation-depth", f"the chain is {depth} agents long, at most {DELEGATION_DEPTH_MAX}")
            )
    return tuple(found)


def _deny_agent(
    found: list[Matched], agent: Agent, act: Act, *, agents: Mapping[UUID, Agent], tool: Tool | None
) -> None:
    """Add the denials that follow from what the agent is and how it stands."""
    if agent.status is not AgentStatus.RUNNING:
        found.append(_denial("status", f"agent `{agent.name}` is {agent.status.value}"))
    if agent.type is AgentType.OBSERVER:
        if act.kind is ActKind.DELEGATE:
            found.append(_denial("observer-delegates", f"`{agent.name}` is an observer and may not delegate"))
        elif act.kind is ActKind.RUN or (tool is not None and tool.effect is not Effect.READ):
            wanted = "start a run" if tool is None else tool.effect.value
            found.append(_denial("observer-reads", f"`{agent.name}` is an observer: it may read, not {wanted}"))
    elif agent.type is AgentType.SUB_AGENT:
        if act.kind is ActKind.DELEGATE:
            found.append(_denial("sub-agent-delegates", f"`{agent.name}` is a sub-agent and may not delegate"))
        else:
            _deny_narrowed(found, act, agents=agents, tool=tool)


def _deny_narrowed(found: list[Matched], act: Act, *, agents: Mapping[UUID, Agent], tool: Tool | None) -> None:
    """Add a denial for each agent above a sub-agent, up to the first that is none, that lacks the permission itself."""
    for link in _agents_above(act.principal):
        above = agents.get(link.id)
        if above is None:
            found.append(_denial("narrowed", f"there is no agent `{link.name}`, which spawned this one"))
            return
        if not permits(above, act.kind, name=act.name, tool=tool):
            found.append(
                _denial("narrowed", f"`{above.name}`, which spawned this agent, may not do `{act.action}` itself")
            )
        if above.type is not AgentType.SUB_AGENT:
            return


def _agents_above(principal: Principal) -> list[ChainLink]:
    """Return the agents above the actor, nearest first."""
    return [link for link in reversed(principal.chain[:-1]) if link.kind is PrincipalKind.AGENT]


def _denial(name: str, reason: str) -> Matched:
    return Matched(f"built-in/{name}", 1, Outcome.DENY, reason, RuleSource.BUILT_IN)
