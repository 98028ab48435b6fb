"""The decision: what becomes of one act under the policies in force.

Rules a reader must not break:
- Default deny: without a rule that allows, the act is denied.
- Deny beats escalate beats allow, whatever the rules' order; every rule that matched is named.
- A deny or escalate rule whose condition fails counts as matched; an allow rule whose condition fails does not.
- An approval satisfies only the escalate rules named on it, each in the version that the approver saw. No approval
  satisfies a denial.
- Escalations together ask for the strictest approvers: the largest quorum; among rules of that quorum the role of the
  first by id; the shortest time of all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from aos.kernel.acts import Act
from aos.kernel.agents import Agent
from aos.kernel.cel import Holds
from aos.kernel.identity import PrincipalKind
from aos.kernel.json import MISSING, Json
from aos.kernel.policy.compile import CompiledRule
from aos.kernel.policy.facts import shown, value_of
from aos.kernel.policy.index import ActRules, PolicySet
from aos.kernel.policy.permissions import built_in_denials
from aos.kernel.policy.values import Approvers, Decision, Facts, Matched, Outcome
from aos.kernel.tools import Tool

_Hit = tuple[CompiledRule, Matched]


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
    values = _values(found, act, facts)
    hits = _match(found, act, facts, values=values)
    matched = (*denials, *(each for _, each in hits))
    outcome, reason = _outcome(matched, act, found=found)
    return Decision(
        outcome,
        matched,
        reason,
        facts.decided_at,
        facts.now,
        _strictest(hits) if outcome is Outcome.ESCALATE else None,
        _read(hits, act, facts, values=values) if found.inputs else {},
    )


def _values(found: ActRules, act: Act, facts: Facts) -> dict[str, object]:
    """Return what the conditions read, by variable; what this act lacks is left out."""
    values: dict[str, object] = {}
    for name, read in found.inputs:
        value = read(act, facts)
        if value is not MISSING:
            values[name] = value
    return values


def _match(found: ActRules, act: Act, facts: Facts, *, values: Mapping[str, object]) -> list[_Hit]:
    """Return the rules that match, most severe first."""
    bound = found.scope.bind(values) if found.scope is not None else None
    hits: list[_Hit] = []
    for compiled in found.rules:
        condition = compiled.condition
        if condition is None:
            holds = Holds.FAILED if compiled.broken else Holds.YES
        elif found.scope is None:
            holds = condition.holds(values)
        else:
            holds = condition.holds_with(bound)
        if holds is Holds.YES:
            hits.append((compiled, _matched(compiled, act, facts, values=values)))
        elif holds is Holds.FAILED and compiled.rule.outcome is not Outcome.ALLOW:
            hits.append((compiled, _failed(compiled, act, facts)))
    return hits


def _matched(compiled: CompiledRule, act: Act, facts: Facts, *, values: Mapping[str, object]) -> Matched:
    """Return the match of a rule whose condition holds."""
    rule = compiled.rule
    satisfied = rule.outcome is Outcome.ESCALATE and facts.approved.get(rule.id) == rule.version
    if compiled.matched is not None and not satisfied:
        return compiled.matched
    reason = compiled.reason.render(act, facts, values=values)
    return Matched(rule.id, rule.version, rule.outcome, reason, rule.source, satisfied=satisfied)


def _failed(compiled: CompiledRule, act: Act, facts: Facts) -> Matched:
    """Return the match of a deny or escalate rule whose condition could not be evaluated."""
    rule = compiled.rule
    why = compiled.broken or _lacking(compiled, act, facts)
    reason = f"the condition of `{rule.id}` could not be evaluated{why and ': ' + why}; it counts as matched"
    satisfied = rule.outcome is Outcome.ESCALATE and facts.approved.get(rule.id) == rule.version
    return Matched(rule.id, rule.version, rule.outcome, reason, rule.source, failed=True, satisfied=satisfied)


def _lacking(compiled: CompiledRule, act: Act, facts: Facts) -> str:
    """Return which facts the condition names that this act lacks or that are not of their type."""
    missing = [fact.path for fact in compiled.named if fact.read(act, facts) is MISSING]
    return f"{', '.join(f'`{path}`' for path in missing)} cannot be read" if missing else ""


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


def _strictest(hits: Sequence[_Hit]) -> Approvers:
    """Return who must answer: see the module's rules."""
    asked = [
        compiled.rule.approvers or Approvers()
        for compiled, matched in hits
        if matched.outcome is Outcome.ESCALATE and not matched.satisfied
    ]
    largest = max(asked, key=lambda each: each.quorum)
    return Approvers(largest.role, largest.quorum, min(each.expires_seconds for each in asked))


def _read(hits: Sequence[_Hit], act: Act, facts: Facts, *, values: Mapping[str, object]) -> Mapping[str, Json]:
    """Return the facts that the rules which matched named, for people to see."""
    read: dict[str, Json] = {}
    for compiled, _ in hits:
        for fact in compiled.named:
            path = fact.path
            if path not in read:
                value = value_of(fact, act, facts, values=values)
                if value is not MISSING:
                    read[path] = shown(fact, value)
    return read
