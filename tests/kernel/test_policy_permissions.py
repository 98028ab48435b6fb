"""Permissions and the built-in denials: what no policy can give."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from aos.kernel.acts import Act, ActKind
from aos.kernel.agents import AgentStatus, AgentType, ToolPermission
from aos.kernel.identity import ChainLink, PrincipalKind
from aos.kernel.limits import DELEGATION_DEPTH_MAX
from aos.kernel.policy.permissions import glob_matches, permission_rules
from aos.kernel.policy.values import Outcome
from aos.kernel.tools import Effect
from tests.kernel.policy_values import a_person, a_rule, a_tool, an_act, an_agent, decided, link

ALLOW_ALL = a_rule(id="allow-all", outcome=Outcome.ALLOW, actions=())
EVERYTHING: dict[str, Any] = {"tools": (ToolPermission("*"),), "models": ("*",), "delegates": ("*",)}


def ids(decision) -> set[str]:
    return {each.id for each in decision.matched}


def an_agents_act(agent, kind: ActKind = ActKind.TOOL, name: str = "payments.create") -> Act:
    return an_act(link(agent), kind=kind, name=name)


@pytest.mark.parametrize(
    ("pattern", "effects", "allowed"),
    [
        ("payments.create", (), True),
        ("payments.*", (), True),
        ("*", (), True),
        ("erp.*", (), False),
        ("payments", (), False),
        ("payments.*", (Effect.READ,), False),
        ("payments.*", (Effect.READ, Effect.PAY), True),
    ],
)
def test_an_agents_tools_are_its_permissions(pattern, effects, allowed):
    agent = an_agent(tools=(ToolPermission(pattern, effects),))
    decision = decided([], agents=(agent,))
    assert bool(decision) is allowed
    assert (f"permission/finance/{pattern}" in ids(decision)) is allowed


@pytest.mark.parametrize(
    ("kind", "name", "allowed"),
    [
        (ActKind.MODEL, "purpose:high-speed", True),
        (ActKind.MODEL, "gpt", False),
        (ActKind.DELEGATE, "vendor-review", True),
        (ActKind.DELEGATE, "ops", False),
        (ActKind.RUN, "month-end", False),
        (ActKind.MESSAGE, "ops", False),
    ],
)
def test_models_and_delegates_are_permissions_and_runs_and_messages_want_a_policy(kind, name, allowed):
    agent = an_agent(models=("purpose:high-speed",), delegates=("vendor-review",))
    decision = decided([], act=an_agents_act(agent, kind, name), agents=(agent,), no_tool=True)
    assert bool(decision) is allowed


def test_a_permission_rule_has_the_agents_version_and_its_name():
    rules = permission_rules(an_agent(version=7, models=("m",), delegates=("d",)))
    assert [(rule.id, rule.version, rule.actions) for rule in rules] == [
        ("permission/finance/payments.create", 7, ("tool:payments.create",)),
        ("permission/finance/m", 7, ("model:m",)),
        ("permission/finance/d", 7, ("delegate:d", "run:d")),
    ]


@pytest.mark.parametrize("status", [status for status in AgentStatus if status is not AgentStatus.RUNNING])
@pytest.mark.parametrize("kind", list(ActKind))
def test_an_agent_that_is_not_running_is_denied_everything(status, kind):
    agent = an_agent(status=status, **EVERYTHING)
    decision = decided([ALLOW_ALL], act=an_agents_act(agent, kind), agents=(agent,), no_tool=kind is not ActKind.TOOL)
    assert decision.outcome is Outcome.DENY
    assert "built-in/status" in ids(decision)
    assert status.value in decision.reason


def test_an_unknown_agent_and_an_unknown_tool_are_denied_whatever_a_policy_allows():
    assert ids(decided([ALLOW_ALL], agents=())) == {"built-in/unknown-agent"}
    assert "built-in/unknown-tool" in ids(decided([ALLOW_ALL], no_tool=True))
    assert "built-in/unknown-tool" in ids(decided([ALLOW_ALL], tool=a_tool("erp.read")))


@pytest.mark.parametrize("effect", list(Effect))
def test_an_observer_may_read_and_nothing_else(effect):
    agent = an_agent(type=AgentType.OBSERVER, **EVERYTHING)
    decision = decided([ALLOW_ALL], agents=(agent,), tool=a_tool(effect=effect))
    assert bool(decision) is (effect is Effect.READ)
    assert ("built-in/observer-reads" in ids(decision)) is (effect is not Effect.READ)


@pytest.mark.parametrize(
    ("kind", "denial"), [(ActKind.DELEGATE, "built-in/observer-delegates"), (ActKind.RUN, "built-in/observer-reads")]
)
def test_an_observer_neither_delegates_nor_starts_runs(kind, denial):
    agent = an_agent(type=AgentType.OBSERVER, **EVERYTHING)
    assert denial in ids(decided([ALLOW_ALL], act=an_agents_act(agent, kind), agents=(agent,), no_tool=True))


def test_a_sub_agent_may_not_delegate():
    agent = an_agent(type=AgentType.SUB_AGENT, **EVERYTHING)
    decision = decided([ALLOW_ALL], act=an_agents_act(agent, ActKind.DELEGATE), agents=(agent,), no_tool=True)
    assert ids(decision) >= {"built-in/sub-agent-delegates"}
    assert not decision


@pytest.mark.parametrize(
    ("above", "allowed"),
    [
        ((), True),
        ((("lead", AgentType.FUNCTIONAL, "payments.*"),), True),
        ((("lead", AgentType.FUNCTIONAL, "erp.*"),), False),
        ((("boss", AgentType.EXECUTIVE, "erp.*"), ("lead", AgentType.FUNCTIONAL, "payments.*")), True),
        ((("lead", AgentType.FUNCTIONAL, "erp.*"), ("mid", AgentType.SUB_AGENT, "payments.*")), False),
        ((("lead", AgentType.FUNCTIONAL, "payments.*"), ("mid", AgentType.SUB_AGENT, "erp.*")), False),
        ((("lead", AgentType.FUNCTIONAL, "payments.*"), ("mid", AgentType.SUB_AGENT, "payments.*")), True),
    ],
)
def test_a_sub_agent_may_do_no_more_than_the_agents_that_spawned_it(above, allowed):
    agents = [
        an_agent(name, number=10 + index, type=kind, tools=(ToolPermission(pattern),))
        for index, (name, kind, pattern) in enumerate(above)
    ]
    child = an_agent("child", number=99, type=AgentType.SUB_AGENT)
    act = an_act(a_person(), *(link(each) for each in agents), link(child))
    decision = decided([ALLOW_ALL], act=act, agents=(*agents, child))
    assert bool(decision) is allowed
    assert ("built-in/narrowed" in ids(decision)) is not allowed


@pytest.mark.parametrize(("model", "allowed"), [("small", True), ("large", False), ("own", True)])
def test_a_purpose_permits_the_models_it_names_and_narrows_those_who_are_spawned(model, allowed):
    purposes = (("purpose:quick", ("small",)),)
    agent = an_agent("finance", number=1, models=("purpose:quick", "own"), purposes=purposes)
    decision = decided([], act=an_agents_act(agent, ActKind.MODEL, model), agents=(agent,), no_tool=True)
    assert bool(decision) is allowed
    child = an_agent("child", number=2, type=AgentType.SUB_AGENT, **EVERYTHING)
    act = an_act(a_person(), link(agent), link(child), kind=ActKind.MODEL, name=model)
    spawned = decided([], act=act, agents=(agent, child), no_tool=True)
    assert bool(spawned) is allowed
    assert ("built-in/narrowed" in ids(spawned)) is not allowed


def test_a_purpose_without_models_permits_nothing_else():
    rules = permission_rules(an_agent(models=("purpose:gone",), purposes=(("purpose:gone", ()),)))
    assert rules[-1].actions == ("model:purpose:gone",)


def test_a_sub_agent_whose_spawner_is_unknown_is_denied():
    child = an_agent("child", number=99, type=AgentType.SUB_AGENT)
    act = an_act(link(an_agent("gone", number=5)), link(child))
    assert "built-in/narrowed" in ids(decided([ALLOW_ALL], act=act, agents=(child,)))


@pytest.mark.parametrize(("length", "allowed"), [(DELEGATION_DEPTH_MAX - 1, True), (DELEGATION_DEPTH_MAX, False)])
def test_a_chain_of_delegations_has_an_end(length, allowed):
    agents = [an_agent(f"agent-{number}", number=number, **EVERYTHING) for number in range(1, length + 1)]
    act = an_act(a_person(), *(link(each) for each in agents), kind=ActKind.DELEGATE, name="next")
    decision = decided([], act=act, agents=tuple(agents), no_tool=True)
    assert bool(decision) is allowed
    assert ("built-in/delegation-depth" in ids(decision)) is not allowed


@pytest.mark.parametrize(
    ("roles", "kind", "allowed"),
    [
        ((), ActKind.RUN, False),
        (("approver",), ActKind.RUN, False),
        (("schedule",), ActKind.RUN, False),
        (("operator",), ActKind.RUN, True),
        (("developer",), ActKind.RUN, True),
        (("admin",), ActKind.RUN, True),
        (("operator",), ActKind.DELEGATE, True),
        (("operator",), ActKind.TOOL, False),
        (("developer",), ActKind.TOOL, False),
        (("viewer", "admin"), ActKind.TOOL, True),
        (("viewer",), ActKind.MODEL, False),
        (("approver",), ActKind.MODEL, False),
        (("operator",), ActKind.MODEL, True),
        (("developer",), ActKind.MODEL, True),
        (("admin",), ActKind.MODEL, True),
        (("admin",), ActKind.MESSAGE, True),
    ],
)
def test_people_may_do_what_the_table_of_roles_says(roles, kind, allowed):
    act = an_act(a_person(), kind=kind, roles=roles)
    decision = decided([], act=act, agents=(), tool=a_tool(), no_tool=kind is not ActKind.TOOL)
    assert bool(decision) is allowed


def test_roles_say_nothing_for_agents_and_policies_hold_for_people_too():
    assert not decided([], act=an_act(link(an_agent(tools=())), roles=("admin",)), agents=(an_agent(tools=()),))
    admin = an_act(a_person(), roles=("admin",))
    assert not decided([a_rule(agents=("type:person",))], act=admin, agents=())
    assert decided([a_rule(agents=("maria",))], act=admin, agents=())
    assert decided([a_rule(agents=("type:functional",))], act=admin, agents=())


@pytest.mark.parametrize(("kind", "allowed"), [(PrincipalKind.SCHEDULE, True), (PrincipalKind.SYSTEM, False)])
def test_a_schedule_starts_runs_and_the_system_nothing(kind, allowed):
    act = an_act(ChainLink(kind, UUID(int=8), "nightly"), kind=ActKind.RUN, name="month-end")
    assert bool(decided([], act=act, agents=(), no_tool=True)) is allowed


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("*", "", True),
        ("erp.*", "erp.invoices.list", True),
        ("erp.*", "erp.", True),
        ("erp.*", "erp", False),
        ("*.list", "erp.list", True),
        ("e*p", "erp\n", False),
        ("a*b*c", "a-b-b-c", True),
        ("e.p", "exp", False),
        ("", "", True),
    ],
)
def test_a_star_stands_for_any_text_and_nothing_else_is_special(pattern, name, matches):
    assert glob_matches(pattern, name) is matches
