"""Policies: which rules stand, what they say, and how often they matched."""

from __future__ import annotations

from typing import Final

from django.http import HttpResponse
from django.urls import path

from aos.console.amounts import count_text
from aos.console.doors import Visit, page, page_cursor
from aos.operations.activity import MATCHES_DAYS, count_rule_matches
from aos.operations.pages import PageQuery
from aos.operations.policies import PolicyDetail, list_policies

POLICIES_SHOWN: Final = 100
OUTCOMES: Final = ("deny", "escalate", "allow")


def show_policies(visit: Visit) -> HttpResponse:
    """Show the rules in force, drafts beside them, with how often each matched."""
    outcome = visit.query("outcome") if visit.query("outcome") in OUTCOMES else ""
    filters = {"outcome": outcome or None, "retired": False}
    query = PageQuery(limit=POLICIES_SHOWN, order="name", cursor=page_cursor(visit), filters=filters)
    found = list_policies(visit.actor, query)
    matches = count_rule_matches(visit.actor)
    rows = [(policy, matches.get(policy.rule.id)) for policy in found.items]
    permissions = [(id, each) for id, each in sorted(matches.items()) if id.startswith("permission/")]
    return visit.show(
        "policies.html",
        "policies",
        rows=rows,
        permissions=permissions,
        next=found.next,
        outcome=outcome,
        outcomes=OUTCOMES,
        days=MATCHES_DAYS,
        answer=_answer(found.items),
    )


def _answer(policies: tuple[PolicyDetail, ...]) -> str:
    if not policies:
        return "No policy stands: agents may do what their permissions list, and nothing else."
    drafts = sum(policy.active_version is None for policy in policies)
    force = len(policies) - drafts
    said = f"{count_text(force, 'rule is', 'rules are')} in force beside the agents' permissions; what none allows is denied"
    return f"{said}. {count_text(drafts, 'draft waits', 'drafts wait')} to be published." if drafts else f"{said}."


urlpatterns = [path("console/policies", page(show_policies))]
