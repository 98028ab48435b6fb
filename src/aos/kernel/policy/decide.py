"""The decision: what becomes of one act under the policies in force.

Rules a reader must not break:
- Default deny: without a rule that allows, the act is denied.
- Deny beats escalate beats allow, whatever the rules' order; every rule that matched is named.
- A deny or escalate rule whose condition fails counts as matched; an allow rule whose condition fails does not.
- An approval satisfies only the escalate rules named on it, each in the version that the approver saw. No approval
  satisfies a denial.
- Escalations together ask everybody: each role that one of them names, the largest quorum, the shortest time of all. Where one
  of them is not satisfied, all are asked anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias
from uuid import UUID

from aos.kernel.acts import Act
from aos.kernel.agents import Agent
from aos.kernel.cel import Holds
from aos.kernel.identity import PrincipalKind
from aos.kernel.json import MISSING, Json
from aos.kernel.policy.compile import CompiledRule
from aos.kernel.policy.facts import Fact, shown
from aos.kernel.policy.index import ActRules, PolicySet
from aos.kernel.policy.permissions import built_in_denials
from aos.kernel.policy.values import Approvers, Asked, Decision, Facts, Matched, Outcome
from aos.kernel.tools import Tool

_Hit: TypeAlias = tuple[CompiledRule, Matched]
_DEFAULT_APPROVERS: Final = Approvers()


def decide(policies: PolicySet, act: Act, *, agents: Mapping[UUID, Agent], tool: Tool | None, facts: Facts) -> Decision:
    """Decide one act; pure, and total: it never raises for what a caller or a rule's author wrote.

    `agents` holds at least the agents of the act's chain, by id (a snapshot of all will do); `tool` is the tool that a tool
    call names, None when there is none and for other acts.
    """
    denials = built_in_denials(act, agents=agents, tool=tool)
    actor = act.principal.actor
    agent = agents.get(actor.id) if actor.kind is PrincipalKind.AGENT else None
    if agent is None and actor.kind is PrincipalKind.AGENT:
        return Decision(Outcome.DENY, denials, denials[0].reason, facts.decided_at, facts.now)
    found = policies.rules_for(act, agent=agent, tool=tool)
    read: dict[str, Json] = {}
    hits = _match(found, act, facts, read=read)
    matched = (*denials, *[each for _, each in hits])
    outcome, reason = _outcome(matched, act, found=found)
    approvers = _asked(hits) if outcome is Outcome.ESCALATE else None
    return Decision(outcome, matched, reason, facts.decided_at, facts.now, approvers, read)


def _match(found: ActRules, act: Act, facts: Facts, *, read: dict[str, Json]) -> list[_Hit]:
    """Return the rules that match, most severe first; the facts that they name are added to `read`."""
    values: dict[str, object] = {}
    for name, reader in found.inputs:
        value = reader(act, facts)
        if value is not MISSING:
            values[name] = value
    scope = found.scope
    bound = None if scope is None else scope.bind(values)
    hits: list[_Hit] = []
    for compiled in found.rules:
        condition = compiled.condition
        if condition is None:
            holds = Holds.FAILED if compiled.broken else Holds.YES
        elif scope is None:
            holds = condition.holds(values)
        else:
            holds = condition.holds_with(bound)
        if holds is Holds.NO or (holds is Holds.FAILED and compiled.rule.outcome is Outcome.ALLOW):
            continue
        for fact in compiled.named:
            if fact.path not in read:
                _show(fact, act, facts, values=values, read=read)
        if compiled.matched is not None and holds is Holds.YES and compiled.rule.outcome is not Outcome.ESCALATE:
            hits.append((compiled, compiled.matched))
            continue
        failed = _why_failed(compiled, read) if holds is Holds.FAILED else ""
        hits.append((compiled, _matched(compiled, facts, read=read, failed=failed)))
    return hits


def _show(fact: Fact, act: Act, facts: Facts, *, values: Mapping[str, object], read: dict[str, Json]) -> None:
    """Add a fact's value to `read` as people see it, unless this act lacks it."""
    value = values.get(fact.path, MISSING)
    if value is MISSING:
        value = fact.read(act, facts)
    if value is not MISSING:
        read[fact.path] = shown(fact, value)


def _matched(compiled: CompiledRule, facts: Facts, *, read: Mapping[str, Json], failed: str) -> Matched:
    """Return the match of a rule, with its reason; `failed` says why its condition could not be evaluated."""
    rule = compiled.rule
    satisfied = rule.outcome is Outcome.ESCALATE and facts.approved.get(rule.id) == rule.version
    reason = failed or compiled.reason.render(read)
    return Matched(rule.id, rule.version, rule.outcome, reason, rule.source, bool(failed), satisfied)


def _why_failed(compiled: CompiledRule, read: Mapping[str, Json]) -> str:
    """Return why a deny or escalate rule counts as matched, naming the facts that this act lacks."""
    missing = ", ".join(f"`{fact.path}`" for fact in compiled.named if fact.path not in read)
    why = compiled.broken or (missing and f"{missing} cannot be read")
    return f"the condition of `{compiled.rule.id}` could not be evaluated{why and ': ' + why}; it counts as matched"


def _outcome(matched: Sequence[Matched], act: Act, *, found: ActRules) -> tuple[Outcome, str]:
    """Return the outcome of all that matched, and the reason of the rule that decides."""
    allowed: Matched | None = None
    waits: Matched | None = None
    for each in matched:
        if each.outcome is Outcome.DENY:
            return Outcome.DENY, each.reason
        if each.outcome is Outcome.ESCALATE:
            waits = waits or (None if each.satisfied else each)
        else:
            allowed = allowed or each
    if allowed is None:
        failed = [rule.rule.id for rule in found.rules if rule.rule.outcome is Outcome.ALLOW]
        hint = f"; not met: {', '.join(f'`{rule}`' for rule in failed[:5])}" if failed else ""
        return Outcome.DENY, f"no rule allows `{act.action}` to `{act.principal.actor.name}`{hint}"
    return (Outcome.ALLOW, allowed.reason) if waits is None else (Outcome.ESCALATE, waits.reason)


def _asked(hits: Sequence[_Hit]) -> Asked:
    """Return who must answer: see the module's rules."""
    asked = [
        compiled.rule.approvers or _DEFAULT_APPROVERS
        for compiled, matched in hits
        if matched.outcome is Outcome.ESCALATE
    ]
    return Asked(
        tuple(dict.fromkeys(each.role for each in asked)),
        max(each.quorum for each in asked),
        min(each.expires_seconds for each in asked),
    )
