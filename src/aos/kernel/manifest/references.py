"""What the parts of a manifest say of each other: every name that is used must be the name of something.

A name is known when the manifest gives it, even to a part that is wrong elsewhere, or when it already exists. Every
check yields problems with the pointer to where the name is used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Final

from aos.kernel.agents import AgentType, RuntimeKind
from aos.kernel.errors import FieldError
from aos.kernel.json_text import suggest
from aos.kernel.manifest.templates import path_in_schema
from aos.kernel.manifest.values import AgentSpec, BudgetScope, HookSpec, Manifest, ScheduleSpec, ToolSpec, WorkflowSpec
from aos.kernel.models.catalogue import find
from aos.kernel.money import Money
from aos.kernel.policy.permissions import PURPOSE_PREFIX, glob_matches
from aos.kernel.schema import check, pointer
from aos.kernel.tools import Effect, FactLookup, ToolTransport
from aos.kernel.workflow.compensation import compensation_problems
from aos.kernel.workflow.templates import expressions_of, render

_ONE: Final = {
    "agents": "agent",
    "departments": "department",
    "queues": "queue",
    "tools": "tool",
    "models": "model",
    "purposes": "purpose",
    "workflows": "workflow",
    "mcp_servers": "MCP server",
    "runnable": "workflow or agent",
}
_ACTION_KINDS: Final = {
    "tool": "tools",
    "delegate": "agents",
    "message": "agents",
    "run": "runnable",
}
_SCOPE_KINDS: Final = {BudgetScope.DEPARTMENT: "departments", BudgetScope.AGENT: "agents"}


@dataclass(frozen=True, slots=True)
class Names:
    """The names of each kind that may be used, and the pointers to the manifest's own parts by kind and name."""

    known: Mapping[str, Set[str]]
    places: Mapping[tuple[str, str], str]

    def at(self, kind: str, name: str) -> str:
        return self.places[kind, name]

    def check(self, kind: str, name: str, at: str) -> Iterator[FieldError]:
        """Yield a problem unless something of this kind has the name."""
        if name not in self.known[kind]:
            yield FieldError(at, f"no {_ONE[kind]} is called `{name}`{suggest(name, self.known[kind])}")


def check_references(manifest: Manifest, names: Names, known: Manifest) -> Iterator[FieldError]:
    """Yield every reference of the manifest that leads nowhere or to the wrong thing; `known` is what exists already."""
    tools = {each.name: each for each in (*known.tools, *manifest.tools)}
    yield from _check_collisions(names)
    for tool in manifest.tools:
        yield from _check_tool(tool, tools, names)
    yield from _check_models(manifest, names)
    people = {person.email for person in (*known.people, *manifest.people)}
    for agent in manifest.agents:
        yield from _check_agent(agent, people, tools, names=names)
    yield from _check_policies(manifest, names)
    yield from _check_prices(manifest, known, names)
    for budget in manifest.budgets:
        kind = _SCOPE_KINDS.get(budget.scope)
        if kind:
            yield from names.check(kind, budget.scope_name, pointer(names.at("budgets", budget.id), "scope"))
    yield from _check_workflows(manifest, known, names)
    workflows = {each.name: each for each in (*known.workflows, *manifest.workflows)}
    for schedule in manifest.schedules:
        at = names.at("schedules", schedule.name)
        yield from _check_start(schedule, at, people, names=names)
        yield from _check_given(schedule, at, workflows)
    for hook in manifest.hooks:
        yield from _check_start(hook, names.at("hooks", hook.name), people, names=names)


