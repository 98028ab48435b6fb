"""Time one policy decision, with its reasons, beside bare CEL and cedarpy where it is installed.

One line of JSON for each case: `rules` that stand in the set, `match` of them that match the act, each with the condition
`args.amount > 1000 && args.currency == "EUR"`. Every answer is checked before it is timed.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

from aos.kernel.acts import Act, ActKind
from aos.kernel.agents import Agent, AgentStatus, AgentType, ToolPermission
from aos.kernel.cel import CelType, Holds, compile_condition
from aos.kernel.identity import ChainLink, Principal, PrincipalKind
from aos.kernel.policy.decide import decide
from aos.kernel.policy.index import PolicySet
from aos.kernel.policy.values import Decision, Facts, Outcome, Rule, Subject
from aos.kernel.tools import Effect, Repeat, ResultTrust, Tool, ToolTransport

WHEN = 'args.amount > 1000 && args.currency == "EUR"'
NOW = datetime(2026, 1, 30, 10, 0, tzinfo=UTC)
SCHEMA = {
    "type": "object",
    "properties": {"amount": {"type": "string", "format": "money"}, "currency": {"type": "string"}},
}


def make_agent(index: int) -> Agent:
    return Agent(
        id=UUID(int=index + 1),
        name=f"agent-{index}",
        version=1,
        type=AgentType.FUNCTIONAL,
        status=AgentStatus.RUNNING,
        department_id=None,
        department="finance",
        owner="maria@larkspur.example",
        goal="",
        runtime=None,
        tools=(ToolPermission("payments.*"),),
    )


def make_tool(index: int) -> Tool:
    return Tool(
        id=UUID(int=10_000 + index),
        name=f"payments.create-{index}",
        version=1,
        effect=Effect.PAY,
        repeat=Repeat.KEYED,
        result_trust=ResultTrust.OWN,
        transport=ToolTransport.PYTHON,
        entry="",
        schema=SCHEMA,
        sinks=("amount",),
        money=("amount",),
    )


def make_act(agent: Agent, tool: Tool, amount: str) -> tuple[Act, Facts]:
    link = ChainLink(PrincipalKind.AGENT, agent.id, agent.name, 1)
    act = Act(Principal(UUID(int=0), (link,)), ActKind.TOOL, tool.name, {"amount": amount, "currency": "EUR"})
    subject = Subject(agent.name, agent.type.value, agent.department, agent.risk, (str(link),), agent.owner)
    return act, Facts(subject, NOW, NOW)


def ours(rules: int, match: int) -> list[Callable[[], Decision]]:
    """Return decisions to time: over `rules` rules, of which `match` stand at the act's own agent and action."""
    agents = [make_agent(index) for index in range(rules // match)]
    tools = [make_tool(index) for index in range(rules // match)]
    made = [
        Rule(
            f"large-{i}-{j}",
            1,
            Outcome.ESCALATE,
            (agents[i].name,),
            (f"tool:{tools[i].name}",),
            WHEN,
            "over {args.amount}",
        )
        for i in range(rules // match)
        for j in range(match)
    ]
    policies = PolicySet(made)
    known = {agent.id: agent for agent in agents}
    calls: list[Callable[[], Decision]] = []
    for step in range(min(64, len(agents)) * 2):
        index = (step // 2) * len(agents) // min(64, len(agents))
        agent, tool = agents[index], tools[index]
        act, facts = make_act(agent, tool, "18240.00" if step % 2 else "18.50")

        def call(act: Act = act, tool: Tool = tool, facts: Facts = facts) -> Decision:
            return decide(policies, act, agents=known, tool=tool, facts=facts)

        wanted = Outcome.ESCALATE if step % 2 else Outcome.ALLOW
        if call().outcome is not wanted:
            raise SystemExit(f"wrong answer: {call()}")
        calls.append(call)
    return calls


def bare_cel() -> list[Callable[[], Holds]]:
    condition = compile_condition(
        'amount > 1000000000000 && currency == "EUR"', {"amount": CelType.INT, "currency": CelType.STRING}
    )
    values = ({"amount": 18_240_000_000_000, "currency": "EUR"}, {"amount": 18_500_000_000, "currency": "EUR"})
    return [partial(condition.holds, each) for each in values]


def cedar(rules: int) -> list[Callable[[], object]] | None:
    """Return the same rules in cedarpy, parsed beforehand; None where it is not installed."""
    try:
        cedarpy = importlib.import_module("cedarpy")
    except ImportError:
        return None
    text = "\n".join(
        f'permit(principal == Agent::"a{i}", action == Action::"call", resource == Tool::"t{i}") '
        'unless { context.amount > 1000 && context.currency == "EUR" };'
        for i in range(rules)
    )
    policies, entities = cedarpy.PolicySet.from_str(text), cedarpy.Entities.from_json_str("[]")

    def request(amount: int) -> dict[str, object]:
        return {
            "principal": {"type": "Agent", "id": f"a{rules // 2}"},
            "action": {"type": "Action", "id": "call"},
            "resource": {"type": "Tool", "id": f"t{rules // 2}"},
            "context": {"amount": amount, "currency": "EUR"},
        }

    return [partial(cedarpy.is_authorized, request(each), policies, entities) for each in (18_240, 18)]


def measure(calls: Sequence[Callable[[], object]], seconds: float) -> dict[str, float]:
    """Return the figures of calling `calls` in turn for about `seconds`."""
    for call in calls:
        call()
    taken: list[int] = []
    ends = time.perf_counter() + seconds
    clock = time.perf_counter_ns
    while time.perf_counter() < ends:
        for call in calls:
            started = clock()
            call()
            taken.append(clock() - started)
    taken.sort()
    return {
        "p50_us": round(taken[len(taken) // 2] / 1e3, 2),
        "p99_us": round(taken[len(taken) * 99 // 100] / 1e3, 2),
        "decisions_per_second": round(len(taken) / (sum(taken) / 1e9)),
    }


def report(target: str, *, rules: int, match: int, figures: dict[str, object] | dict[str, float]) -> None:
    print(json.dumps({"bench": "decision", "target": target, "rules": rules, "match": match, **figures}), flush=True)


def main(argv: Sequence[str]) -> int:
    """Run every case; `--seconds` for each."""
    parser = argparse.ArgumentParser(prog="bench decision", description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0)
    seconds = parser.parse_args(argv).seconds
    for rules, match in ((1, 1), (1_000, 1), (10, 10), (100, 100)):
        report("aos", rules=rules, match=match, figures=measure(ours(rules, match), seconds))
    report("bare-cel", rules=1, match=1, figures=measure(bare_cel(), seconds))
    for rules in (1, 1_000):
        calls = cedar(rules)
        if calls is None:
            report("cedarpy", rules=rules, match=1, figures={"missing": "not installed"})
        else:
            report("cedarpy", rules=rules, match=1, figures=measure(calls, seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
