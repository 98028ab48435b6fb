"""What a manifest says, as values: every reference is a name, since ids belong to whoever stores them.

A spec is what one version of a thing holds; `msgspec.to_builtins` writes it as JSON and `msgspec.convert` reads it back.
Durations are in seconds, money in nanos.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from aos.kernel.agents import AgentType, Objective, Runtime, ToolPermission
from aos.kernel.hooks import HookMapping as HookMapping
from aos.kernel.hooks import HookSpec as HookSpec
from aos.kernel.json import Json
from aos.kernel.mcp_servers import McpServer as McpServer
from aos.kernel.models.spec import ModelSpec as ModelSpec
from aos.kernel.models.values import Purpose as Purpose
from aos.kernel.money import Money
from aos.kernel.people import Role
from aos.kernel.policy.permissions import glob_matches
from aos.kernel.policy.values import Rule
from aos.kernel.redaction import Capture as Capture
from aos.kernel.schedules import CatchUp as CatchUp
from aos.kernel.schedules import Overlap as Overlap
from aos.kernel.schedules import ScheduleSpec as ScheduleSpec
from aos.kernel.tools import Compensation, Effect, FactLookup, Repeat, ResultTrust, ToolTransport
from aos.kernel.workflow.spec import RetrySpec as RetrySpec
from aos.kernel.workflow.spec import TaskSpec as TaskSpec
from aos.kernel.workflow.spec import WorkflowSpec as WorkflowSpec


class BudgetScope(StrEnum):
    """What a budget limits."""

    ORGANIZATION = "organization"
    DEPARTMENT = "department"
    AGENT = "agent"


class BudgetPeriod(StrEnum):
    """How long a budget's limit lasts before it begins anew."""

    DAY = "day"
    MONTH = "month"
    TOTAL = "total"


@dataclass(frozen=True, slots=True)
class OrganizationSpec:
    """The organization's own settings; None leaves a setting as it is. Rates are nanos of our currency per unit."""

    name: str | None = None
    currency: str | None = None
    timezone: str | None = None
    environment: str | None = None
    rates: tuple[tuple[str, int], ...] | None = None
    run_clock: bool | None = None
    hosts: tuple[str, ...] | None = None
    capture: Capture | None = None


@dataclass(frozen=True, slots=True)
class DepartmentSpec:
    """A department and the cost centre it is billed to."""

    name: str
    cost_center: str = ""


@dataclass(frozen=True, slots=True)
class QueueSpec:
    """A queue: tasks that share what there is little of. At most `concurrency` of them are under way at once."""

    name: str
    concurrency: int


@dataclass(frozen=True, slots=True)
class PersonSpec:
    """A person who may sign in, with the roles held in this organization."""

    email: str
    name: str = ""
    roles: tuple[Role, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool: as `aos.kernel.tools.Tool`, before it has an id and a version."""

    name: str
    effect: Effect
    repeat: Repeat
    result_trust: ResultTrust
    transport: ToolTransport
    entry: str
    schema: Json
    sinks: tuple[str, ...] = ()
    money: tuple[str, ...] = ()
    lookups: tuple[FactLookup, ...] = ()
    price: Money | None = None
    reversible: bool = False
    timeout_seconds: int = 60
    description: str = ""
    fixed: Mapping[str, Json] = field(default_factory=dict)
    concurrency: int | None = None
    compensate: Compensation | None = None
    options: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AgentSpec:
    """An agent: as `aos.kernel.agents.Agent`, before it has an id, a version and a status."""

    name: str
    type: AgentType
    owner: str = ""
    department: str = ""
    goal: str = ""
    objectives: tuple[Objective, ...] = ()
    runtime: Runtime | None = None
    tools: tuple[ToolPermission, ...] = ()
    models: tuple[str, ...] = ()
    delegates: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()
    risk: str = "normal"
    price_per_second: Money | None = None
    queue: str = ""
    concurrency: int | None = None


@dataclass(frozen=True, slots=True)
class BudgetSpec:
    """A limit on what AOS costs within a scope; `scope_name` is empty for the organization. Warnings are in percent."""

    id: str
    scope: BudgetScope
    scope_name: str
    limit: Money
    per: BudgetPeriod
    warn_at_percent: tuple[int, ...] = ()
    on_limit: str = "deny"


@dataclass(frozen=True, slots=True)
class Manifest:
    """All of it, each kind in the order of its names. Policies are rules of version 0 until they are published."""

    organization: OrganizationSpec = OrganizationSpec()
    departments: tuple[DepartmentSpec, ...] = ()
    queues: tuple[QueueSpec, ...] = ()
    people: tuple[PersonSpec, ...] = ()
    tools: tuple[ToolSpec, ...] = ()
    models: tuple[ModelSpec, ...] = ()
    purposes: tuple[Purpose, ...] = ()
    agents: tuple[AgentSpec, ...] = ()
    policies: tuple[Rule, ...] = ()
    budgets: tuple[BudgetSpec, ...] = ()
    workflows: tuple[WorkflowSpec, ...] = ()
    schedules: tuple[ScheduleSpec, ...] = ()
    hooks: tuple[HookSpec, ...] = ()
    mcp_servers: tuple[McpServer, ...] = ()

    def permitted_tools(self, agent: AgentSpec) -> Iterator[tuple[ToolSpec, ToolPermission]]:
        """Yield each of this manifest's tools that an entry of the agent's `tools` permits, with that entry."""
        for tool in self.tools:
            for entry in agent.tools:
                if entry_permits(entry, tool):
                    yield tool, entry


def entry_permits(entry: ToolPermission, tool: ToolSpec) -> bool:
    """Say whether one entry of an agent's `tools` permits the tool: its name or glob matches, and its effect is named."""
    return glob_matches(entry.pattern, tool.name) and (not entry.effects or tool.effect in entry.effects)
