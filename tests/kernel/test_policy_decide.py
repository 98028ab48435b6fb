"""The three outcomes: default deny, deny beats escalate beats allow, and what fails to evaluate fails closed."""

from __future__ import annotations

import itertools

import pytest

from aos.kernel.agents import ToolPermission
from aos.kernel.policy.index import PolicySet
from aos.kernel.policy.values import Approvers, Asked, Outcome, RuleSource
from tests.kernel.policy_values import a_rule, a_tool, an_act, an_agent, decided, link

ALLOW, ESCALATE, DENY = Outcome.ALLOW, Outcome.ESCALATE, Outcome.DENY
YES, NO, FAILS = "true", "false", "1 / (now.hour - now.hour) == 1"
BARE = an_agent(tools=())


@pytest.mark.parametrize(
    ("outcome", "when", "permitted", "expected", "named"),
    [
        (ALLOW, YES, False, ALLOW, True),
        (ALLOW, NO, False, DENY, False),
        (ALLOW, FAILS, False, DENY, False),
        (ALLOW, "", False, ALLOW, True),
        (ESCALATE, YES, True, ESCALATE, True),
        (ESCALATE, NO, True, ALLOW, False),
        (ESCALATE, FAILS, True, ESCALATE, True),
        (ESCALATE, "", True, ESCALATE, True),
        (ESCALATE, YES, False, DENY, True),
        (DENY, YES, True, DENY, True),
        (DENY, NO, True, ALLOW, False),
        (DENY, FAILS, True, DENY, True),
        (DENY, "", True, DENY, True),
        (DENY, NO, False, DENY, False),
    ],
)
def test_each_outcome_by_what_its_condition_does(outcome, when, permitted, expected, named):
    decision = decided([a_rule(when, outcome=outcome)], agents=(an_agent() if permitted else BARE,))
    assert decision.outcome is expected
    assert bool(decision) is (expected is ALLOW)
    assert ("rule" in {each.id for each in decision.matched}) is named


@pytest.mark.parametrize("outcomes", [each for size in (1, 2, 3) for each in itertools.product(Outcome, repeat=size)])
def test_deny_beats_escalate_beats_allow_and_all_that_matched_are_named(outcomes):
    rules = [a_rule(id=f"rule-{index}", outcome=outcome) for index, outcome in enumerate(outcomes)]
    decision = decided(rules)
    assert decision.outcome is (DENY if DENY in outcomes else ESCALATE if ESCALATE in outcomes else ALLOW)
    expected = {f"rule-{index}" for index in range(len(outcomes))} | {"permission/finance/payments.create"}
    assert {each.id for each in decision.matched} == expected


def test_without_any_rule_the_act_is_denied_and_the_reason_says_so():
    decision = decided([], agents=(BARE,))
    assert decision.outcome is DENY
    assert decision.matched == ()
    assert decision.reason == "no rule allows `tool:payments.create` to `finance`"


def test_a_default_denial_names_the_rules_that_might_have_allowed():
    decision = decided([a_rule(FAILS, id="small", outcome=ALLOW)], agents=(BARE,))
    assert decision.reason.endswith("; not met: `small`")


def test_a_permission_is_the_rule_that_allows():
    decision = decided([])
    assert decision.outcome is ALLOW
    assert [(each.id, each.source) for each in decision.matched] == [
        ("permission/finance/payments.create", RuleSource.PERMISSION)
    ]
    assert decision.reason == "allowed by `permission/finance/payments.create`"


