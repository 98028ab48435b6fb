"""Who runs an agent's function: a pool of hosts, or the worker itself for agents that the operator vouches for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Protocol, TypeAlias

from aos.kernel.agents import Agent, Runtime, RuntimeKind
from aos.kernel.errors import Misconfigured
from aos_sdk.frames import Call, Ended, Result, Start

ELSEWHERE: Final = frozenset({RuntimeKind.A2A, RuntimeKind.HTTP})
"""Kinds whose agents do not run here: a worker sends them their tasks."""
OnCall: TypeAlias = Callable[[Call], Awaitable[Result]]

LLM_ENTRY: Final = "aos_sdk.llm:run"
_HOSTED: Final = frozenset({RuntimeKind.PYTHON.value, RuntimeKind.LLM.value, RuntimeKind.LANGGRAPH.value})
"""The kinds whose functions run in hosts, or in the worker itself."""


def entry_of(runtime: Runtime) -> str:
    """Return the function that runs an agent's tasks: its own, or for an agent without code AOS's."""
    return LLM_ENTRY if runtime.kind == RuntimeKind.LLM else runtime.entry


class Died(Protocol):
    """A pass that ended without a word: why, and whether that speaks against the task."""

    @property
    def reason(self) -> str:
        """Return why, for people."""
        ...

    @property
    def counted(self) -> bool:
        """Return whether it counts towards poison."""
        ...

    @property
    def timed_out(self) -> bool:
        """Return whether the pass took longer than it may."""
        ...

    @property
    def code(self) -> str:
        """Return the task's error where the pass used more than it may, else nothing."""
        ...


class AgentRunner(Protocol):
    """Runs passes of agents' functions."""

    async def run_pass(self, start: Start, on_call: OnCall, *, timeout_seconds: float | None = None) -> Ended | Died:
        """Run one pass and return how it ended; what `on_call` raises ends it and is raised here. Cancelling cancels."""
        ...


class Runners:
    """Chooses the runner of an agent."""

    def __init__(
        self,
        *,
        hosts: AgentRunner | None,
        inline: AgentRunner | None,
        elsewhere: Callable[[Agent], AgentRunner] | None = None,
    ) -> None:
        self._hosts = hosts
        self._inline = inline
        self._elsewhere = elsewhere

    def runner_of(self, agent: Agent) -> AgentRunner:
        """Return who runs this agent; raise Misconfigured where this worker has nobody for it."""
        runtime = agent.runtime
        if runtime is not None and runtime.kind in ELSEWHERE and self._elsewhere is not None:
            return self._elsewhere(agent)
        if runtime is None or runtime.kind not in _HOSTED:
            kind = runtime.kind if runtime is not None else "none"
            raise Misconfigured(f"agent `{agent.name}` has the runtime `{kind}`, which this worker does not run")
        runner = self._inline if runtime.inline else self._hosts
        if runner is None:
            where = "inline (AOS_ALLOW_INLINE)" if runtime.inline else "in hosts"
            raise Misconfigured(f"agent `{agent.name}` runs {where}, which this worker does not do")
        return runner
