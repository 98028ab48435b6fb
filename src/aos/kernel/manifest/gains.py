"""What somebody gains when an agent, a tool, a model, a purpose or a workflow is changed: the reasons why a person must accept it first.

Closed by default: a field that differs counts, unless it stands below as harmless or is known to have become stricter. So
a field that is added later counts until somebody says that it does not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, replace
from typing import Final

from aos.kernel.agents import ToolPermission
from aos.kernel.manifest.values import (
    AgentSpec,
    HookSpec,
    McpServer,
    ModelSpec,
    Purpose,
    ScheduleSpec,
    ToolSpec,
    WorkflowSpec,
)
from aos.kernel.models.values import Price
from aos.kernel.money import Money
from aos.kernel.policy.index import meets_agent
from aos.kernel.policy.permissions import PURPOSE_PREFIX, glob_matches
from aos.kernel.policy.values import Outcome, Rule
from aos.kernel.tools import Repeat, ResultTrust, secrets_of

_TRUST: Final = {ResultTrust.UNTRUSTED: 0, ResultTrust.OWN: 1, ResultTrust.TRUSTED: 2}
_REPEAT: Final = {Repeat.NEVER: 0, Repeat.KEYED: 1, Repeat.SAFE: 2}
_HARMLESS_OF_TOOLS: Final = frozenset({"name", "description", "timeout_seconds", "concurrency"})
_HARMLESS_OF_AGENTS: Final = frozenset({"name", "goal", "objectives", "queue", "concurrency"})
_HARMLESS_OF_MODELS: Final = frozenset({
    "name", "dialects", "output_tokens_max", "capabilities", "tags", "strength", "concurrency",
    "timeout_seconds",
})  # fmt: skip
_HARMLESS_OF_PURPOSES: Final = frozenset({
    "name", "objective", "canary", "hedge_after_ms", "cascade", "cache_seconds", "attempts",
})  # fmt: skip
_HARMLESS_OF_MCP_SERVERS: Final = frozenset({"name", "concurrency"})
_LISTS: Final = {
    "models": "ask the model",
    "delegates": "hand work to",
    "permissions": "use",
    "roles": "act in the role",
}
_WORDS: Final = {
    "entry": "it runs another program",
    "options": "it is reached in another way",
    "transport": "it is reached in another way",
    "schema": "its arguments, which policies read, are declared anew",
    "money": "which of its arguments are money changed",
    "lookups": "the facts that policies read of it changed",
    "compensate": "its calls are undone in another way",
    "fixed": "the arguments that only the operator sets changed",
}


def tool_gains(old: ToolSpec | None, new: ToolSpec) -> list[str]:
    """Return why calls of `new` may be held back less than those of `old`; a tool that is not in force declares all anew.

    What a tool declares is believed by every policy: its effect, its sinks, how far its results are trusted.
    """
    if old is None:
        told = [f"a new tool, believed to be `{new.effect}` with results `{new.result_trust}`"]
        return [*told, *(f"it is given the secret `{each}`" for each in secrets_of(new.options))]
    reasons: list[str] = []
    for name in (each.name for each in fields(ToolSpec) if each.name not in _HARMLESS_OF_TOOLS):
        if getattr(old, name) != getattr(new, name):
            reasons += _tool_gain(name, old, new)
    return list(dict.fromkeys(reasons))


def _tool_gain(name: str, old: ToolSpec, new: ToolSpec) -> list[str]:
    """Return what a field that differs gives."""
    match name:
        case "effect":
            return [f"its effect is `{new.effect}` and no longer `{old.effect}`"]
        case "sinks":
            return [f"`{sink}` is no longer a sink" for sink in old.sinks if sink not in new.sinks]
        case "result_trust":
            looser = _TRUST[new.result_trust] > _TRUST[old.result_trust]
            return [f"its results are trusted as `{new.result_trust}`"] if looser else []
        case "repeat":
            return [f"it may be repeated: `{new.repeat}`"] if _REPEAT[new.repeat] > _REPEAT[old.repeat] else []
        case "reversible":
            return ["it counts as reversible"] if new.reversible else []
        case "price":
            return _cheaper(old.price, new.price)
        case "options" if {**old.options, "digest": ""} == {**new.options, "digest": ""}:
            digest = str(new.options.get("digest") or "none")
            return [f"its server must offer what the digest `{digest[:16]}` names, else its calls are held"]
        case "options":
            given = [each for each in secrets_of(new.options) if each not in secrets_of(old.options)]
            return [_WORDS[name], *(f"it is given the secret `{each}`" for each in given)]
        case _:
            return [_WORDS.get(name, f"its {name} changed")]


def mcp_server_gains(old: McpServer | None, new: McpServer) -> list[str]:
    """Return why calls of the server's tools may run another program, or go elsewhere, than with `old`."""
    where = f"the program `{' '.join(new.command)}` is run" if new.command else f"it is asked at {new.url}"
    told = [where, *(f"it is given the secret `{each}`" for each in new.secrets)]
    if old is None:
        return told
    names = [each.name for each in fields(McpServer) if each.name not in _HARMLESS_OF_MCP_SERVERS]
    if all(getattr(old, name) == getattr(new, name) for name in names):
        return []
    return [*told, *(f"its {name} changed" for name in names if getattr(old, name) != getattr(new, name))]


