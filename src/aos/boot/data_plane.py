"""The data plane's process: the doors' application on uvicorn, on the socket that the supervisor opened."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import socket
from collections.abc import Generator
from typing import Final

import uvicorn
import uvloop

from aos.boot.config import Config
from aos.boot.ending import asked_to_end
from aos.boot.garbage import settle_garbage
from aos.boot.hosts import open_hosts
from aos.boot.hot import open_models, open_services
from aos.boot.mcp_servers import open_mcp
from aos.boot.measured import measure
from aos.boot.paths import find_paths
from aos.boot.plan import Plan, Ready, ReadySignal
from aos.data_plane.app import App, build_app
from aos.data_plane.binding import Services
from aos.data_plane.connections import Limits, serving_config
from aos.data_plane.front import Front
from aos.drivers.card_signatures import StandardCards
from aos.drivers.hosts.python_tools import PythonTools
from aos.drivers.jwts import StandardJwts
from aos.kernel.limits import CONNECTIONS_MAX
from aos.kernel.tools import ToolTransport
from aos.operations.a2a_pushes import A2aPushes
from aos.operations.a2a_tasks import A2aTasks
from aos.operations.hook_calls import HookCalls
from aos.operations.model_calls import ModelCalls
from aos.operations.oauth import TokenEndpoint
from aos.operations.orchestration import orchestration
from aos.operations.outside_tasks import OutsideTasks
from aos.operations.own_acts import OwnActs
from aos.operations.run_feeds import RunFeeds
from aos.operations.runs import Runs
from aos.operations.signals import Signals

DRAIN_SECONDS: Final = 60
"""How long requests that are being answered may take when the process is asked to end."""
OWN_FILES: Final = 256
"""Open files that are no client's: the database's connections, hosts, logs."""

log = logging.getLogger("aos.boot")


def serve(plan: Plan, config: Config, signal: ReadySignal) -> None:
    """Serve until asked to end."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(plan, config, signal))


async def _serve(plan: Plan, config: Config, signal: ReadySignal) -> None:
    paths = find_paths(config, os.environ)
    ending = asked_to_end()
    async with (
        open_hosts(config, paths.hosts_socket(plan.name), os.environ, agent_hosts=0) as hosts,
        open_models(plan) as servers,
        open_mcp(config, servers.transport, os.environ) as mcp,
        open_services(
            plan,
            paths.key_file,
            tools={ToolTransport.PYTHON: PythonTools(hosts)},
            models=servers,
            jwts=StandardJwts(),
            mcp=mcp,
            cards=StandardCards(),
        ) as hot,
    ):
        front = Front(str(paths.control_socket), hot.bell)
        acts = OwnActs(hot.database, hot.facts, hot.gate, hot.drivers)
        runs = Runs(hot.database, hot.facts, acts, hot.drivers)
        signals = Signals(hot.database, hot.facts, hot.runs, acts, drivers=hot.drivers)
        hooks = HookCalls(hot.database, hot.facts, runs, hot.drivers, signals=signals)
        feeds = RunFeeds(hot.database)
        models = ModelCalls(hot.gate, hot.facts, hot.drivers)
        oauth = TokenEndpoint(hot.database, hot.tokens, hot.authenticator)
        work = OutsideTasks(
            orchestration(hot.database, hot.facts, hot.gate, hot.drivers, bell=hot.bell), hot.authenticator
        )
        doors = build_app(
            Services(
                hot.gate,
                hot.authenticator,
                hot.facts,
                hot.bell,
                feeds,
                front,
                hooks,
                models,
                oauth,
                a2a=A2aTasks(hot.database, hot.facts, runs, hot.drivers, signals=signals),
                a2a_pushes=A2aPushes(hot.database, hot.facts, hot.drivers),
                upstream=mcp,
                held=hot.held,
                work=work,
            )
        )
        server = _Server(measure(doors, paths.metrics), signal, hot.ready)
        settle_garbage()
        listening = socket.socket(fileno=plan.listen_fd)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        await asyncio.wait([serving, asyncio.create_task(ending.wait())], return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        feeds.end()
        front.end_waits()
        work.end_waits()
        await serving
        await work.drain()
        await feeds.close()
        await front.close()


def _connections_max() -> int:
    """Return how many connections there may be, after allowing this process as many open files as they need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * CONNECTIONS_MAX + OWN_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    fit = CONNECTIONS_MAX if soft == resource.RLIM_INFINITY else (soft - OWN_FILES) // 2
    return max(1, min(CONNECTIONS_MAX, fit))


class _Server(uvicorn.Server):
    """Uvicorn without signal handlers of its own; it says when it serves."""

    def __init__(self, app: App, signal: ReadySignal, ready: Ready) -> None:
        super().__init__(
            serving_config(app, limits=Limits(connections_max=_connections_max()), drain_seconds=DRAIN_SECONDS)
        )
        self._signal = signal
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        await super().startup(sockets)
        self._signal.send(self._ready)
        log.info("the data plane serves", extra={"governed": self._ready.governed})

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals alone."""
        yield
