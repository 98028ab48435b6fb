"""The control plane's process: Django's application on gunicorn, on the socket that the supervisor opened.

Gunicorn's arbiter imports everything and forks the server, which opens its connections only then. A server that dies is
forked anew by the arbiter; an arbiter that dies is started anew by the supervisor.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from importlib.metadata import version
from typing import Any, Final

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter

from aos.boot.canary import fire_canaries, log_failures
from aos.boot.config import Config
from aos.boot.connections import SHARES
from aos.boot.console import bind_console
from aos.boot.heartbeat import beat
from aos.boot.hot import standard_drivers
from aos.boot.own_process import end_with
from aos.boot.paths import find_paths
from aos.boot.plan import Plan, Ready, ReadySignal
from aos.control_plane import settings
from aos.control_plane.binding import Services
from aos.control_plane.wsgi import build_application
from aos.drivers.key_file import KeyFile
from aos.kernel.limits import HEAD_BYTES_MAX
from aos.operations.bridge import Bridge, Hot, open_hot
from aos.operations.drivers import Drivers
from aos.store.cold.connection import configure
from aos.store.cold.machine import COLD_MACHINE_CONNECTIONS_MAX, configure_machine
from aos.store.django_settings import DjangoConfig, set_up_django
from aos.store.hot.database import DatabaseConfig

THREADS: Final = 8
DRAIN_SECONDS: Final = 10
KEEP_ALIVE_SECONDS: Final = 75
"""Longer than the front keeps an idle connection, so that it is never the server that closes one in use."""
_STUCK_SECONDS: Final = 60
"""A server whose main thread says nothing for this long is killed by the arbiter."""

set_up_django(DjangoConfig(root_urlconf="aos.boot.urls", allowed_hosts=("*",), web=settings.WEB))
log = logging.getLogger("aos.boot")


def serve(plan: Plan, config: Config, signal: ReadySignal) -> None:
    """Serve until asked to end."""
    drivers = replace(
        standard_drivers(KeyFile(find_paths(config, os.environ).key_file)), mcp_commands=config.mcp_commands
    )
    _Arbiter(_Application(plan, drivers, signal)).run()


class _Arbiter(Arbiter):  # type: ignore[misc]
    """Gunicorn's arbiter, which leaves the socket's path alone when it ends: the supervisor owns it."""

    def stop(self, graceful: bool = True) -> None:
        """Stop the servers."""
        self.systemd = True  # as under systemd, whose sockets outlive the server too
        super().stop(graceful)


class _Application(BaseApplication):  # type: ignore[misc]
    """What gunicorn serves, and how."""

    def __init__(self, plan: Plan, drivers: Drivers, signal: ReadySignal) -> None:
        self._plan = plan
        self._drivers = drivers
        self._signal = signal
        self._arbiter_pid = os.getpid()
        self._bridge = Bridge(self._open_hot)
        self._ready: list[Ready] = []
        super().__init__()

    def load_config(self) -> None:
        """Give gunicorn its settings; nothing is read from a file or the environment."""
        given: dict[str, Any] = {
            "bind": [f"fd://{self._plan.listen_fd}"],
            "workers": 1,
            "worker_class": "gthread",
            "threads": THREADS,
            "preload_app": True,
            "timeout": _STUCK_SECONDS,
            "graceful_timeout": DRAIN_SECONDS,
            "keepalive": KEEP_ALIVE_SECONDS,
            # The front, which alone reaches this socket, has bounded what a request may bring (`kernel/limits.py`).
            "limit_request_line": 0,
            "limit_request_fields": HEAD_BYTES_MAX // 2,
            "limit_request_field_size": HEAD_BYTES_MAX,
            "control_socket_disable": True,
            "proc_name": self._plan.name,
            "loglevel": "warning",
            "post_fork": lambda arbiter, worker: end_with(self._arbiter_pid),
            "post_worker_init": lambda worker: self._open(),
            "worker_exit": lambda arbiter, worker: self._bridge.close(),
        }
        for name, value in given.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """Return the application, with every view imported."""
        bind_console(self._drivers, self._bridge)
        return build_application(Services(drivers=self._drivers, version=version("aos"), bridge=self._bridge))

    def _open(self) -> None:
        """Bind the database's logins in the forked server, see the canaries refused, and say that it serves."""
        share = SHARES[self._plan.kind]
        configure(self._plan.app_dsn, connections_max=share.cold - COLD_MACHINE_CONNECTIONS_MAX)
        configure_machine(self._plan.machine_dsn)
        ready = self._bridge.call(self._readiness)
        self._signal.send(ready)
        log.info("the control plane serves", extra={"governed": ready.governed})

    async def _readiness(self, hot: Hot) -> Ready:
        return self._ready[0]

    @asynccontextmanager
    async def _open_hot(self) -> AsyncIterator[Hot]:
        """Open what the bridge's calls act through; the process's beat goes with it."""
        share = SHARES[self._plan.kind]
        config = DatabaseConfig(
            self._plan.app_dsn,
            self._plan.machine_dsn,
            app_connections_max=share.app,
            machine_connections_max=share.machine,
        )
        async with open_hot(config, self._drivers) as hot:
            await hot.facts.refresh()
            organizations = [row["id"] for row in await hot.database.read("load_epochs")]
            ready = await fire_canaries(hot.facts, organizations)
            log_failures(ready)
            self._ready[:] = [ready]
            beating = asyncio.create_task(beat(hot.database, self._plan, ready, pid=self._arbiter_pid), name="beat")
            try:
                yield hot
            finally:
                beating.cancel()
                await asyncio.gather(beating, return_exceptions=True)