@pytest.mark.parametrize("outcome", [ESCALATE, DENY])
@pytest.mark.parametrize(
    ("when", "lacking"),
    [
        ("args.amount > 5", "`args.amount` cannot be read"),
        ("facts.vendor.days < 30", "`facts.vendor.days` cannot be read"),
        ("budget.left < 5", "`budget.left` cannot be read"),
        (FAILS, "could not be evaluated;"),
        ("args.note.matches(args.currency)", "cannot be read"),
        ("args.tags[9] == 'x'", "could not be evaluated;"),
        ("args.tags.all(a, args.tags.all(b, args.tags.all(c, a == b || b == c || true)))", "could not be evaluated;"),
    ],
)
def test_every_way_to_fail_counts_as_matched_and_says_so(outcome, when, lacking):
    arguments = {"tags": [str(number) for number in range(500)] if "all" in when else ["a"]}
    decision = decided([a_rule(when, outcome=outcome, reason="this would mislead")], arguments=arguments)
    assert decision.outcome is outcome
    (failed,) = (each for each in decision.matched if each.id == "rule")
    assert failed.failed
    assert "mislead" not in failed.reason
    assert lacking in failed.reason
    assert decision.reason == failed.reason


@pytest.mark.parametrize(("outcome", "expected"), [(ALLOW, DENY), (ESCALATE, ESCALATE), (DENY, DENY)])
def test_a_rule_in_force_that_no_longer_compiles_fails_closed(outcome, expected):
    agents = (BARE,) if outcome is ALLOW else (an_agent(),)
    decision = decided(PolicySet([a_rule("args.gone == 1", outcome=outcome)]), agents=agents)
    assert decision.outcome is expected
    if outcome is not ALLOW:
        assert "takes no argument `args.gone`" in decision.reason


def test_a_tool_that_changed_is_decided_by_its_new_schema():
    policies = PolicySet([a_rule("args.amount > 1000", outcome=ESCALATE)])
    assert decided(policies, arguments={"amount": "5"}).outcome is ALLOW
    changed = a_tool(version=2, schema={"type": "object", "properties": {}}, money=(), sinks=())
    assert decided(policies, arguments={"amount": "5"}, tool=changed).outcome is ESCALATE
    assert decided(policies, arguments={"amount": "5"}).outcome is ALLOW


# --- approvals -------------------------------------------------------------------------------------------------------


def test_an_approval_satisfies_the_rules_named_on_it():
    rules = [a_rule(id="large", outcome=ESCALATE, version=3)]
    decision = decided(rules, facts={"approved": {"large": 3}})
    assert decision.outcome is ALLOW
    assert [each.satisfied for each in decision.matched if each.id == "large"] == [True]
    assert decision.approvers is None


@pytest.mark.parametrize("approved", [{}, {"large": 2}, {"large": 4}, {"other": 3}])
def test_an_approval_of_another_rule_or_version_satisfies_nothing(approved):
    decision = decided([a_rule(id="large", outcome=ESCALATE, version=3)], facts={"approved": approved})
    assert decision.outcome is ESCALATE


def test_an_approval_of_one_rule_leaves_the_other_waiting():
    rules = [a_rule(id="large", outcome=ESCALATE), a_rule(id="new-bank", outcome=ESCALATE, reason="new bank")]
    decision = decided(rules, facts={"approved": {"large": 1}})
    assert (decision.outcome, decision.reason) == (ESCALATE, "new bank")
    assert {each.id: each.satisfied for each in decision.matched if each.outcome is ESCALATE} == {
        "large": True,
        "new-bank": False,
    }


def test_no_approval_satisfies_a_denial_nor_stands_in_for_a_permission():
    approved = {"approved": {"rule": 1, "large": 1}}
    assert decided([a_rule()], facts=approved).outcome is DENY
    assert decided([a_rule(id="large", outcome=ESCALATE)], agents=(BARE,), facts=approved).outcome is DENY
    assert decided([a_rule(FAILS)], facts=approved).outcome is DENY


def test_a_condition_that_failed_is_satisfied_by_an_approval_of_its_rule():
    rules = [a_rule(FAILS, id="large", outcome=ESCALATE)]
    decision = decided(rules, facts={"approved": {"large": 1}})
    assert decision.outcome is ALLOW
    assert [each.failed for each in decision.matched if each.id == "large"] == [True]


