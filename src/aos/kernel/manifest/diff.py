"""What applying a manifest would change, and which of it gives somebody more than before.

A change is marked `!` when a permission gets wider, or a rule, a fact or a bound that held somebody back gets weaker;
where that cannot be decided (a changed condition), it counts as wider. Nothing is removed unless `prune` is asked for,
and people never are: they are unassigned by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import Field, dataclass, fields, replace
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar, Final, Protocol, TypeVar, cast

from aos.kernel.agents import ToolPermission
from aos.kernel.limits import NANOS
from aos.kernel.manifest.gains import agent_gains, mcp_server_gains, model_gains, purpose_gains, tool_gains
from aos.kernel.manifest.mcp_servers import keep_pins
from aos.kernel.manifest.outside_tools import told_options
from aos.kernel.manifest.values import (
    AgentSpec,
    HookSpec,
    Manifest,
    McpServer,
    ModelSpec,
    OrganizationSpec,
    PersonSpec,
    Purpose,
    QueueSpec,
    ScheduleSpec,
    ToolSpec,
    WorkflowSpec,
)
from aos.kernel.models.spec import price_text
from aos.kernel.models.values import Price
from aos.kernel.money import Money
from aos.kernel.policy.values import Outcome, Rule
from aos.kernel.redaction import Capture, CaptureMode


class Mark(StrEnum):
    """How a change is shown: added, changed, removed, or wider."""

    ADD = "+"
    CHANGE = "~"
    REMOVE = "-"
    WIDEN = "!"


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that applying would change; `detail` names the fields, or why it is marked `!`.

    `waits`: it is stored, and counts once somebody who may publish policies accepts it.
    """

    mark: Mark
    kind: str
    name: str
    detail: str = ""
    waits: bool = False


class _Named(Protocol):
    """Anything of a manifest; a frozen dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


Spec = TypeVar("Spec", bound=object)
Owned = TypeVar("Owned", AgentSpec, ScheduleSpec, HookSpec)

_LOOSER: Final = {Outcome.DENY: 2, Outcome.ESCALATE: 1, Outcome.ALLOW: 0}
_IGNORED: Final = frozenset({"name", "id", "email", "version", "source"})


def diff(current: Manifest, wanted: Manifest, *, prune: bool = False) -> list[Change]:
    """Return the changes that make `current` into `wanted`, by kind in the order of the manifest, then by name.

    Without `prune`, what `wanted` does not name stays. A policy's version is not compared.
    """
    after = merge(current, wanted, prune=prune)
    changes = _organization(current.organization, wanted.organization)
    changes += _each("department", "name", current.departments, after.departments)
    changes += _each("queue", "name", current.queues, after.queues)
    changes += _each("person", "email", current.people, after.people)
    changes += _each("mcp_server", "name", current.mcp_servers, after.mcp_servers)
    changes += _each("tool", "name", current.tools, after.tools)
    changes += _each("model", "name", current.models, after.models)
    changes += _each("purpose", "name", current.purposes, after.purposes)
    changes += _agents(current, after)
    changes += _each("policy", "id", current.policies, after.policies)
    changes += _each("budget", "id", current.budgets, after.budgets)
    changes += _each("workflow", "name", current.workflows, after.workflows)
    changes += _each("schedule", "name", current.schedules, after.schedules)
    changes += _each("hook", "name", current.hooks, after.hooks)
    return changes


def merge(current: Manifest, wanted: Manifest, *, prune: bool = False) -> Manifest:
    """Return what stands after `wanted` is applied on `current`."""
    organization = _merge_organization(current.organization, wanted.organization)
    return Manifest(
        organization=organization,
        departments=_merged("name", current.departments, wanted.departments, prune=prune),
        queues=_merged("name", current.queues, wanted.queues, prune=prune),
        people=_merged("email", current.people, wanted.people, prune=False),
        tools=_merged("name", current.tools, keep_pins(current.tools, wanted.tools), prune=prune),
        models=_merged("name", current.models, wanted.models, prune=prune),
        purposes=_merged("name", current.purposes, wanted.purposes, prune=prune),
        agents=_merged("name", current.agents, _owned(current.agents, wanted.agents), prune=prune),
        policies=_merged("id", current.policies, wanted.policies, prune=prune),
        budgets=_merged("id", current.budgets, wanted.budgets, prune=prune),
        workflows=_merged("name", current.workflows, wanted.workflows, prune=prune),
        schedules=_merged("name", current.schedules, _timed(current, wanted, organization.timezone or ""), prune=prune),
        hooks=_merged("name", current.hooks, _owned(current.hooks, wanted.hooks), prune=prune),
        mcp_servers=_merged("name", current.mcp_servers, wanted.mcp_servers, prune=prune),
    )


def _owned(current: Iterable[Owned], wanted: Iterable[Owned]) -> list[Owned]:
    """Return what is wanted; what names no owner keeps the one it has."""
    owners = {each.name: each.owner for each in current}
    return [each if each.owner else replace(each, owner=owners.get(each.name, "")) for each in wanted]


def _timed(current: Manifest, wanted: Manifest, timezone: str) -> list[ScheduleSpec]:
    """Return the schedules wanted; one that names no zone has the organization's, one that names no owner keeps its own."""
    owned = _owned(current.schedules, wanted.schedules)
    return [each if each.timezone else replace(each, timezone=timezone) for each in owned]