def _check_workflows(manifest: Manifest, known: Manifest, names: Names) -> Iterator[FieldError]:
    """Yield what tasks name that there is not, and workflows that come to start themselves through others."""
    starts = {
        each.name: {task.workflow for task in each.tasks if task.workflow} - {each.name}
        for each in (*known.workflows, *manifest.workflows)
    }
    for workflow in manifest.workflows:
        tasks = pointer(names.at("workflows", workflow.name), "tasks")
        for task in sorted(workflow.tasks, key=lambda task: task.name):
            at = pointer(tasks, task.name)
            if task.agent:
                yield from names.check("agents", task.agent, pointer(at, "agent"))
            if task.fallback is not None:
                yield from names.check("agents", task.fallback.agent, pointer(pointer(at, "fallback"), "agent"))
            if task.queue:
                yield from names.check("queues", task.queue, pointer(at, "queue"))
            if task.workflow:
                yield from names.check("workflows", task.workflow, pointer(at, "workflow"))
                way = _way(task.workflow, workflow.name, starts)
                if way and task.workflow != workflow.name:
                    told = " -> ".join((workflow.name, *way))
                    yield FieldError(pointer(at, "workflow"), f"workflow `{workflow.name}` starts itself: {told}")


def _way(start: str, end: str, starts: Mapping[str, Set[str]]) -> tuple[str, ...]:
    """Return a way from one workflow to another by what each starts, empty where there is none."""
    ways: dict[str, tuple[str, ...]] = {start: (start,)}
    queue = [start]
    for name in queue:
        if name == end:
            return ways[name]
        for follower in sorted(starts.get(name, ())):
            if follower not in ways:
                ways[follower] = (*ways[name], follower)
                queue.append(follower)
    return ()


def _check_start(start: ScheduleSpec | HookSpec, at: str, people: Set[str], *, names: Names) -> Iterator[FieldError]:
    """Check what starts runs: what it starts, and whose rights they have."""
    if start.workflow:
        yield from names.check("workflows", start.workflow, pointer(at, "workflow"))
    if start.agent:
        yield from names.check("agents", start.agent, pointer(at, "agent"))
    yield from _check_owner(start.owner, people, at)


def _check_given(schedule: ScheduleSpec, at: str, workflows: Mapping[str, WorkflowSpec]) -> Iterator[FieldError]:
    """Check what a schedule gives its runs, where it holds no templates: else every start of it would fail.

    One that is paused starts nothing, and a schedule can be paused whatever is wrong with it.
    """
    workflow = workflows.get(schedule.workflow)
    if not schedule.enabled or workflow is None or workflow.input is None or any(expressions_of(schedule.input)):
        return
    for error in check(render(schedule.input, {}), workflow.input):
        yield FieldError(pointer(at, "input") + error.pointer, f"for workflow `{workflow.name}`: {error.detail}")


def _check_collisions(names: Names) -> Iterator[FieldError]:
    """Refuse tools that MCP and the model dialects, which have no dots, could not tell apart."""
    shown: dict[str, str] = {}
    for name in sorted(names.known["tools"]):
        other = shown.setdefault(name.replace(".", "_"), name)
        if other != name:
            mine = name if ("tools", name) in names.places else other
            both = f"tools `{other}` and `{name}` are both `{name.replace('.', '_')}` where names have no dots"
            yield FieldError(names.places.get(("tools", mine), "/tools"), f"{both}: rename one")


def _check_tool(tool: ToolSpec, tools: Mapping[str, ToolSpec], names: Names) -> Iterator[FieldError]:
    at = names.at("tools", tool.name)
    if tool.transport is ToolTransport.MCP:
        server = str(tool.options.get("server", ""))
        yield from names.check("mcp_servers", server, pointer(pointer(at, "mcp"), "server"))
    for index, sink in enumerate(tool.sinks):
        if not path_in_schema(tool.schema, sink):
            detail = f"sink `{sink}` is not an argument of `{tool.name}`: declare it under `args`"
            yield FieldError(pointer(pointer(at, "sinks"), index), detail)
    if tool.compensate is not None:
        place = pointer(at, "compensate")
        yield from names.check("tools", tool.compensate.tool, pointer(place, "tool"))
        if tool.effect is Effect.READ:
            yield FieldError(place, f"`{tool.name}` only reads: there is nothing to undo")
        if tool.compensate.tool in tools:
            undoing = tools[tool.compensate.tool]
            yield from compensation_problems(
                tool.compensate,
                schema=tool.schema,
                undoing_effect=undoing.effect,
                undoing_schema=undoing.schema,
                at=place,
            )
    for lookup in tool.lookups:
        place = pointer(pointer(at, "facts"), lookup.name)
        yield from names.check("tools", lookup.tool, pointer(place, "tool"))
        if lookup.tool in tools:
            yield from _check_lookup(lookup, tool, tools[lookup.tool], at=place)


