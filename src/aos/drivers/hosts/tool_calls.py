"""`python:` tools: placing calls in the hosts for tools, and giving up those that outlive their deadline.

A tool's outcome is known only from its `ToolEnded`; after a `HostDied` it may have had its effect.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from aos.drivers.hosts.values import TOOL_GRACE_SECONDS, TOOLS_PER_HOST_MAX, HostDied, HostKind, HostsConfig
from aos.drivers.hosts.work import HostWork, RunningTool
from aos.kernel.errors import TooLarge, Unavailable
from aos_sdk.frames import Json, ProtocolError, RunTool, ToolEnded, encode_frame


class ToolDesk:
    """All tool calls of a pool, waiting and running."""

    def __init__(self, config: HostsConfig, work: dict[str, HostWork], *, retire: Callable[[HostWork], None]) -> None:
        self._config = config
        self._work = work
        self._retire = retire
        self._waiting: deque[RunningTool] = deque()
        self._numbered = 0

    async def run(
        self, entry: str, arguments: dict[str, Json], *, idempotency_key: str | None, deadline_seconds: float
    ) -> ToolEnded | HostDied:
        """Run a tool and return what came of it; raises `Unavailable` or `TooLarge` when nothing was done."""
        if len(self._waiting) >= self._config.queue_max:
            raise Unavailable(f"{len(self._waiting)} tool calls wait for a host, the most allowed")
        loop = asyncio.get_running_loop()
        self._numbered += 1
        frame = RunTool(self._numbered, entry, arguments, deadline_seconds, idempotency_key)
        try:
            encode_frame(frame)
        except (ProtocolError, OverflowError) as error:
            raise TooLarge(str(error)) from error
        running = RunningTool(frame, loop.create_future())
        running.timer = loop.call_later(
            min(deadline_seconds, self._config.queue_seconds), self._waited_too_long, running
        )
        self._waiting.append(running)
        self.place()
        return await running.answer

    def place(self) -> None:
        """Give waiting calls to the least busy hosts."""
        while self._waiting:
            free = [
                work
                for work in self._work.values()
                if work.host.kind is HostKind.TOOLS
                and work.host.ready
                and not work.host.retiring
                and len(work.tools) < TOOLS_PER_HOST_MAX
            ]
            if not free:
                return
            work = min(free, key=lambda one: len(one.tools))
            running = self._waiting.popleft()
            work.tools[running.frame.call_id] = running
            wait = running.frame.deadline_seconds + TOOL_GRACE_SECONDS
            self._set_timer(running, asyncio.get_running_loop().call_later(wait, self._late, work, running))
            work.host.send(running.frame)

    def _set_timer(self, running: RunningTool, timer: asyncio.TimerHandle | None) -> None:
        if running.timer is not None:
            running.timer.cancel()
        running.timer = timer

    def ended(self, work: HostWork, ended: ToolEnded) -> None:
        """Take the end of a tool."""
        running = work.tools.pop(ended.call_id, None)
        if running is not None:
            self._set_timer(running, None)
            if not running.answer.done():
                running.answer.set_result(ended)

    def _waited_too_long(self, running: RunningTool) -> None:
        if running in self._waiting:
            self._waiting.remove(running)
            self._fail(running, Unavailable("no host for tools was free in time"))

    def _fail(self, running: RunningTool, error: BaseException) -> None:
        self._set_timer(running, None)
        if not running.answer.done():
            running.answer.set_exception(error)

    def _late(self, work: HostWork, running: RunningTool) -> None:
        """Give a tool up whose thread goes on: its host ends as soon as the others in it have."""
        work.tools.pop(running.frame.call_id, None)
        reason = f"tool `{running.frame.entry}` did not end within {running.frame.deadline_seconds:g} s"
        if not running.answer.done():
            running.answer.set_result(HostDied(work.host.host_id, reason, None, counted=True, timed_out=True))
        self._retire(work)

    def host_died(self, work: HostWork, reason: str, *, exit_code: int) -> None:
        """Answer all tools that a dead host ran."""
        for running in work.tools.values():
            self._set_timer(running, None)
            if not running.answer.done():
                counted = work.host.culprit is None
                running.answer.set_result(HostDied(work.host.host_id, reason, exit_code, counted=counted))
        work.tools.clear()

    def close(self) -> None:
        """Fail what waits."""
        while self._waiting:
            self._fail(self._waiting.popleft(), Unavailable("the pool of hosts was closed"))
