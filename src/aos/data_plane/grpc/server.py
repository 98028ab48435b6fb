"""The gRPC server of `aos.v1`: its calls, health and reflection, on one address, in the clear or under TLS.

Messages are bounded in size and calls in number; past either the server answers RESOURCE_EXHAUSTED by itself. A call whose
deadline passes or whose caller goes away is cancelled; an act that was admitted is concluded all the same. Ending first
tells every Work stream, then waits for what is being answered.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from aos.data_plane.grpc import aos_pb2
from aos.data_plane.grpc.binding import GrpcServices
from aos.data_plane.grpc.calls import authorize, authorize_batch, call_tool, start_run
from aos.data_plane.grpc.completions import complete
from aos.data_plane.grpc.statuses import Context, guarded, guarded_stream
from aos.data_plane.grpc.work import WorkStreams
from aos.kernel.errors import Misconfigured
from aos.kernel.limits import GRPC_CALLS_MAX, GRPC_MESSAGE_BYTES_MAX

SERVICE: Final = "aos.v1.Aos"
_MESSAGES: Final = aos_pb2.DESCRIPTOR.services_by_name["Aos"]
KEEPALIVE_MS: Final = 20_000
"""After how long without a word the other side is asked whether it lives."""
KEEPALIVE_TIMEOUT_MS: Final = 10_000
PING_MS_MIN: Final = 5_000
"""How often a client may ask that without being taken for an attacker."""

Unary: TypeAlias = Callable[[GrpcServices, Any, Context], Awaitable[Any]]
Streaming: TypeAlias = Callable[[GrpcServices, Any, Context], AsyncIterator[Any]]
_UNARY: Final[Mapping[str, Unary]] = {
    "Authorize": authorize,
    "AuthorizeBatch": authorize_batch,
    "CallTool": call_tool,
    "StartRun": start_run,
}


@dataclass(frozen=True, slots=True)
class Tls:
    """The server's certificate chain and key, PEM; `client_ca` makes every client show a certificate that it signed."""

    certificate: bytes
    key: bytes = field(repr=False)
    client_ca: bytes | None = None


class GrpcServer:
    """One server of `aos.v1`."""

    def __init__(self, services: GrpcServices, *, calls_max: int = GRPC_CALLS_MAX) -> None:
        self._services = services
        self._streams = WorkStreams(services, calls_max=calls_max)
        self._health = health.aio.HealthServicer()
        self._server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", GRPC_MESSAGE_BYTES_MAX),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 1),
                ("grpc.keepalive_time_ms", KEEPALIVE_MS),
                ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
                ("grpc.keepalive_permit_without_calls", 1),
                ("grpc.http2.min_recv_ping_interval_without_data_ms", PING_MS_MIN),
            ],
            maximum_concurrent_rpcs=calls_max,
        )
        self._server.add_generic_rpc_handlers((self._handlers(),))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection((SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server)

    async def start(self, address: str, tls: Tls | None = None) -> int:
        """Listen on `host:port` and serve; return the port. Raises Misconfigured where the address cannot be had."""
        try:
            if tls is None:
                port = self._server.add_insecure_port(address)
            else:
                port = self._server.add_secure_port(address, _credentials(tls))
        except (RuntimeError, ValueError) as error:
            detail = f"gRPC cannot listen on `{address}`: set AOS_GRPC_PORT to another port, and look at AOS_GRPC_CERT"
            raise Misconfigured(detail) from error
        await self._server.start()
        await self._say(health_pb2.HealthCheckResponse.SERVING)
        return port

    async def stop(self, grace_seconds: float) -> None:
        """Take no more calls, tell the Work streams, and wait for what is being answered."""
        await self._say(health_pb2.HealthCheckResponse.NOT_SERVING)
        self._streams.end()
        await self._server.stop(grace_seconds)

    async def _say(self, status: int) -> None:
        for name in ("", SERVICE):
            await self._health.set(name, status)

    def _handlers(self) -> grpc.GenericRpcHandler:
        handlers = {name: self._unary(name, answer) for name, answer in _UNARY.items()}
        request, response = _types("Complete")
        handlers["Complete"] = grpc.unary_stream_rpc_method_handler(
            self._streamed(complete), request.FromString, response.SerializeToString
        )
        request, response = _types("Work")
        handlers["Work"] = grpc.stream_stream_rpc_method_handler(
            self._streamed(self._streams.work), request.FromString, response.SerializeToString
        )
        return grpc.method_handlers_generic_handler(SERVICE, handlers)

    def _unary(self, name: str, answer: Unary) -> grpc.RpcMethodHandler[Any, Any]:
        async def call(request: Any, context: Context) -> Any:
            return await guarded(context, lambda: answer(self._services, request, context))

        request, response = _types(name)
        return grpc.unary_unary_rpc_method_handler(call, request.FromString, response.SerializeToString)

    def _streamed(self, answer: Streaming) -> Any:
        async def call(request: Any, context: Context) -> AsyncIterator[Any]:
            async for message in guarded_stream(context, answer(self._services, request, context)):
                yield message

        return call


def _types(name: str) -> tuple[Any, Any]:
    """Return the classes of a call's request and response."""
    method = _MESSAGES.methods_by_name[name]
    return getattr(aos_pb2, method.input_type.name), getattr(aos_pb2, method.output_type.name)


def _credentials(tls: Tls) -> grpc.ServerCredentials:
    return grpc.ssl_server_credentials(
        [(tls.key, tls.certificate)],
        root_certificates=tls.client_ca,
        require_client_auth=tls.client_ca is not None,
    )
