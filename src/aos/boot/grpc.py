"""The gRPC process: `aos.v1` on its own port, beside the data plane and apart from it.

grpcio opens its socket itself: the supervisor holds the address, so that no other program takes it while this one restarts.
"""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from typing import Final

import uvloop

from aos.boot.config import Config
from aos.boot.ending import asked_to_end
from aos.boot.garbage import settle_garbage
from aos.boot.hosts import open_hosts
from aos.boot.hot import open_models, open_services
from aos.boot.kinds import grpc_address_of
from aos.boot.mcp_servers import open_mcp
from aos.boot.paths import find_paths
from aos.boot.plan import Plan, ReadySignal
from aos.data_plane.grpc.binding import GrpcServices
from aos.data_plane.grpc.server import GrpcServer, Tls
from aos.drivers.hosts.python_tools import PythonTools
from aos.drivers.jwts import StandardJwts
from aos.kernel.errors import Misconfigured
from aos.kernel.tools import ToolTransport
from aos.operations.authorizations import Authorizations
from aos.operations.model_calls import ModelCalls
from aos.operations.orchestration import orchestration
from aos.operations.outside_tasks import OutsideTasks

DRAIN_SECONDS: Final = 20.0
"""How long calls and Work streams may take when the process is asked to end."""

log = logging.getLogger("aos.boot")


def serve(plan: Plan, config: Config, signal: ReadySignal) -> None:
    """Serve until asked to end. Raises Misconfigured where the certificate cannot be used or the port not be had."""
    tls = read_tls(config)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(plan, config, signal, tls=tls))


async def _serve(plan: Plan, config: Config, signal: ReadySignal, *, tls: Tls | None) -> None:
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
        ) as hot,
    ):
        do = orchestration(hot.database, hot.facts, hot.gate, hot.drivers, bell=hot.bell)
        work = OutsideTasks(do, hot.authenticator)
        authorizations = Authorizations(hot.database, hot.facts, hot.gate, hot.drivers)
        models = ModelCalls(hot.gate, hot.facts, hot.drivers)
        server = GrpcServer(GrpcServices(hot.gate, hot.authenticator, authorizations, models, do.runs, work))
        await server.start(grpc_address_of(config), tls)
        settle_garbage()
        signal.send(hot.ready)
        log.info("gRPC serves", extra={"governed": hot.ready.governed, "tls": tls is not None})
        await ending.wait()
        await server.stop(DRAIN_SECONDS)
        await authorizations.drain()
        await work.drain()


def read_tls(config: Config) -> Tls | None:
    """Return the certificate that gRPC serves with, None where it serves in the clear. Raises Misconfigured."""
    if config.grpc_cert is None and config.grpc_key is None and config.grpc_client_ca is None:
        return None
    if config.grpc_cert is None or config.grpc_key is None:
        raise Misconfigured("gRPC under TLS needs both AOS_GRPC_CERT and AOS_GRPC_KEY")
    authority = config.grpc_client_ca
    return Tls(
        _content(config.grpc_cert, "AOS_GRPC_CERT"),
        _content(config.grpc_key, "AOS_GRPC_KEY"),
        _content(authority, "AOS_GRPC_CLIENT_CA") if authority is not None else None,
    )


def _content(path: Path, setting: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Misconfigured(f"{setting} `{path}` cannot be read: {error.strerror}") from None
