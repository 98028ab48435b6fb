"""Keeping hosts: as many of each kind as configured, started ahead, replaced when they end.

A host that cannot be started is tried again after a growing pause; what waits for it meets its own deadline.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine
from typing import Any, Final

from aos.drivers.hosts.connection import HostConnection, HostPeer
from aos.drivers.hosts.process import HostProcess, host_mark
from aos.drivers.hosts.trees import kill_marked
from aos.drivers.hosts.values import HostKind, HostLine, HostsConfig
from aos.kernel.errors import Misconfigured
from aos_sdk.frames import PROTOCOL, Hello, HostFrame

SOCKET_PATH_BYTES_MAX: Final = 107
PAUSE_SECONDS_MIN: Final = 0.1
PAUSE_SECONDS_MAX: Final = 5.0
STOP_SECONDS: Final = 2.0
_log = logging.getLogger(__name__)


class Crew:
    """All hosts of a pool and the socket they join at."""

    def __init__(
        self,
        config: HostsConfig,
        *,
        frames: Callable[[HostProcess, HostFrame], None],
        joined: Callable[[HostProcess], None],
        ended: Callable[[HostProcess, int], None],
        log: Callable[[HostLine], None],
    ) -> None:
        self.hosts: dict[str, HostProcess] = {}
        self.closing = False
        self._config = config
        self._frames = frames
        self._joined = joined
        self._ended = ended
        self._log_line = log
        self._server: asyncio.Server | None = None
        self._started = 0
        self._failures = 0
        self._doing: set[asyncio.Task[None]] = set()
        self._change = asyncio.Event()
        self._closing = asyncio.Event()
        self._failed: HostProcess | None = None

    async def start(self) -> None:
        """Open the socket, start every host and wait until all have joined; raises `Misconfigured` when one does not."""
        path = self._config.socket_path
        if len(os.fsencode(path)) > SOCKET_PATH_BYTES_MAX:
            raise Misconfigured(f"socket path `{path}` is over {SOCKET_PATH_BYTES_MAX} bytes: choose a shorter folder")
        path.unlink(missing_ok=True)
        kill_marked(host_mark(self._config))  # what agents of a killed owner had started
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: HostConnection(self._join), str(path))
        path.chmod(0o600)
        self.replenish()
        try:
            async with asyncio.timeout(self._config.start_seconds):
                while not all(host.ready for host in self.hosts.values()):
                    if self._failures:
                        raise Misconfigured(f"a host does not start: {self._last_words()}")
                    self._change.clear()
                    await self._change.wait()
        except TimeoutError:
            await self.close()
            raise Misconfigured(f"hosts did not start within {self._config.start_seconds:g} s") from None
        except Misconfigured:
            await self.close()
            raise

    def replenish(self) -> None:
        """Start as many hosts as are missing; a retiring one no longer counts."""
        wanted = {HostKind.AGENTS: self._config.agent_hosts, HostKind.TOOLS: self._config.tool_hosts}
        for kind, number in wanted.items():
            there = sum(host.kind is kind and not host.retiring for host in self.hosts.values())
            for _ in range(number - there):
                self._add(kind)

    def _add(self, kind: HostKind) -> None:
        self._started += 1
        host = HostProcess(
            f"{kind}-{self._started}",
            kind,
            frames=self._frames,
            ended=self._host_ended,
            log=self._log_line,
        )
        self.hosts[host.host_id] = host
        self._do(self._begin(host))

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._doing.add(task)
        task.add_done_callback(self._doing.discard)

    async def _begin(self, host: HostProcess) -> None:
        if self._failures:
            pause = min(PAUSE_SECONDS_MIN * 2**self._failures, PAUSE_SECONDS_MAX)
            try:
                await asyncio.wait_for(self._closing.wait(), pause)
            except TimeoutError:
                pass
        if self.closing:
            return
        try:
            await host.begin(self._config)
        except OSError as error:
            host.last_lines.append(str(error))
            host.alive = False
            self._host_ended(host, -1)

    def _join(self, hello: Hello, connection: HostConnection) -> HostPeer | None:
        host = self.hosts.get(hello.host_id)
        if host is None or hello.protocol != PROTOCOL or not host.join(hello, connection):
            _log.warning("a process that is no host of this pool tried to join as `%s`", hello.host_id)
            return None
        self._failures = 0
        self._change.set()
        self._joined(host)
        return host

    def _host_ended(self, host: HostProcess, code: int) -> None:
        self.hosts.pop(host.host_id, None)
        self._do(host.drain_output())
        if not host.joined:
            self._failures += 1
            self._failed = host
        self._change.set()
        if not self.closing:
            self.replenish()
        self._ended(host, code)

    def _last_words(self) -> str:
        lines = self._failed.last_lines if self._failed is not None else ()
        return " | ".join(lines) or "it said nothing"

    async def close(self) -> None:
        """End every host, by force where asking does not help, and the socket."""
        self.closing = True
        self._closing.set()
        hosts = list(self.hosts.values())
        for host in hosts:
            host.stop()
        exits = [host.exited for host in hosts if host.pid]
        if exits:
            await asyncio.wait(exits, timeout=STOP_SECONDS)
            for host in hosts:
                host.kill("the pool was closed")
            await asyncio.wait(exits, timeout=STOP_SECONDS)
        while self._doing:
            await asyncio.wait(set(self._doing))
        if self._server is not None:
            self._server.close()
        self._config.socket_path.unlink(missing_ok=True)