def _merged(key: str, current: Iterable[Spec], wanted: Iterable[Spec], *, prune: bool) -> tuple[Spec, ...]:
    found = {} if prune else {str(getattr(each, key)): each for each in current}
    found.update({str(getattr(each, key)): each for each in wanted})
    return tuple(found[name] for name in sorted(found))


def _merge_organization(current: OrganizationSpec, wanted: OrganizationSpec) -> OrganizationSpec:
    given = {each.name: getattr(wanted, each.name) for each in fields(wanted)}
    return OrganizationSpec(
        **{name: getattr(current, name) if value is None else value for name, value in given.items()}
    )


def _organization(current: OrganizationSpec, wanted: OrganizationSpec) -> list[Change]:
    after = _merge_organization(current, wanted)
    if after == current:
        return []
    wider = ["runs may carry a clock of their own"] if after.run_clock and not current.run_clock else []
    wider += [f"`{each}` may be reached" for each in after.hosts or () if each not in (current.hosts or ())]
    wider += _captures_more(current.capture or Capture(), after.capture or Capture())
    lost = [f"`{each}` may be reached no longer" for each in current.hosts or () if each not in (after.hosts or ())]
    told = [*wider, *lost, *_differences(current, after)]
    return [_change("organization", after.name or "", told, wider=bool(wider))]


def _captures_more(before: Capture, behind: Capture) -> list[str]:
    """Say what is kept of model calls that was not kept before."""
    if behind.models is CaptureMode.NONE:
        return []
    if before.models is CaptureMode.NONE:
        return ["requests to models and their answers are kept"]
    return [f"`{each}` is kept readable in model calls" for each in before.redact if each not in behind.redact]


def _each(kind: str, key: str, current: Sequence[Spec], after: Sequence[Spec]) -> list[Change]:
    """Return the changes of one kind, by name."""
    before = {str(getattr(each, key)): each for each in current}
    behind = {str(getattr(each, key)): each for each in after}
    changes: list[Change] = []
    for name in sorted({*before, *behind}):
        old, new = before.get(name), behind.get(name)
        if new is None:
            wider = _widened_by_loss(old)
            changes.append(Change(Mark.WIDEN if wider else Mark.REMOVE, kind, name, wider or "removed"))
        elif old is None:
            wider = _widened_by_gain(new)
            changes.append(Change(Mark.WIDEN if wider else Mark.ADD, kind, name, wider or _describe(new)))
        elif differences := _differences(old, new):
            reasons = _widened(old, new)
            changes.append(_change(kind, name, [*reasons, *differences], wider=bool(reasons)))
    return changes


