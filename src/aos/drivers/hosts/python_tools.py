"""`python:` tools as the gate calls them: a function in a tool host, never in this process."""

from __future__ import annotations

from collections.abc import Mapping

from aos.drivers.hosts.pool import HostPool
from aos.drivers.hosts.values import HostDied
from aos.kernel.errors import TooLarge, Unavailable
from aos.kernel.identity import Principal
from aos.kernel.json import Json
from aos.kernel.ports import ToolOutcome
from aos.kernel.tools import Tool


class PythonTools:
    """The `ToolCaller` of functions in host processes."""

    def __init__(self, hosts: HostPool) -> None:
        self._hosts = hosts

    async def call(
        self,
        tool: Tool,
        arguments: Mapping[str, Json],
        *,
        principal: Principal,
        idempotency_key: str,
        deadline_seconds: float,
    ) -> ToolOutcome:
        """Run the function with the caller's arguments and the tool's fixed ones, which no caller can set.

        A host that died and a call cut short at its deadline leave the outcome unknown.
        """
        try:
            ended = await self._hosts.run_tool(
                tool.entry,
                {**arguments, **tool.fixed},
                idempotency_key=idempotency_key,
                deadline_seconds=deadline_seconds,
            )
        except (Unavailable, TooLarge) as error:
            return ToolOutcome(ok=False, error=error.detail, sent=False)
        if isinstance(ended, HostDied):
            return ToolOutcome(ok=False, error=f"the tool's process ended: {ended.reason}", unknown=True)
        if ended.ok:
            return ToolOutcome(ok=True, value=ended.value)
        detail = f"{ended.error.type}: {ended.error.message}" if ended.error is not None else "the tool failed"
        return ToolOutcome(ok=False, error=detail, sent=not ended.refused, unknown=ended.timed_out)
