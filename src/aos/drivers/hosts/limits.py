"""What hosts may use: looked at twice a second while they work, and between two pieces of work.

A host over its memory, or whose one pass has used its processor time, is killed with a reason that people read. A host that
has done much, holds much or is old is replaced once it is idle: what leaks in agents' code ends there. One that somebody
stopped is killed after some seconds, and its work goes on elsewhere: its claims are renewed by a worker that knows nothing of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from aos.drivers.hosts.trees import usage_of
from aos.drivers.hosts.values import CPU_LIMIT, MEMORY_LIMIT, HostsConfig
from aos.drivers.hosts.work import HostWork

WATCH_SECONDS: Final = 0.5
_MEGABYTE: Final = 1024 * 1024


class HostLimits:
    """Looks after the hosts of a pool."""

    def __init__(
        self, config: HostsConfig, work: Mapping[str, HostWork], *, retire: Callable[[HostWork], None]
    ) -> None:
        self._config = config
        self._work = work
        self._retire = retire
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.get_running_loop().create_task(self._watch(), name="host-limits")

    async def close(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def worked(self, work: HostWork) -> None:
        """Count a piece of work that ended, and let the host end where it is due."""
        work.served += 1
        work.cpu_began = None
        if not work.host.retiring and self._is_due(work):
            self._retire(work)

    def _is_due(self, work: HostWork) -> bool:
        config, age = self._config, asyncio.get_running_loop().time() - work.began_at
        return (
            0 < config.recycle_tasks <= work.served
            or 0 < config.recycle_seconds <= age
            or 0 < config.recycle_bytes < work.host.rss_bytes
        )

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            for work in list(self._work.values()):
                if not work.idle:
                    self._look_at(work)
                elif not work.host.retiring and work.host.ready and self._is_due(work):
                    self._retire(work)

    def _stands_still(self, work: HostWork, *, stopped: bool) -> bool:
        """Say whether a host has been stopped (SIGSTOP) for so long that its work is better done by another."""
        now = asyncio.get_running_loop().time()
        if not stopped:
            work.stopped_at = None
        elif work.stopped_at is None:
            work.stopped_at = now
        return work.stopped_at is not None and now - work.stopped_at >= self._config.stopped_seconds

    def _look_at(self, work: HostWork) -> None:
        config, host = self._config, work.host
        used = usage_of(host.pid)
        host.rss_bytes = used.rss_bytes
        if self._stands_still(work, stopped=used.stopped):
            host.kill(f"the agent's process was stopped from outside for {config.stopped_seconds:g} s", culprit="")
            return
        alone = next(iter(work.passes)) if len(work.passes) == 1 and not work.tools else None
        if 0 < config.memory_bytes_max < used.rss_bytes:
            limit = f"{config.memory_bytes_max // _MEGABYTE} MB"
            reason = f"the agent's process held {used.rss_bytes // _MEGABYTE} MB of memory, over its limit of {limit}"
            host.ending_code = MEMORY_LIMIT
            host.kill(reason, culprit=alone)
            return
        if alone is None or config.cpu_seconds_max <= 0:
            work.cpu_began = None
            return
        if work.cpu_began is None or work.cpu_began[0] != alone:
            work.cpu_began = (alone, used.cpu_seconds)
        elif used.cpu_seconds - work.cpu_began[1] > config.cpu_seconds_max:
            host.ending_code = CPU_LIMIT
            host.kill(f"the pass used more than {config.cpu_seconds_max:g} s of processor time", culprit=alone)