def _change(kind: str, name: str, details: list[str], *, wider: bool) -> Change:
    return Change(Mark.WIDEN if wider else Mark.CHANGE, kind, name, "; ".join(details))


def _widened_by_loss(old: object) -> str:
    """Say what somebody gains when this is removed."""
    if isinstance(old, Rule) and old.outcome is not Outcome.ALLOW:
        return f"removed: it decided `{old.outcome}`"
    return ""


def _widened_by_gain(new: object) -> str:
    """Say what somebody gains when this is added."""
    if isinstance(new, HookSpec):
        return f"whoever holds its secret {new.reach}"
    return "a new rule that allows" if isinstance(new, Rule) and new.outcome is Outcome.ALLOW else ""


def _widened(old: object, new: object) -> list[str]:
    """Return the reasons why `new` gives more than `old`."""
    if isinstance(old, Rule) and isinstance(new, Rule):
        return _rule_widened(old, new)
    if isinstance(old, ToolSpec) and isinstance(new, ToolSpec):
        return tool_gains(old, new)
    if isinstance(old, ModelSpec) and isinstance(new, ModelSpec):
        return model_gains(old, new)
    if isinstance(old, Purpose) and isinstance(new, Purpose):
        return purpose_gains(old, new)
    if isinstance(old, McpServer) and isinstance(new, McpServer):
        return mcp_server_gains(old, new)
    if isinstance(old, PersonSpec) and isinstance(new, PersonSpec):
        return [f"gains the role `{role}`" for role in new.roles if role not in old.roles]
    if isinstance(old, HookSpec) and isinstance(new, HookSpec):
        return _hook_widened(old, new)
    return []


def _hook_widened(old: HookSpec, new: HookSpec) -> list[str]:
    reasons = [] if old.reach == new.reach else [f"whoever holds its secret {new.reach}"]
    reasons += ["is open again"] if new.enabled and not old.enabled else []
    reasons += [f"acts with the rights of {new.owner}"] if new.owner != old.owner else []
    return reasons + [
        f"takes more {name}" for name in ("types", "sources") if not _covers(getattr(old, name), getattr(new, name))
    ]


def _rule_widened(old: Rule, new: Rule) -> list[str]:
    if _LOOSER[new.outcome] < _LOOSER[old.outcome]:
        return [f"loosened from `{old.outcome}` to `{new.outcome}`"]
    holds_back = old.outcome is not Outcome.ALLOW
    if not holds_back and new.outcome is not Outcome.ALLOW:
        return []
    reasons = [
        f"{'covers fewer' if holds_back else 'allows more'} {name}"
        for name in ("agents", "actions", "effects")
        if not (
            _covers(getattr(new, name), getattr(old, name))
            if holds_back
            else _covers(getattr(old, name), getattr(new, name))
        )
    ]
    # A condition makes a rule matter less often: gained by a rule that holds back, or lost by one that allows.
    if old.when != new.when and (new.when if holds_back else old.when):
        reasons.append("its condition changed" if new.when else "its condition is gone")
    if old.approvers != new.approvers and new.outcome is Outcome.ESCALATE and old.approvers is not None:
        reasons.append("who may approve changed")
    return reasons


def _covers(wide: tuple[str, ...], narrow: tuple[str, ...]) -> bool:
    """Say whether one list of selectors surely takes in another; an empty list is everything."""
    return not wide or (bool(narrow) and set(narrow) <= set(wide))


