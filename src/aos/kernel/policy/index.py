"""The policies in force, indexed: which compiled rules an agent's action meets.

Rules that differ in agent or action cost an act nothing: the rules of each (agent, action) are found once and kept. Rules
that match the same act cost an evaluation each; `compile_policies` refuses more than `RULES_PER_ACT_MAX` of them.

A policy set is safe to share between threads: what is kept is only ever replaced whole, and finding it twice is harmless.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from aos.kernel.acts import Act, ActKind
from aos.kernel.agents import Agent, AgentType
from aos.kernel.cel import CelType, Scope, scope_of
from aos.kernel.cel_text import facts_named, tokens_of_expression
from aos.kernel.errors import FieldError, InvalidCondition
from aos.kernel.identity import PrincipalKind
from aos.kernel.limits import RULES_MAX, RULES_PER_ACT_MAX
from aos.kernel.policy.compile import CompiledRule, broken_rule, compile_rule
from aos.kernel.policy.facts import ROOTS, Reader
from aos.kernel.policy.permissions import ask_rules, glob_matches, permission_rules, role_rules
from aos.kernel.policy.values import Outcome, Rule
from aos.kernel.tools import Effect, Tool

KEPT_MAX: Final = 20_000
"""(agent, action) pairs whose rules are kept; past it all are found anew."""
_SEVERITY: Final = {Outcome.DENY: 0, Outcome.ESCALATE: 1, Outcome.ALLOW: 2}
_SUBJECT_TYPES: Final = frozenset({*(each.value for each in AgentType), "person", "schedule", "system"})
_KINDS: Final = frozenset(each.value for each in ActKind)


class Selected(Protocol):
    """What a rule's `agents` choose by: an agent, registered or only described."""

    @property
    def name(self) -> str: ...
    @property
    def type(self) -> AgentType: ...
    @property
    def department(self) -> str: ...


@dataclass(frozen=True, slots=True)
class ActRules:
    """The rules that an agent's action meets, most severe first, then by id; with all that their conditions read.

    `scope` is set where several conditions share one binding of the values.
    """

    agent: Agent | None
    tool: Tool | None
    rules: tuple[CompiledRule, ...]
    inputs: tuple[tuple[str, Reader], ...]
    scope: Scope | None


class PolicySet:
    """One organization's rules in force. Rules that do not compile count as failing: closed, never skipped."""

    __slots__ = ("_by_action", "_kept", "_others", "rules")

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = tuple(rules)
        self._kept: dict[tuple[str, ...], ActRules] = {}
        self._by_action: dict[str, list[Rule]] = {}
        self._others: list[Rule] = []
        for rule in self.rules:
            if rule.actions and not any("*" in pattern for pattern in rule.actions):
                for pattern in set(rule.actions):
                    self._by_action.setdefault(pattern, []).append(rule)
            else:
                self._others.append(rule)

    def rules_for(self, act: Act, *, agent: Agent | None, tool: Tool | None) -> ActRules:
        """Return the rules that `act` meets: policies, the agent's own permissions, the roles of a person.

        `agent` is None for people and schedules; `tool` is the tool that a tool call names.
        """
        actor = act.principal.chain[-1]
        key: tuple[str, ...] = (act.kind, act.name, actor.name if agent is None else agent.name)
        if agent is None:
            key = (*key, actor.kind, *act.principal.roles)
        kept = self._kept.get(key)
        if kept is not None and kept.tool is tool and (kept.agent is agent or _same(kept.agent, agent)):
            return kept
        found = self._find(act, agent=agent, tool=tool)
        if len(self._kept) >= KEPT_MAX:
            self._kept = {}
        self._kept[key] = found
        return found

    def _find(self, act: Act, *, agent: Agent | None, tool: Tool | None) -> ActRules:
        actor = act.principal.actor
        own = permission_rules(agent) if agent is not None else role_rules(act.principal)
        if act.kind is ActKind.ASK and agent is not None:
            own = (*own, *ask_rules())
        name = actor.name if agent is None else agent.name
        met = [rule for rule in self.candidates(act.action) if _meets_actor(rule, agent, name=name, kind=actor.kind)]
        met += own
        rules = [_compiled(rule, tool) for rule in met if meets_action(rule, act.kind, name=act.name, tool=tool)]
        rules.sort(key=lambda each: (_SEVERITY[each.rule.outcome], each.rule.source, each.rule.id, each.rule.version))
        return _act_rules(rules, agent=agent, tool=tool)

    def candidates(self, action: str) -> list[Rule]:
        """Return the rules whose actions may match `action`, whoever acts."""
        return [*self._by_action.get(action, ()), *self._others]