def agent_gains(old: AgentSpec | None, new: AgentSpec, rules: Iterable[Rule]) -> list[str]:
    """Return what `new` may do that `old`, None for an agent that is not in force, may not; `rules` are those in force.

    What policies choose agents by (type, department, owner, risk) counts as well: a rule may no longer hold it back.
    """
    had = old.tools if old else ()
    reasons = [_may_call(entry) for entry in new.tools if not any(_covers(each, entry) for each in had)]
    for name, words in _LISTS.items():
        before: tuple[str, ...] = getattr(old, name) if old else ()
        reasons += [_may(words, each) for each in sorted(set(getattr(new, name)) - set(before))]
    if new.runtime is not None and new.runtime.inline and not (old and old.runtime and old.runtime.inline):
        reasons.append("runs in the worker itself")
    reasons += _sent_elsewhere(old, new)
    if old is None:
        met = (rule.id for rule in rules if rule.outcome is Outcome.ALLOW and meets_agent(rule, new))
        return [*reasons, *(f"the policy `{id}` allows it more" for id in met)]
    seen = {*_HARMLESS_OF_AGENTS, *_LISTS, "tools", "runtime", "price_per_second", "type"}
    if old.type != new.type:
        reasons.append(f"is now of type `{new.type}`")
    reasons += _cheaper(old.price_per_second, new.price_per_second)
    return reasons + [
        f"its {name}, which policies may read, is `{getattr(new, name) or 'none'}`"
        for name in (each.name for each in fields(AgentSpec) if each.name not in seen)
        if getattr(old, name) != getattr(new, name)
    ]


def _sent_elsewhere(old: AgentSpec | None, new: AgentSpec) -> list[str]:
    """Return where an agent's tasks go that its runtime sends away, and with which secret, where that is new."""
    if new.runtime is None or (old is not None and old.runtime == new.runtime):
        return []
    where, secret = new.runtime.options.get("url"), new.runtime.options.get("secret")
    if where is None:
        return []
    had = old.runtime.options if old is not None and old.runtime is not None else {}
    moved = [f"its tasks are sent to `{where}`"] if where != had.get("url") else []
    given = [f"`{where}` is sent the secret `{secret}`"] if secret and (moved or secret != had.get("secret")) else []
    card, believed = new.runtime.options.get("card"), list[str]()
    if had.get("card") and card != had["card"]:
        believed.append(f"{'another' if card else 'any'} card of its address is believed")
    keys = new.runtime.options.get("keys")
    if had.get("keys") and keys != had["keys"]:
        believed.append(
            f"its card is believed when {f'signed by the keys at `{keys}`' if keys else 'nobody signed it'}"
        )
    return [*moved, *given, *believed]


def model_gains(old: ModelSpec | None, new: ModelSpec) -> list[str]:
    """Return why what agents send to `new` may go elsewhere, or cost less in the books, than with `old`.

    What is sent to a model leaves the house, and so does the key that its secret holds.
    """
    where = new.base_url or f"the servers of `{new.provider}`"
    if old is None:
        return [f"a new model at {where}" + (f", with the secret `{new.secret}`" if new.secret else "")]
    reasons: list[str] = []
    for name in (each.name for each in fields(ModelSpec) if each.name not in _HARMLESS_OF_MODELS):
        if getattr(old, name) != getattr(new, name):
            reasons += _model_gain(name, old, new)
    return reasons


def _model_gain(name: str, old: ModelSpec, new: ModelSpec) -> list[str]:
    match name:
        case "prices":
            return [] if _surely_dearer(old.prices, new.prices) else ["its prices changed"]
        case "context_tokens":
            less = new.context_tokens < old.context_tokens or not old.context_tokens
            return [f"less is held for input that a request does not show: {new.context_tokens} tokens"] if less else []
        case "fallbacks":
            return [f"falls back to `{each}`" for each in new.fallbacks if each not in old.fallbacks]
        case "secret":
            return [f"is sent the secret `{new.secret}`"] if new.secret else []
        case "region":
            return [f"its region, which purposes believe, is `{new.region}`"] if new.region else []
        case "upstream" | "provider" | "base_url":
            return [f"its {name} is `{getattr(new, name) or 'none'}`"]
        case _:
            return [f"its {name} changed"]