def _agents(current: Manifest, after: Manifest) -> list[Change]:
    """Return the agents' changes; a glob that takes in more is a change of an agent that was not touched itself."""
    before = {each.name: each for each in current.agents}
    changes = {each.name: each for each in _each("agent", "name", current.agents, after.agents)}
    for agent in after.agents:
        old = before.get(agent.name)
        reasons = _agent_widened(old, agent, current, after=after) if old else []
        if reasons:
            plain = changes[agent.name].detail if agent.name in changes else ""
            details = [*reasons, *([plain] if plain else [])]
            changes[agent.name] = _change("agent", agent.name, details, wider=True)
    return [changes[name] for name in sorted(changes)]


def _agent_widened(old: AgentSpec, new: AgentSpec, current: Manifest, *, after: Manifest) -> list[str]:
    had = {tool.name for tool, _ in current.permitted_tools(old)}
    existed = {tool.name for tool in current.tools}
    gains: dict[str, list[ToolPermission]] = {}
    for tool, entry in after.permitted_tools(new):
        if tool.name not in had:
            gains.setdefault(tool.name, []).append(entry)
    reasons = []
    for name, entries in gains.items():
        # A glob that names effects says itself what it may take in later.
        foreseen = name not in existed and any(entry.effects and entry in old.tools for entry in entries)
        if not foreseen:
            glob = next((entry.pattern for entry in entries if "*" in entry.pattern and entry in old.tools), None)
            reasons.append(f"`{glob}` now takes in the tool `{name}`" if glob else f"may now call the tool `{name}`")
    gained = agent_gains(old, new, current.policies)
    return [*reasons, *(reason for reason in gained if reason not in reasons)]


def _differences(old: object, new: object) -> list[str]:
    """Return the fields that differ, with both values where they are short."""
    found = []
    for name in (each.name for each in fields(cast(_Named, old)) if each.name not in _IGNORED):
        before, behind = getattr(old, name), getattr(new, name)
        if before != behind:
            say = _rates_text if name == "rates" else _text
            texts = say(before), say(behind)
            short = all(len(text) <= 60 for text in texts)
            found.append(f"{name}: {texts[0]} -> {texts[1]}" if short else name)
    return found


def _rates_text(rates: object) -> str:
    """Return rates as they are written, for each currency what one of it is worth: `1 USD = 0.92`."""
    if not isinstance(rates, tuple) or not rates:
        return "none"
    return ", ".join(f"1 {code} = {Decimal(nanos) / NANOS:f}" for code, nanos in rates)


def _text(value: object) -> str:
    if value is None or value in ("", ()):
        return "none"
    if isinstance(value, tuple):
        return ", ".join(_text(each) for each in value)
    if isinstance(value, Capture):
        return f"{value.models} without {_text(value.redact)}" if value.models is not CaptureMode.NONE else "none"
    if isinstance(value, ToolPermission):
        return f"{value.pattern} ({', '.join(value.effects)})" if value.effects else value.pattern
    return price_text(value) if isinstance(value, Price) else str(value)


def _describe(new: object) -> str:
    """Say in a few words what is added."""
    match new:
        case AgentSpec():
            tools = [_text(entry) for entry in new.tools]
            return f"{new.type}" + (f", may call {', '.join(tools)}" if tools else "")
        case ToolSpec():
            return f"{new.effect}, {new.transport} {told_options(new)}"
        case McpServer():
            return new.url or new.command[0]
        case ModelSpec():
            return f"{new.provider}, {', '.join(price_text(each) for each in new.prices)}"
        case Purpose():
            return f"{new.objective}, {', '.join(new.models)}"
        case Rule():
            return f"{new.outcome} {', '.join(new.actions) or 'everything'}"
        case ScheduleSpec():
            return f"{new.target} at {new.cron} in {new.timezone}"
        case QueueSpec():
            return f"at most {new.concurrency} at once"
        case WorkflowSpec():
            return f"{len(new.tasks)} task{'s' if len(new.tasks) != 1 else ''}"
        case _:
            return _described_amount(new)


def _described_amount(new: object) -> str:
    limit = getattr(new, "limit", None)
    return f"{limit} a {getattr(new, 'per', '')}".replace("a total", "in total") if isinstance(limit, Money) else ""