def test_every_role_that_a_matching_rule_asks_for_is_asked_for_the_shortest_time():
    rules = [
        a_rule(id="a", outcome=ESCALATE, approvers=Approvers("approver", 1, 600)),
        a_rule(id="b", outcome=ESCALATE, approvers=Approvers("controller", 2, 7_200)),
        a_rule(id="c", outcome=ESCALATE, approvers=Approvers("auditor", 2, 3_600)),
        a_rule(id="d", outcome=ESCALATE),
        a_rule(NO, id="e", outcome=ESCALATE, approvers=Approvers("board", 9, 1)),
    ]
    everybody = Asked(("approver", "controller", "auditor"), 2, 600)
    assert decided(rules).approvers == everybody
    assert decided(rules, facts={"approved": {"b": 1, "a": 1}}).approvers == everybody
    assert decided([]).approvers is None


# --- reasons ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "arguments", "expected"),
    [
        (
            "payment of {args.amount} {args.currency} is over",
            {"amount": "18240", "currency": "EUR"},
            "payment of 18240.00 EUR is over",
        ),
        ("to {args.iban} by {agent.name}", {}, "to {args.iban} by finance"),
        ("{args.nope} and {} and {1} and {{args.count}}", {"count": 3}, "{args.nope} and {} and {1} and {3}"),
        ("{args.tags} {args.urgent} {args.rate}", {"tags": ["a"], "urgent": True, "rate": 2.5}, '["a"] true 2.5'),
        ("{args.vendor-id} {facts.vendor.days}", {"vendor-id": "v9"}, "v9 {facts.vendor.days}"),
        ("{args.note}", {"note": "a\nb\u202ec\x00"}, "{args.note}"),
        ("{args.note}", {"note": "a\nb\u202ec"}, "a b c"),
        ("{args.note}", {"note": "x" * 500}, "x" * 199 + "…"),
        ("{args.amount}", {"amount": "ten"}, "{args.amount}"),
        ("{budget.left} {now.date} {origin.iban}", {"iban": 1}, "{budget.left} 2026-01-30 model"),
        ("", {}, "denied by `rule`"),
    ],
)
def test_a_reason_is_rendered_from_the_facts_and_never_raises(reason, arguments, expected):
    assert decided([a_rule(reason=reason)], arguments=arguments).reason == expected


# --- which rules match -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("agents", "matches"),
    [
        ((), True),
        (("*",), True),
        (("finance",), True),
        (("fin*",), True),
        (("f.nance",), False),
        (("[f]inance",), False),
        (("ops",), False),
        (("ops", "finance"), True),
        (("type:functional",), True),
        (("type:sub-agent",), False),
        (("type:*",), True),
        (("department:finance",), True),
        (("department:fin*",), True),
        (("department:ops",), False),
    ],
)
def test_a_rule_matches_agents_by_name_glob_type_and_department(agents, matches):
    assert (decided([a_rule(agents=agents)]).outcome is DENY) is matches


@pytest.mark.parametrize(
    ("actions", "effects", "matches"),
    [
        ((), (), True),
        (("*",), (), True),
        (("tool:*",), (), True),
        (("tool:payments.create",), (), True),
        (("tool:payments.*",), (), True),
        (("tool:pay*.cre*te",), (), True),
        (("tool:payments",), (), False),
        (("tool:payments?create",), (), False),
        (("model:*",), (), False),
        (("model:*", "tool:payments.*"), (), True),
        (("tool:*",), ("pay",), True),
        (("tool:*",), ("read", "send"), False),
        ((), ("pay",), True),
    ],
)
def test_a_rule_matches_actions_by_kind_glob_and_effect(actions, effects, matches):
    assert (decided([a_rule(actions=actions, effects=effects)]).outcome is DENY) is matches


def test_the_index_never_confuses_agents_or_versions():
    policies = PolicySet([])
    wide, narrow = an_agent(), an_agent(tools=(), version=2)
    act = an_act(link(wide))
    for _ in range(3):
        assert decided(policies, act=act, agents=(wide,)).outcome is ALLOW
        assert decided(policies, act=act, agents=(narrow,)).outcome is DENY
        assert decided(policies, act=act, agents=(an_agent(tools=(ToolPermission("erp.*"),)),)).outcome is DENY