def _same(kept: Agent | None, agent: Agent | None) -> bool:
    """Return whether the rules found for `kept` hold for `agent`: its status is judged at each act and may differ."""
    if kept is None or agent is None:
        return kept is agent
    return (
        kept.version == agent.version
        and kept.id == agent.id
        and kept.type is agent.type
        and kept.department == agent.department
        and kept.tools == agent.tools
        and kept.models == agent.models
        and kept.purposes == agent.purposes
        and kept.delegates == agent.delegates
    )


def _act_rules(rules: Sequence[CompiledRule], *, agent: Agent | None, tool: Tool | None) -> ActRules:
    """Join the rules' variables; a variable has one type for one tool, so they share one scope."""
    inputs: dict[str, Reader] = {}
    variables: dict[str, CelType] = {}
    conditional = 0
    for compiled in rules:
        if compiled.condition is not None:
            conditional += 1
            inputs.update(compiled.inputs)
            variables.update(compiled.condition.variables)
    scope = scope_of(variables) if conditional > 1 else None
    return ActRules(agent, tool, tuple(rules), tuple(inputs.items()), scope)


def _compiled(rule: Rule, tool: Tool | None) -> CompiledRule:
    try:
        return compile_rule(rule, tool)
    except InvalidCondition as error:
        return broken_rule(rule, error.detail)


def meets_action(rule: Rule, kind: ActKind, *, name: str, tool: Tool | None) -> bool:
    """Return whether the rule's actions and effects match; a rule that names effects matches tool calls alone."""
    if rule.effects and (tool is None or tool.effect.value not in rule.effects):
        return False
    action = f"{kind}:{name}"
    return not rule.actions or any(glob_matches(pattern, action) for pattern in rule.actions)


def meets_agent(rule: Rule, agent: Selected) -> bool:
    """Return whether the rule is about this agent."""
    return _meets_actor(rule, agent, name=agent.name, kind=PrincipalKind.AGENT)


def _meets_actor(rule: Rule, agent: Selected | None, *, name: str, kind: PrincipalKind) -> bool:
    if not rule.agents:
        return True
    kind_name = kind.value if agent is None else agent.type.value
    department = None if agent is None else agent.department
    for pattern in rule.agents:
        selector, _, wanted = pattern.partition(":")
        if not wanted:
            if glob_matches(pattern, name) and (agent is not None or pattern == "*"):
                return True
        elif selector == "type":
            if glob_matches(wanted, kind_name):
                return True
        elif selector == "department" and department is not None and glob_matches(wanted, department):
            return True
    return False


def compile_policies(rules: Sequence[Rule], *, tools: Iterable[Tool], agents: Iterable[Agent] = ()) -> PolicySet:
    """Compile `rules` for publication against the tools and agents that exist; every error is reported at once.

    Raises InvalidCondition whose `errors` point at `/policies/<index>/<field>`. What is already in force is loaded with
    `PolicySet(rules)`, which never raises and holds a rule that no longer compiles as failing closed.
    """
    known = {tool.name: tool for tool in tools}
    errors = (
        []
        if len(rules) <= RULES_MAX
        else [FieldError("/policies", f"{len(rules)} rules, at most {RULES_MAX} are kept")]
    )
    seen: set[str] = set()
    for index, rule in enumerate(rules):
        if rule.id in seen:
            errors.append(FieldError(f"/policies/{index}/id", f"rule `{rule.id}` stands twice: give each its own id"))
        seen.add(rule.id)
        errors += [FieldError(f"/policies/{index}/{field}", detail) for field, detail in _errors_of(rule, known)]
    policies = PolicySet(rules)
    if not errors:
        errors += _crowded(policies, tuple(known.values()), agents=tuple(agents))
    if errors:
        first = errors[0]
        more = f", and {len(errors) - 1} more" if len(errors) > 1 else ""
        raise InvalidCondition(f"{first.pointer}: {first.detail}{more}", errors=errors)
    return policies


