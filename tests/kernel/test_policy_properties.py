"""Properties of every decision: monotone in denials, blind to order, closed when anything fails."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from aos.kernel.policy.index import PolicySet
from aos.kernel.policy.values import Outcome, Rule
from tests.kernel.policy_values import a_rule, an_agent, decided

CONDITIONS = [
    "",
    "true",
    "false",
    "1 / (now.hour - now.hour) == 1",
    "args.amount > 1000",
    "args.currency == 'EUR'",
    "args.note == 'x'",
    "has(args.note) && args.note == 'x'",
    "facts.vendor.days < 30 || args.amount < 10",
    "origin.iban == 'untrusted'",
]
RANK = {Outcome.DENY: 0, Outcome.ESCALATE: 1, Outcome.ALLOW: 2}

some_rules = st.lists(
    st.builds(
        lambda number, outcome, when, agents, actions: a_rule(
            when, id=f"rule-{number}", outcome=outcome, agents=agents, actions=actions
        ),
        st.integers(0, 10_000),
        st.sampled_from(Outcome),
        st.sampled_from(CONDITIONS),
        st.sampled_from([(), ("finance",), ("ops",), ("type:*",)]),
        st.sampled_from([("tool:*",), ("tool:payments.create",), ("tool:erp.*",)]),
    ),
    max_size=7,
    unique_by=lambda rule: rule.id,
)
some_arguments = st.fixed_dictionaries(
    {},
    optional={
        "amount": st.sampled_from(["5", "1000.01", "x"]),
        "currency": st.sampled_from(["EUR", "USD"]),
        "note": st.sampled_from(["x", "y"]),
        "iban": st.just("DE"),
    },
)
permitted = st.sampled_from([an_agent(), an_agent(tools=())])


@given(some_rules, some_arguments, permitted, st.sampled_from(CONDITIONS))
@settings(max_examples=150, deadline=None)
def test_a_further_deny_or_escalate_rule_never_allows_more(rules, arguments, agent, when):
    before = decided(rules, arguments=arguments, agents=(agent,))
    for outcome in (Outcome.DENY, Outcome.ESCALATE):
        after = decided([*rules, a_rule(when, id="more", outcome=outcome)], arguments=arguments, agents=(agent,))
        assert RANK[after.outcome] <= RANK[before.outcome]


@given(some_rules, some_arguments, permitted, st.sampled_from(CONDITIONS))
@settings(max_examples=150, deadline=None)
def test_a_further_allow_rule_lifts_no_denial_and_no_escalation_that_a_rule_made(rules, arguments, agent, when):
    before = decided(rules, arguments=arguments, agents=(agent,))
    after = decided([*rules, a_rule(when, id="more", outcome=Outcome.ALLOW)], arguments=arguments, agents=(agent,))
    if any(each.outcome is Outcome.DENY for each in before.matched):
        assert after.outcome is Outcome.DENY
    elif any(each.outcome is Outcome.ESCALATE for each in before.matched):
        assert after.outcome is not Outcome.ALLOW


@given(some_rules, some_arguments, permitted, st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_the_order_of_rules_changes_nothing(rules, arguments, agent, chance: random.Random):
    shuffled: list[Rule] = list(rules)
    chance.shuffle(shuffled)
    assert decided(rules, arguments=arguments, agents=(agent,)) == decided(
        shuffled, arguments=arguments, agents=(agent,)
    )


@given(some_rules, some_arguments, permitted)
@settings(max_examples=150, deadline=None)
def test_an_allowed_act_has_a_rule_that_allows_and_none_that_does_not(rules, arguments, agent):
    decision = decided(rules, arguments=arguments, agents=(agent,))
    outcomes = {each.outcome for each in decision.matched}
    if decision:
        assert outcomes == {Outcome.ALLOW}
        assert not any(each.failed for each in decision.matched)
    else:
        assert outcomes != {Outcome.ALLOW}


@given(some_rules, some_arguments, permitted)
@settings(max_examples=100, deadline=None)
def test_deciding_twice_gives_the_same_and_deciding_alone_gives_the_same_as_together(rules, arguments, agent):
    policies = PolicySet(rules)
    first = decided(policies, arguments=arguments, agents=(agent,))
    assert decided(policies, arguments=arguments, agents=(agent,)) == first
    alone = {each.id for rule in rules for each in decided([rule], arguments=arguments, agents=(agent,)).matched} | {
        each.id for each in decided([], arguments=arguments, agents=(agent,)).matched
    }
    assert {each.id for each in first.matched} == alone