def _surely_dearer(old: tuple[Price, ...], new: tuple[Price, ...]) -> bool:
    """Say whether no call costs less: the same prices by day and size, none of their figures smaller."""
    return len(old) == len(new) and all(
        (was.currency, was.since, was.above_tokens) == (now.currency, now.since, now.above_tokens)
        and all(more >= less for more, less in zip(_figures(now), _figures(was), strict=True))
        for was, now in zip(old, new, strict=True)
    )


def _figures(price: Price) -> tuple[int, ...]:
    """Return what each sort of token costs, those named that cost as others do."""
    writes = price.input if price.cache_writes is None else price.cache_writes
    kept = writes if price.cache_writes_hour is None else price.cache_writes_hour
    return price.input, price.output, price.input if price.cached is None else price.cached, writes, kept


def purpose_gains(old: Purpose | None, new: Purpose) -> list[str]:
    """Return what those who may ask for the purpose may ask more: models of it, and regions that it may go to."""
    if old is None:
        return [f"whoever may ask for it may ask `{each}`" for each in new.models]
    reasons = [f"whoever may ask for it may ask `{each}`" for each in new.models if each not in old.models]
    if old.residency and not (new.residency and set(new.residency) <= set(old.residency)):
        reasons.append(f"its requests may go to {', '.join(new.residency) or 'any region'}")
    seen = {*_HARMLESS_OF_PURPOSES, "models", "residency"}
    return reasons + [
        f"its {name} changed"
        for name in (each.name for each in fields(Purpose) if each.name not in seen)
        if getattr(old, name) != getattr(new, name)
    ]


def workflow_gains(
    old: WorkflowSpec | None,
    new: WorkflowSpec,
    starts: Iterable[ScheduleSpec | HookSpec],
    *,
    workflows: Iterable[WorkflowSpec],
    editor: str,
) -> list[str]:
    """Return whose rights what `editor` writes into a workflow is run with: those of others by whose `starts` it is run.

    A schedule or hook that is off counts too: who edits may have turned it off, and its owner may turn it on again unaware.
    It also runs what is nested in its workflow, as `workflows`, those in force, have it. A description is read by people alone.
    """
    if old is not None and replace(old, description=new.description) == new:
        return []
    running = _running(new.name, tuple(workflows))
    return [
        f"{'the schedule' if isinstance(each, ScheduleSpec) else 'the hook'} `{each.name}` runs it with the rights of {each.owner}"
        for each in starts
        if each.workflow in running and each.owner != editor
    ]


def runs_for(
    name: str, starts: Iterable[ScheduleSpec | HookSpec], workflows: Iterable[WorkflowSpec], owner: str
) -> bool:
    """Say whether an enabled schedule or hook of `owner` runs this workflow."""
    running = _running(name, tuple(workflows))
    return any(each.enabled and each.workflow in running and each.owner == owner for each in starts)


def _running(name: str, workflows: tuple[WorkflowSpec, ...]) -> set[str]:
    """Return the workflows whose runs are, or hold, runs of the one of this name."""
    found, last = {name}, 0
    while len(found) != last:
        last = len(found)
        found |= {each.name for each in workflows if any(task.workflow in found for task in each.tasks)}
    return found


def _may(words: str, name: str) -> str:
    if name.startswith(PURPOSE_PREFIX):
        return f"may now ask the models of `{name}`"
    return f"may now {words} `{name}`"


def _may_call(entry: ToolPermission) -> str:
    if "*" not in entry.pattern:
        return f"may now call the tool `{entry.pattern}`"
    effects = f" with the effects {', '.join(entry.effects)}" if entry.effects else ""
    return f"may now call every tool like `{entry.pattern}`{effects}"


def _covers(wide: ToolPermission, narrow: ToolPermission) -> bool:
    """Say whether one entry surely permits all that the other does."""
    if wide.effects and not (narrow.effects and set(narrow.effects) <= set(wide.effects)):
        return False
    same = wide.pattern == narrow.pattern
    return same or ("*" not in narrow.pattern and glob_matches(wide.pattern, narrow.pattern))


def _cheaper(old: Money | None, new: Money | None) -> list[str]:
    """Return that budgets hold less back, unless the price surely rose."""
    if old is None or old == new:
        return []
    rose = new is not None and new.currency == old.currency and new.nanos > old.nanos
    return [] if rose else [f"its price is {new or 'nothing'} and no longer {old}"]
