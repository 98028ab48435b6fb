"""The pool of hosts: runs passes of agents' functions and `python:` tools, and says how each ended.

A pass is answered once: by its `Ended`, or by `HostDied`. Tools have hosts of their own: a tool that an agent calls never
waits for the host that the agent holds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from aos.drivers.hosts.crew import Crew
from aos.drivers.hosts.limits import HostLimits
from aos.drivers.hosts.passes import PassDesk
from aos.drivers.hosts.process import HostProcess
from aos.drivers.hosts.tool_calls import ToolDesk
from aos.drivers.hosts.values import HostDied, HostKind, HostLine, HostsConfig, HostState
from aos.drivers.hosts.work import HostWork, OnCall, RunningPass
from aos.kernel.errors import Unavailable
from aos_sdk.frames import PASS_END_SECONDS, Call, Ended, HostFrame, Json, Loaded, Overran, Start, ToolEnded

_log = logging.getLogger(__name__)


class HostPool:
    """Hosts kept warm for agents and for tools."""

    def __init__(self, config: HostsConfig, *, on_line: Callable[[HostLine], None] | None = None) -> None:
        """Prepare; `on_line` gets each line that agents' code writes, else it goes to the log."""
        self._config = config
        self._work: dict[str, HostWork] = {}
        self._passes = PassDesk(config, self._work, retire=self._retire)
        self._tools = ToolDesk(config, self._work, retire=self._retire)
        self._limits = HostLimits(config, self._work, retire=self._retire)
        self._crew = Crew(config, frames=self._frame, joined=self._joined, ended=self._ended, log=on_line or _log_line)

    async def start(self) -> None:
        """Start the hosts and return when all are ready; raises `Misconfigured` when one cannot be started."""
        await self._crew.start()
        self._limits.start()

    async def run_pass(
        self, start: Start, on_call: OnCall, *, timeout_seconds: float | None = None
    ) -> Ended | HostDied:
        """Run one pass and return how it ended.

        `on_call` answers each call once it is recorded (or waits); what it raises ends the pass and is raised here. A
        pass past `timeout_seconds` costs its host its life. Cancelling this call cancels the pass. Raises `Unavailable`
        when no host is free in time or too many wait, `TooLarge` when a record does not fit a frame.
        """
        self._check_open()
        seconds = timeout_seconds or self._config.pass_seconds
        running = RunningPass(start, on_call, seconds, asyncio.get_running_loop().create_future())
        self._passes.add(running)
        try:
            return await asyncio.shield(running.answer)
        except asyncio.CancelledError:
            self._passes.cancel(running)
            raise

    async def run_tool(
        self,
        entry: str,
        arguments: dict[str, Json],
        *,
        idempotency_key: str | None = None,
        deadline_seconds: float,
    ) -> ToolEnded | HostDied:
        """Run a `python:` tool and return what it returned or raised.

        `ToolEnded.refused` means that the function was never entered; `timed_out`, there or in `HostDied`, that it may
        have had its effect. Raises `Unavailable` when no host takes it in time and `TooLarge`: then nothing was done.
        """
        self._check_open()
        return await self._tools.run(
            entry, arguments, idempotency_key=idempotency_key, deadline_seconds=deadline_seconds
        )

    def _check_open(self) -> None:
        if self._crew.closing:
            raise Unavailable("the pool of hosts is closed")

    def cancel(self, task_id: str) -> bool:
        """Ask the pass of a task to end; returns whether there is one. Its host is killed if the pass does not end."""
        running = self._passes.find(task_id)
        if running is not None:
            self._passes.cancel(running)
        return running is not None

    def kill(self, host_id: str) -> bool:
        """Kill a host; what it ran is answered by an uncounted `HostDied`. Returns whether there is such a host."""
        host = self._crew.hosts.get(host_id)
        if host is not None:
            host.kill("the host was killed by its owner", culprit="")
        return host is not None

    def hosts(self) -> tuple[HostState, ...]:
        """Return every host as it is now."""
        found: list[HostState] = []
        for host in self._crew.hosts.values():
            work = self._work.get(host.host_id)
            busy = len(work.passes) + len(work.tools) if work is not None else 0
            found.append(HostState(host.host_id, host.kind, host.pid, host.ready, busy, host.rss_bytes))
        return tuple(found)

    async def close(self) -> None:
        """End every host; what still ran is answered by an uncounted `HostDied`, what waited by `Unavailable`."""
        self._crew.closing = True
        await self._limits.close()
        self._tools.close()
        await self._crew.close()
        await self._passes.close()

    def _joined(self, host: HostProcess) -> None:
        work = self._work[host.host_id] = HostWork(host, began_at=asyncio.get_running_loop().time())
        self._freed(work)

    def _frame(self, host: HostProcess, frame: HostFrame) -> None:
        work = self._work[host.host_id]
        match frame:
            case Call():
                self._passes.called(work, frame)
            case Loaded():
                self._passes.loaded(work, frame)
            case Ended():
                self._passes.ended(work, frame)
                if frame.host_ends:
                    self._retire(work)
                self._limits.worked(work)
                self._freed(work)
            case ToolEnded():
                self._tools.ended(work, frame)
                self._limits.worked(work)
                self._freed(work)
            case Overran():
                host.culprit = frame.task_id
                host.ending_reason = f"a pass did not end within {PASS_END_SECONDS:g} s of its signal"
            case _:
                host.broken(f"a `{type(frame).__name__}` frame is out of place")

    def _freed(self, work: HostWork) -> None:
        """Look for work for a host that has room."""
        if work.idle:
            work.shared_key = None
            if work.host.retiring:
                work.host.stop()
        if work.host.kind is HostKind.AGENTS:
            self._passes.place()
        else:
            self._tools.place()

    def _retire(self, work: HostWork) -> None:
        """Let a host take no more work, end it when it has none, and start another in its place."""
        work.host.retiring = True
        if work.idle:
            work.host.stop()
        if not self._crew.closing:
            self._crew.replenish()

    def _ended(self, host: HostProcess, code: int) -> None:
        """Answer all that a dead host ran."""
        work = self._work.pop(host.host_id, None)
        if work is None:
            return
        reason = host.ending_reason or f"the host ended with status {code}"
        if not work.idle or host.ending_reason is None:
            _log.warning("host %s (pid %d) ended: %s", host.host_id, host.pid, reason)
        self._passes.host_died(work, reason, exit_code=code)
        self._tools.host_died(work, reason, exit_code=code)


def _log_line(line: HostLine) -> None:
    _log.info("%s %s: %s", line.host_id, line.stream, line.text)
