"""What a host is doing for the pool: passes and tools under way, each with the answer somebody waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from aos.drivers.hosts.process import HostProcess
from aos.drivers.hosts.values import HostDied
from aos_sdk.frames import Call, Ended, Result, RunTool, Start, ToolEnded

AgentKey: TypeAlias = tuple[str, int, str]
"""Agent, version and entry: tasks that agree in it may share a host."""
OnCall: TypeAlias = Callable[[Call], Awaitable[Result]]


@dataclass(slots=True, eq=False)
class RunningPass:
    """One pass, waiting for a host or in one."""

    start: Start
    on_call: OnCall
    seconds: float
    answer: asyncio.Future[Ended | HostDied]
    host: HostProcess | None = None
    timer: asyncio.TimerHandle | None = None
    cancelled: bool = False
    calls: set[asyncio.Task[None]] = field(default_factory=set)
    failure: BaseException | None = None

    @property
    def key(self) -> AgentKey:
        """Return what tasks must agree in to share a host."""
        return (self.start.context.agent, self.start.context.agent_version, self.start.entry)

    def set_timer(self, timer: asyncio.TimerHandle | None) -> None:
        """Replace the timer."""
        if self.timer is not None:
            self.timer.cancel()
        self.timer = timer


@dataclass(slots=True, eq=False)
class RunningTool:
    """One tool call, waiting for a host or in one."""

    frame: RunTool
    answer: asyncio.Future[ToolEnded | HostDied]
    timer: asyncio.TimerHandle | None = None


@dataclass(slots=True, eq=False)
class HostWork:
    """All that one host does now, and which agents' code it has imported."""

    host: HostProcess
    passes: dict[str, RunningPass] = field(default_factory=dict)
    tools: dict[int, RunningTool] = field(default_factory=dict)
    shared_key: AgentKey | None = None
    """The agent version whose asynchronous tasks it runs; None while it runs none or a synchronous one."""
    versions: dict[str, int] = field(default_factory=dict)
    began_at: float = 0.0
    """When the host joined, by the loop's clock."""
    served: int = 0
    """Pieces of work that have ended here."""
    stopped_at: float | None = None
    """When the host was first seen to stand still, by the loop's clock."""
    cpu_began: tuple[str, float] | None = None
    """The one pass that runs here, and the processor time that had been used when it was first looked at."""

    @property
    def idle(self) -> bool:
        """Return whether nothing runs here."""
        return not self.passes and not self.tools

    def fits(self, key: AgentKey) -> bool:
        """Return whether this host may import that agent version: modules of another one are never unloaded."""
        return self.versions.get(key[0], key[1]) == key[1]
