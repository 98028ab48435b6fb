"""Agents as the gate knows them: who they are, what type they are, what they may ask for.

A version is immutable; `Agent` joins the current version with the agent's mutable status.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from aos.kernel.json import Json
from aos.kernel.tools import Effect


class AgentType(StrEnum):
    """The four kinds of agent; the kind bounds what any permission can give."""

    EXECUTIVE = "executive"
    FUNCTIONAL = "functional"
    SUB_AGENT = "sub-agent"
    OBSERVER = "observer"


class AgentStatus(StrEnum):
    """Whether the agent may act: only `running` may."""

    RUNNING = "running"
    PAUSED = "paused"
    ERRORED = "errored"
    QUARANTINED = "quarantined"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class ToolPermission:
    """What one entry of an agent's `tools` permits: a name or glob, narrowed to effects where any are named."""

    pattern: str
    effects: tuple[Effect, ...] = ()


class RuntimeKind(StrEnum):
    """What runs an agent's tasks."""

    PYTHON = "python"
    LLM = "llm"
    A2A = "a2a"
    HTTP = "http"
    LANGGRAPH = "langgraph"
    WORK = "work"
    """The agent itself, outside AOS: it fetches its tasks and answers them."""

    @property
    def is_graph(self) -> bool:
        """Say whether its passes go on at a checkpoint of their own rather than from the top."""
        return self is RuntimeKind.LANGGRAPH


@dataclass(frozen=True, slots=True)
class Runtime:
    """How an agent's tasks are run: `entry` is what a kind that is written as a text names (`module:function`), `options` what
    one that is written as an object says. `inline` runs in the worker itself."""

    kind: str
    entry: str = ""
    inline: bool = False
    options: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Objective:
    """One thing an agent is to reach, and the figure that shows it."""

    name: str
    kpi: str = ""
    target: str = ""


@dataclass(frozen=True, slots=True)
class Agent:
    """One agent at its current version. `queue` is where its tasks stand, empty for the usual one."""

    id: UUID
    name: str
    version: int
    type: AgentType
    status: AgentStatus
    department_id: UUID | None
    department: str
    owner: str
    goal: str
    runtime: Runtime | None
    tools: tuple[ToolPermission, ...] = ()
    models: tuple[str, ...] = ()
    delegates: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()
    risk: str = "normal"
    price_per_second_nanos: int = 0
    objectives: tuple[Objective, ...] = ()
    queue: str = ""
    """Where its tasks stand that name no queue themselves; empty: the queue `default`."""
    concurrency: int | None = None
    """How many of its tasks may be under way at once; None: as many as there is room for."""
    purposes: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """What each `purpose:NAME` among `models` names at the moment; part of the facts, not of the agent's version."""
