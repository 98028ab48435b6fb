"""Turns what a manifest says into registered things and back: a spec gains an id and a version, or loses them.

Objectives are not part of `Agent`: whoever stores an agent's version stores them beside it and hands them back in.
"""

from __future__ import annotations

from uuid import UUID

from aos.kernel.agents import Agent, AgentStatus
from aos.kernel.manifest.values import AgentSpec, Objective, ToolSpec
from aos.kernel.money import Money
from aos.kernel.tools import Tool


def tool_from_spec(spec: ToolSpec, id: UUID, *, version: int) -> Tool:
    """Return the tool that a spec describes, registered."""
    return Tool(
        id=id,
        name=spec.name,
        version=version,
        effect=spec.effect,
        repeat=spec.repeat,
        result_trust=spec.result_trust,
        transport=spec.transport,
        entry=spec.entry,
        schema=spec.schema,
        sinks=spec.sinks,
        money=spec.money,
        lookups=spec.lookups,
        price=spec.price,
        reversible=spec.reversible,
        timeout_seconds=spec.timeout_seconds,
        description=spec.description,
    )


def spec_from_tool(tool: Tool) -> ToolSpec:
    """Return what a manifest would say of a registered tool."""
    return ToolSpec(
        name=tool.name,
        effect=tool.effect,
        repeat=tool.repeat,
        result_trust=tool.result_trust,
        transport=tool.transport,
        entry=tool.entry,
        schema=tool.schema,
        sinks=tool.sinks,
        money=tool.money,
        lookups=tool.lookups,
        price=tool.price,
        reversible=tool.reversible,
        timeout_seconds=tool.timeout_seconds,
        description=tool.description,
    )


def agent_from_spec(
    spec: AgentSpec,
    id: UUID,
    *,
    version: int,
    department_id: UUID | None,
    status: AgentStatus = AgentStatus.RUNNING,
    price_per_second_nanos: int | None = None,
) -> Agent:
    """Return the agent that a spec describes, registered.

    `price_per_second_nanos` is the spec's price in the organization's currency; None takes the spec's as it stands.
    """
    price = spec.price_per_second.nanos if spec.price_per_second else 0
    return Agent(
        id=id,
        name=spec.name,
        version=version,
        type=spec.type,
        status=status,
        department_id=department_id,
        department=spec.department,
        owner=spec.owner,
        goal=spec.goal,
        runtime=spec.runtime,
        tools=spec.tools,
        models=spec.models,
        delegates=spec.delegates,
        roles=spec.roles,
        permissions=spec.permissions,
        risk=spec.risk,
        price_per_second_nanos=price if price_per_second_nanos is None else price_per_second_nanos,
    )


def spec_from_agent(agent: Agent, objectives: tuple[Objective, ...] = (), *, currency: str) -> AgentSpec:
    """Return what a manifest would say of a registered agent; `currency` is the organization's."""
    return AgentSpec(
        name=agent.name,
        type=agent.type,
        owner=agent.owner,
        department=agent.department,
        goal=agent.goal,
        objectives=objectives,
        runtime=agent.runtime,
        tools=agent.tools,
        models=agent.models,
        delegates=agent.delegates,
        roles=agent.roles,
        permissions=agent.permissions,
        risk=agent.risk,
        price_per_second=Money(agent.price_per_second_nanos, currency) if agent.price_per_second_nanos else None,
    )