def _errors_of(rule: Rule, tools: Mapping[str, Tool]) -> list[tuple[str, str]]:
    """Return what is wrong with one rule: (field, detail), each detail once."""
    found = [("agents", detail) for pattern in rule.agents if (detail := _selector_error(pattern))]
    found += [("actions", detail) for pattern in rule.actions if (detail := _action_error(pattern))]
    found += [
        ("effects", f"`{effect}` is no effect; there are {', '.join(Effect)}")
        for effect in rule.effects
        if effect not in Effect.__members__.values()
    ]
    if found or not rule.when.strip():
        return found
    details: dict[str, str] = {}
    targets = _targets(rule, tools)
    if not targets:
        try:
            facts_named(tokens_of_expression(rule.when), ROOTS)
        except InvalidCondition as error:
            return [("when", error.detail)]
    for tool in targets:
        try:
            compile_rule(rule, tool)
        except InvalidCondition as error:
            details.setdefault(error.detail, "acts that are no tool calls" if tool is None else f"tool `{tool.name}`")
    return found + [("when", f"{detail} (for {target})") for detail, target in details.items()]


def _targets(rule: Rule, tools: Mapping[str, Tool]) -> list[Tool | None]:
    """Return the tools whose calls the rule may match, and None when it may match acts that are no tool calls."""
    exact = [pattern.removeprefix("tool:") for pattern in rule.actions if "*" not in pattern]
    named = len(exact) == len(rule.actions) > 0
    tried = [tools[name] for name in dict.fromkeys(exact) if name in tools] if named else list(tools.values())
    targets: list[Tool | None] = [tool for tool in tried if meets_action(rule, ActKind.TOOL, name=tool.name, tool=tool)]
    if not rule.effects and (not rule.actions or any(not pattern.startswith("tool:") for pattern in rule.actions)):
        targets.append(None)
    return targets


def _selector_error(pattern: str) -> str:
    selector, colon, wanted = pattern.partition(":")
    if not colon:
        return "" if pattern else "an agent's name is empty"
    if selector == "type" and (wanted in _SUBJECT_TYPES or "*" in wanted):
        return ""
    if selector == "department" and wanted:
        return ""
    types = ", ".join(f"type:{each}" for each in sorted(_SUBJECT_TYPES))
    return f"`{pattern}` selects no agents: write a name, a glob, department:NAME or one of {types}"


def _action_error(pattern: str) -> str:
    kind, colon, name = pattern.partition(":")
    if pattern == "*" or (colon and name and kind in _KINDS):
        return ""
    return f"`{pattern}` is no action: write `*` or KIND:NAME, where KIND is one of {', '.join(sorted(_KINDS))}"


def _crowded(policies: PolicySet, tools: Sequence[Tool], *, agents: Sequence[Agent]) -> list[FieldError]:
    """Return an error for each action at which more rules than `RULES_PER_ACT_MAX` would match the same agent."""
    exact = {pattern for rule in policies.rules for pattern in rule.actions if "*" not in pattern}
    actions: Mapping[str, Tool | None] = {
        **dict.fromkeys(sorted(exact)),
        **dict.fromkeys(f"{kind}:(any)" for kind in ActKind),
        **{f"tool:{tool.name}": tool for tool in tools},
    }
    errors: list[FieldError] = []
    for action, tool in actions.items():
        kind, _, name = action.partition(":")
        met = [rule for rule in policies.candidates(action) if meets_action(rule, ActKind(kind), name=name, tool=tool)]
        most = _most_for_one_agent(met, agents) if len(met) > RULES_PER_ACT_MAX else 0
        if most > RULES_PER_ACT_MAX:
            errors.append(
                FieldError("/policies", f"{most} rules match `{action}` by one agent, at most {RULES_PER_ACT_MAX} may")
            )
    return errors


def _most_for_one_agent(rules: Sequence[Rule], agents: Sequence[Agent]) -> int:
    """Return how many of `rules` match the agent that meets most; rules without agents match any agent to come."""
    for_all = sum(not rule.agents or "*" in rule.agents for rule in rules)
    return max((sum(meets_agent(rule, agent) for rule in rules) for agent in agents), default=for_all)