def _check_lookup(lookup: FactLookup, tool: ToolSpec, read: ToolSpec, *, at: str) -> Iterator[FieldError]:
    if read.effect is not Effect.READ:
        yield FieldError(pointer(at, "tool"), f"a fact is looked up by reading, and `{read.name}` is a `{read.effect}`")
    if read.lookups:
        yield FieldError(pointer(at, "tool"), f"`{read.name}` looks facts up itself, and facts are looked up one deep")
    for argument, path in lookup.arguments:
        place = pointer(pointer(at, "args"), argument)
        if not path_in_schema(read.schema, argument):
            yield FieldError(place, f"`{argument}` is not an argument of `{read.name}`")
        if not path_in_schema(tool.schema, path):
            yield FieldError(place, f"`{path}` is not an argument of `{tool.name}`")
    required = read.schema.get("required") if isinstance(read.schema, dict) else None
    for needed in required if isinstance(required, list) else ():
        if needed not in dict(lookup.arguments):
            yield FieldError(at, f"`{read.name}` needs the argument `{needed}`")


def _check_models(manifest: Manifest, names: Names) -> Iterator[FieldError]:
    """Yield what models and purposes name that neither is registered nor stands in the catalogue."""
    for model in manifest.models:
        at = pointer(names.at("models", model.name), "fallbacks")
        for index, fallback in enumerate(model.fallbacks):
            if fallback == model.name:
                yield FieldError(pointer(at, index), f"model `{model.name}` cannot fall back to itself")
            yield from _check_model(fallback, pointer(at, index), names)
    for purpose in manifest.purposes:
        at = pointer(names.at("purposes", purpose.name), "models")
        for index, name in enumerate(purpose.models):
            yield from _check_model(name, pointer(at, index), names)


def _check_model(name: str, at: str, names: Names) -> Iterator[FieldError]:
    """Check the name of a model, which the catalogue may know under more names than it lists."""
    if find(name) is None:
        yield from names.check("models", name, at)


def _check_asked(entry: str, at: str, names: Names) -> Iterator[FieldError]:
    """Check one entry of an agent's `models`: a model, a purpose, or a glob of either."""
    kind, name = (
        ("purposes", entry.removeprefix(PURPOSE_PREFIX)) if entry.startswith(PURPOSE_PREFIX) else ("models", entry)
    )
    if "*" not in name:
        yield from names.check(kind, name, at) if kind == "purposes" else _check_model(name, at, names)
    elif not any(glob_matches(name, known) for known in names.known[kind]):
        yield FieldError(at, f"`{entry}` takes in no {_ONE[kind]}")


def _check_agent(
    agent: AgentSpec, people: Set[str], tools: Mapping[str, ToolSpec], *, names: Names
) -> Iterator[FieldError]:
    at = names.at("agents", agent.name)
    if agent.department:
        yield from names.check("departments", agent.department, pointer(at, "department"))
    yield from _check_owner(agent.owner, people, at)
    if agent.queue:
        yield from names.check("queues", agent.queue, pointer(at, "queue"))
    for index, entry in enumerate(agent.tools):
        place = pointer(pointer(at, "tools"), index)
        if "*" not in entry.pattern:
            yield from names.check("tools", entry.pattern, place)
            yield from _check_observer(agent, tools.get(entry.pattern), place)
        elif not any(glob_matches(entry.pattern, name) for name in names.known["tools"]):
            yield FieldError(place, f"`{entry.pattern}` takes in no tool")
    for index, asked in enumerate(agent.models):
        yield from _check_asked(asked, pointer(pointer(at, "models"), index), names)
    if agent.delegates and agent.type in (AgentType.OBSERVER, AgentType.SUB_AGENT):
        yield FieldError(pointer(at, "delegates"), f"an agent of type `{agent.type}` may not delegate")
    yield from _check_llm(agent, at)
    for index, delegate in enumerate(agent.delegates):
        place = pointer(pointer(at, "delegates"), index)
        if delegate == agent.name:
            yield FieldError(place, f"agent `{agent.name}` cannot hand work to itself")
        yield from names.check("agents", delegate, place)


