"""Canaries: acts that must be refused, fired at the gate's decision on start.

AOS reports itself governed only when every one of them was refused for its own reason. They hold against any policy set,
even one that allows everything: the first group meets denials that no policy lifts; the second brings its own rules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from aos.kernel.acts import Act, ActKind
from aos.kernel.agents import Agent, AgentStatus, AgentType, ToolPermission
from aos.kernel.identity import ChainLink, Principal, PrincipalKind
from aos.kernel.json import Json
from aos.kernel.policy.index import PolicySet
from aos.kernel.policy.values import Decision, Facts, Outcome, Rule, Subject
from aos.kernel.tools import Effect, Repeat, ResultTrust, Tool, ToolTransport

_ARGUMENTS: Final[Json] = {"amount": "18240.00", "currency": "EUR"}
_SCHEMA: Final[Json] = {
    "type": "object",
    "properties": {"amount": {"type": "string", "format": "money"}, "currency": {"type": "string"}},
}


@dataclass(frozen=True, slots=True)
class Canary:
    """One act that must be refused: all that `decide` needs, and the rule that must be among those that matched.

    `by` None means the default: no rule at all may have matched.
    """

    name: str
    policies: PolicySet
    act: Act
    agents: Mapping[UUID, Agent]
    tool: Tool | None
    facts: Facts
    by: str | None
    failed: bool = False


@dataclass(frozen=True, slots=True)
class _Scene:
    """What one canary needs beyond the organization and the time."""

    name: str
    by: str | None
    change: Callable[[Agent], Agent] = field(default=lambda agent: agent)
    kind: ActKind = ActKind.TOOL
    target: str = "canary.pay"
    known_agent: bool = True
    known_tool: bool = True
    rules: tuple[Rule, ...] | None = None
    failed: bool = False


def _allow(agent: Agent) -> Agent:
    return replace(agent, tools=(ToolPermission("*"),), models=("*",), delegates=("*",))


_FAILING: Final = tuple(
    Rule(f"canary-{outcome}-failing", 1, outcome, (), (), when="1 / (now.hour - now.hour) == 1")
    for outcome in (Outcome.DENY, Outcome.ALLOW)
)
_SCENES: Final = (
    _Scene("an agent that nobody registered", "built-in/unknown-agent", known_agent=False),
    _Scene("a tool that nobody registered", "built-in/unknown-tool", _allow, known_tool=False),
    _Scene("a paused agent", "built-in/status", lambda agent: replace(_allow(agent), status=AgentStatus.PAUSED)),
    _Scene(
        "a quarantined agent", "built-in/status", lambda agent: replace(_allow(agent), status=AgentStatus.QUARANTINED)
    ),
    _Scene(
        "an observer that pays",
        "built-in/observer-reads",
        lambda agent: replace(_allow(agent), type=AgentType.OBSERVER),
    ),
    _Scene(
        "a sub-agent that delegates",
        "built-in/sub-agent-delegates",
        lambda agent: replace(_allow(agent), type=AgentType.SUB_AGENT),
        kind=ActKind.DELEGATE,
        target="canary-other",
    ),
    _Scene("a tool that the agent lacks, with no policy", None, rules=()),
    _Scene("a model that the agent lacks, with no policy", None, kind=ActKind.MODEL, target="canary-model", rules=()),
    _Scene(
        "a deny rule whose condition cannot be evaluated",
        "canary-deny-failing",
        _allow,
        rules=_FAILING[:1],
        failed=True,
    ),
    _Scene("an allow rule whose condition cannot be evaluated", None, rules=_FAILING[1:]),
)


def canary_acts(policies: PolicySet, *, organization_id: UUID, now: datetime) -> tuple[Canary, ...]:
    """Return the canaries for one organization's policies in force; decide each and hand the decisions to `judge_canary`.

    Their agents and tools exist in the canaries alone and share no name with any that can be registered.
    """
    return tuple(_canary(scene, policies, organization_id=organization_id, now=now) for scene in _SCENES)


def judge_canary(decisions: Sequence[tuple[Canary, Decision]]) -> list[str]:
    """Return a sentence for each canary that was not refused as it must be; empty means governed.

    No decision at all is a failure too.
    """
    failures = [] if decisions else ["no canary was fired"]
    for canary, decision in decisions:
        by = [each for each in decision.matched if each.id == canary.by and each.outcome is Outcome.DENY]
        if decision.outcome is not Outcome.DENY:
            failures.append(f"{canary.name}: {decision.outcome.value}, must be denied")
        elif canary.by is None and decision.matched:
            failures.append(f"{canary.name}: denied by `{decision.matched[0].id}`, must be denied for want of any rule")
        elif canary.by is not None and (not by or by[0].failed is not canary.failed):
            failures.append(f"{canary.name}: denied, but not by `{canary.by}`")
    return failures


def _canary(scene: _Scene, policies: PolicySet, *, organization_id: UUID, now: datetime) -> Canary:
    agent = scene.change(
        Agent(
            id=UUID(int=1),
            name="aos/canary",
            version=1,
            type=AgentType.FUNCTIONAL,
            status=AgentStatus.RUNNING,
            department_id=None,
            department="aos/canary",
            owner="aos",
            goal="to be refused",
            runtime=None,
        )
    )
    link = ChainLink(PrincipalKind.AGENT, agent.id, agent.name, agent.version)
    is_tool = scene.kind is ActKind.TOOL
    return Canary(
        name=scene.name,
        policies=policies if scene.rules is None else PolicySet(scene.rules),
        act=Act(Principal(organization_id, (link,)), scene.kind, scene.target, _ARGUMENTS),
        agents={agent.id: agent} if scene.known_agent else {},
        tool=_paying_tool(scene.target) if is_tool and scene.known_tool else None,
        facts=Facts(
            subject=Subject(agent.name, agent.type.value, agent.department, agent.risk, (str(link),), agent.owner),
            now=now,
            decided_at=now,
            environment="canary",
        ),
        by=scene.by,
        failed=scene.failed,
    )


def _paying_tool(name: str) -> Tool:
    return Tool(
        id=UUID(int=2),
        name=name,
        version=1,
        effect=Effect.PAY,
        repeat=Repeat.NEVER,
        result_trust=ResultTrust.UNTRUSTED,
        transport=ToolTransport.PYTHON,
        entry="",
        schema=_SCHEMA,
        money=("amount",),
    )
