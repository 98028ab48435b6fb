"""Publication and the index: every error at once, limits kept, and rules that differ cost nothing."""

from __future__ import annotations

import pytest

from aos.kernel.acts import ActKind
from aos.kernel.errors import InvalidCondition
from aos.kernel.limits import RULES_MAX, RULES_PER_ACT_MAX
from aos.kernel.policy.index import KEPT_MAX, PolicySet, compile_policies
from aos.kernel.policy.values import Outcome
from aos.kernel.tools import Effect
from tests.kernel.policy_values import a_rule, a_tool, an_act, an_agent, decided, link

READ_TOOL = a_tool(
    "erp.invoices.get",
    effect=Effect.READ,
    schema={"type": "object", "properties": {"id": {"type": "string"}}},
    money=(),
    sinks=(),
)


def test_every_error_is_reported_at_once_with_its_place():
    rules = [
        a_rule("args.nope == 1", id="a"),
        a_rule("args.amount > 5", id="b"),
        a_rule(id="b", agents=("type:robot", "finance")),
        a_rule(id="c", actions=("payments.create", "tool:", "thing:x", "tool:x")),
        a_rule("1", id="d", actions=("run:*",)),
        a_rule(id="e", effects=("steal",)),
        a_rule(id="f", agents=("department:", "")),
    ]
    with pytest.raises(InvalidCondition) as caught:
        compile_policies(rules, tools=[a_tool()], agents=[an_agent()])
    assert [error.pointer for error in caught.value.errors] == [
        "/policies/0/when",
        "/policies/2/id",
        "/policies/2/agents",
        "/policies/3/actions",
        "/policies/3/actions",
        "/policies/3/actions",
        "/policies/4/when",
        "/policies/5/effects",
        "/policies/6/agents",
        "/policies/6/agents",
    ]
    assert "and 9 more" in caught.value.detail


def test_a_condition_must_fit_every_tool_that_its_actions_match():
    fits = [a_rule("args.amount > 5", actions=("tool:payments.*",))]
    compile_policies(fits, tools=[a_tool(), READ_TOOL])
    with pytest.raises(InvalidCondition, match=r"erp\.invoices\.get"):
        compile_policies([a_rule("args.amount > 5", actions=("tool:*",))], tools=[a_tool(), READ_TOOL])
    compile_policies([a_rule("args.amount > 5", actions=("tool:*",), effects=("pay",))], tools=[a_tool(), READ_TOOL])


def test_a_rule_over_all_actions_names_only_facts_that_all_acts_have():
    compile_policies([a_rule("now.hour > 17", actions=())], tools=[a_tool()])
    with pytest.raises(InvalidCondition, match="no tool calls"):
        compile_policies([a_rule("tool.effect == 'pay'", actions=())], tools=[a_tool()])
    compile_policies([a_rule("tool.effect == 'pay'", actions=("tool:*",))], tools=[a_tool()])


def test_what_is_published_and_what_is_loaded_decide_alike():
    rules = [a_rule("args.amount > 5", outcome=Outcome.ESCALATE)]
    published = compile_policies(rules, tools=[a_tool()], agents=[an_agent()])
    for amount in ("5", "6"):
        assert decided(published, arguments={"amount": amount}) == decided(
            PolicySet(rules), arguments={"amount": amount}
        )


def test_more_rules_than_the_limit_are_refused():
    rules = [a_rule(id=f"rule-{number}", agents=(f"agent-{number}",)) for number in range(RULES_MAX + 1)]
    with pytest.raises(InvalidCondition, match=str(RULES_MAX)):
        compile_policies(rules, tools=[])


@pytest.mark.parametrize("actions", [("tool:payments.create",), ("tool:*",), ()])
@pytest.mark.parametrize(("count", "refused"), [(RULES_PER_ACT_MAX, False), (RULES_PER_ACT_MAX + 1, True)])
def test_rules_that_match_the_same_act_are_limited_when_published(actions, count, refused):
    rules = [a_rule(id=f"rule-{number}", actions=actions, agents=("fin*",)) for number in range(count)]
    if refused:
        with pytest.raises(InvalidCondition, match="by one agent"):
            compile_policies(rules, tools=[a_tool()], agents=[an_agent()])
    else:
        compile_policies(rules, tools=[a_tool()], agents=[an_agent()])


def test_many_rules_that_differ_in_agent_or_action_are_no_crowd():
    rules = [a_rule(id=f"rule-{number}", agents=(f"agent-{number}",)) for number in range(1_000)]
    compile_policies(rules, tools=[a_tool()], agents=[an_agent(f"agent-{number}") for number in range(20)])


def test_of_a_thousand_rules_an_act_meets_only_its_own():
    tools = [a_tool(f"tool-{number}") for number in range(1_000)]
    rules = [
        a_rule("args.amount > 5", id=f"rule-{number}", agents=(f"agent-{number}",), actions=(f"tool:tool-{number}",))
        for number in range(1_000)
    ]
    policies = compile_policies(rules, tools=tools)
    for number in (0, 500, 999):
        agent = an_agent(f"agent-{number}", tools=())
        act = an_act(link(agent), name=f"tool-{number}", arguments={"amount": "6"})
        met = policies.rules_for(act, agent=agent, tool=tools[number])
        assert [each.rule.id for each in met.rules] == [f"rule-{number}"]
        other = an_act(link(agent), name=f"tool-{(number + 1) % 1_000}")
        assert policies.rules_for(other, agent=agent, tool=tools[(number + 1) % 1_000]).rules == ()


def test_what_the_index_keeps_is_bounded():
    policies = PolicySet([])
    agent = an_agent()
    for number in range(KEPT_MAX + 10):
        policies.rules_for(an_act(link(agent), kind=ActKind.MODEL, name=f"model-{number}"), agent=agent, tool=None)
    assert len(policies._kept) <= KEPT_MAX
