"""The canaries: refused under any policies, and noticed when one is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aos.kernel.policy.canary import canary_acts, judge_canary
from aos.kernel.policy.decide import decide
from aos.kernel.policy.index import PolicySet
from aos.kernel.policy.values import Outcome
from tests.kernel.policy_values import FRIDAY, ORGANIZATION, a_rule


def fired(policies: PolicySet):
    return [
        (canary, decide(canary.policies, canary.act, agents=canary.agents, tool=canary.tool, facts=canary.facts))
        for canary in canary_acts(policies, organization_id=ORGANIZATION, now=FRIDAY)
    ]


@pytest.mark.parametrize(
    "rules",
    [
        [],
        [a_rule(id="allow-all", outcome=Outcome.ALLOW, actions=())],
        [a_rule(id="deny-all", actions=())],
        [a_rule("1 / 0 == 1", id="broken", actions=())],
        [a_rule("nonsense ===", id="broken", outcome=Outcome.ESCALATE, actions=())],
    ],
)
def test_every_canary_is_refused_for_its_own_reason_under_any_policies(rules):
    decisions = fired(PolicySet(rules))
    assert len(decisions) >= 8
    assert judge_canary(decisions) == []


def test_a_canary_that_passes_or_waits_is_reported():
    decisions = fired(PolicySet([]))
    for index, (canary, decision) in enumerate(decisions):
        for outcome in (Outcome.ALLOW, Outcome.ESCALATE):
            broken = list(decisions)
            broken[index] = (canary, replace(decision, outcome=outcome))
            assert [failure.startswith(canary.name) for failure in judge_canary(broken)] == [True]


def test_a_canary_refused_for_another_reason_is_reported():
    decisions = fired(PolicySet([]))
    canary, decision = decisions[0]
    assert judge_canary([(canary, replace(decision, matched=()))]) != []


def test_no_canary_at_all_is_a_failure():
    assert judge_canary([]) == ["no canary was fired"]