def _check_llm(agent: AgentSpec, at: str) -> Iterator[FieldError]:
    """Yield why an agent without code could not ask the model that it is led by."""
    if agent.runtime is None or agent.runtime.kind != RuntimeKind.LLM:
        return
    asked = str(agent.runtime.options.get("model") or "auto")
    if not agent.models:
        yield FieldError(
            pointer(at, "models"), f"agent `{agent.name}` is led by a model and may ask none: name its `models`"
        )
    elif asked != "auto" and not any(glob_matches(each, asked) for each in agent.models):
        place = pointer(pointer(pointer(at, "runtime"), "llm"), "model")
        yield FieldError(place, f"`{asked}` is not among the models that agent `{agent.name}` may ask")


def _check_owner(owner: str, people: Set[str], at: str) -> Iterator[FieldError]:
    if owner and people and owner not in people:
        yield FieldError(pointer(at, "owner"), f"no person has the address `{owner}`{suggest(owner, people)}")


def _check_observer(agent: AgentSpec, tool: ToolSpec | None, at: str) -> Iterator[FieldError]:
    if tool is not None and agent.type is AgentType.OBSERVER and tool.effect is not Effect.READ:
        yield FieldError(at, f"an observer may only read, and `{tool.name}` is a `{tool.effect}`")


def _check_policies(manifest: Manifest, names: Names) -> Iterator[FieldError]:
    for policy in manifest.policies:
        at = names.at("policies", policy.id)
        for index, selector in enumerate(policy.agents):
            yield from _check_selector(selector, pointer(pointer(at, "agents"), index), names)
        for index, action in enumerate(policy.actions):
            kind, _, name = action.partition(":")
            if kind == "model" and "*" not in name:
                yield from _check_model(name, pointer(pointer(at, "actions"), index), names)
            elif kind in _ACTION_KINDS and "*" not in name:
                yield from names.check(_ACTION_KINDS[kind], name, pointer(pointer(at, "actions"), index))


def _check_selector(selector: str, at: str, names: Names) -> Iterator[FieldError]:
    kind, colon, name = selector.rpartition(":")
    if kind == "type":
        kinds = [each.value for each in AgentType]
        if name not in kinds:
            yield FieldError(at, f"`{name}` is not a type of agent{suggest(name, kinds) or ': ' + ', '.join(kinds)}")
    elif "*" not in selector:
        yield from names.check("departments" if colon else "agents", name, at)


def _check_prices(manifest: Manifest, known: Manifest, names: Names) -> Iterator[FieldError]:
    """Refuse prices in a currency that cannot be converted; silent until the organization's currency is known."""
    currency = manifest.organization.currency or known.organization.currency
    rates = known.organization.rates if manifest.organization.rates is None else manifest.organization.rates
    convertible = {currency, *(code for code, _ in rates or ())}
    prices: list[tuple[str, Money | None]] = [
        (f"{names.at('tools', tool.name)}/price/per_call", tool.price) for tool in manifest.tools
    ]
    prices += [
        (f"{names.at('agents', agent.name)}/price/per_second", agent.price_per_second) for agent in manifest.agents
    ]
    for at, price in prices if currency else ():
        if price is not None and price.currency not in convertible:
            yield FieldError(at, f"no rate from {price.currency} to {currency}: give one under `organization.rates`")
