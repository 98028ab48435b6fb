"""A gRPC server of the real code over a world of `tests.worlds`, and its calls by official grpcio channels.

async with working(world, started=True) as aos, serving(aos) as peer:
    answer = await peer.call("CallTool", aos_pb2.CallToolRequest(...), key)
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from aos.data_plane.grpc import aos_pb2
from aos.data_plane.grpc.binding import GrpcServices
from aos.data_plane.grpc.server import GrpcServer, Tls
from aos.kernel.agents import Agent, Runtime
from aos.kernel.limits import GRPC_CALLS_MAX
from aos.kernel.workflow.spec import TaskSpec, WorkflowSpec
from aos.operations.authenticate import Authenticator
from aos.operations.authorizations import Authorizations
from aos.operations.model_calls import ModelCalls
from aos.operations.orchestration import orchestration
from aos.operations.outside_tasks import OutsideTasks
from aos.operations.tokens import TokenKind, new_token, token_hash
from tests.working import Working
from tests.worlds import IDS, World, agent

SECONDS = 20.0
SERVICE = "/aos.v1.Aos/"


def outside(name: str, *tools: str, slots: int | None = None, **more: Any) -> Agent:
    """Return an agent that fetches its own tasks."""
    options = {} if slots is None else {"slots": slots}
    return replace(agent(name, *tools, **more), runtime=Runtime("work", options=options))


def one_task(agent_name: str, **more: Any) -> WorkflowSpec:
    """Return a workflow `job` of one task of an agent."""
    return WorkflowSpec("job", tasks=(TaskSpec("work", agent_name, **more),))


def api_key(world: World, name: str, *, expires: timedelta | None = None) -> str:
    """Make an API key of an agent."""
    text = new_token(TokenKind.API_KEY, IDS.random_bytes(32), prefix="test_")
    world.rows(
        "insert into api_key (organization_id, id, agent_id, prefix, key_hash, expires_at)"
        " values (%s, %s, %s, 'test', %s, aos_now() + %s)",
        world.organization_id, IDS.new(), world.agents[name].id, token_hash(text), expires,
    )  # fmt: skip
    return text


@dataclass
class Refusal:
    """What an error of a call says."""

    code: grpc.StatusCode
    message: str
    info: dict[str, str]
    fields: list[str]
    retry_seconds: int | None

    @property
    def slug(self) -> str:
        """Return the problem's slug."""
        return self.info["slug"]


@dataclass
class Peer:
    """A channel to one server."""

    port: int
    channel: grpc.aio.Channel
    server: GrpcServer

    def unary(self, name: str) -> Any:
        """Return a unary call's multicallable."""
        request, response = types(name)
        return self.channel.unary_unary(
            f"{SERVICE}{name}", request_serializer=request.SerializeToString, response_deserializer=response.FromString
        )

    async def call(
        self, name: str, request: Any, token: str | None, *, timeout: float = SECONDS, **headers: str
    ) -> Any:
        """Make a unary call."""
        return await self.unary(name)(request, metadata=metadata(token, **headers), timeout=timeout)

    async def refused(self, name: str, request: Any, token: str | None, **more: Any) -> Refusal:
        """Return how a unary call is refused."""
        try:
            answer = await self.call(name, request, token, **more)
        except grpc.aio.AioRpcError as error:
            return refusal(error)
        raise AssertionError(f"it was answered: {answer}")

    def complete(self, request: Any, token: str, *, timeout: float = SECONDS) -> Any:
        """Begin a Complete."""
        request_type, response = types("Complete")
        call = self.channel.unary_stream(
            f"{SERVICE}Complete",
            request_serializer=request_type.SerializeToString,
            response_deserializer=response.FromString,
        )
        return call(request, metadata=metadata(token), timeout=timeout)

    def work(self, token: str | None) -> Stream:
        """Open a Work stream."""
        request, response = types("Work")
        call = self.channel.stream_stream(
            f"{SERVICE}Work", request_serializer=request.SerializeToString, response_deserializer=response.FromString
        )
        return Stream(call(metadata=metadata(token)))


@dataclass
class Stream:
    """One Work stream, from the agent's side."""

    call: Any

    async def send(self, **frame: Any) -> None:
        """Send one frame."""
        await self.call.write(aos_pb2.WorkRequest(**frame))

    async def next(self, kind: str) -> Any:
        """Return the next message, which must be of this kind."""
        async with asyncio.timeout(SECONDS):
            message = await self.call.read()
        assert message is not grpc.aio.EOF, await self.call.code()
        assert message.WhichOneof("frame") == kind, message
        return getattr(message, kind)

    async def hello(self, slots: int = 0) -> Any:
        """Say Hello and return the welcome."""
        await self.send(hello=aos_pb2.Hello(slots=slots, protocol=1))
        return await self.next("welcome")

    async def tool(self, start: Any, name: str, arguments: Any, **more: Any) -> Any:
        """Call a tool for a task and return the result."""
        asked = aos_pb2.Call(
            token=start.token, kind="tool", name=name, arguments=json.dumps(arguments).encode(), **more
        )
        await self.send(call=asked)
        return await self.next("result")

    async def returned(self, start: Any, value: Any = None) -> Any:
        """Answer a task and return what came of that."""
        ended = aos_pb2.Ended(token=start.token, outcome=aos_pb2.End.RETURNED, value=json.dumps(value).encode())
        await self.send(ended=ended)
        return await self.next("closed")

    async def ended_with(self) -> Refusal:
        """Read to the end and return how the stream was refused."""
        try:
            async with asyncio.timeout(SECONDS):
                while await self.call.read() is not grpc.aio.EOF:
                    pass
                code = await self.call.code()
        except grpc.aio.AioRpcError as error:
            return refusal(error)
        raise AssertionError(f"it ended with {code}")

    async def close(self) -> None:
        """Say that nothing more comes and wait for the end."""
        await self.call.done_writing()
        async with asyncio.timeout(SECONDS):
            while await self.call.read() is not grpc.aio.EOF:
                pass


def types(name: str) -> tuple[Any, Any]:
    """Return the classes of a call's request and response."""
    method = aos_pb2.DESCRIPTOR.services_by_name["Aos"].methods_by_name[name]
    return getattr(aos_pb2, method.input_type.name), getattr(aos_pb2, method.output_type.name)


def metadata(token: str | None, **headers: str) -> list[tuple[str, str]]:
    """Return a call's metadata."""
    found = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return found if token is None else [("authorization", f"Bearer {token}"), *found]


def refusal(error: grpc.aio.AioRpcError) -> Refusal:
    """Return what an error says, its details opened by grpcio-status."""
    info: dict[str, str] = {}
    fields: list[str] = []
    retry: int | None = None
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    for detail in status.details if status is not None else ():
        for kind in (error_details_pb2.ErrorInfo, error_details_pb2.BadRequest, error_details_pb2.RetryInfo):
            found = kind()
            if not detail.Unpack(found):
                continue
            if isinstance(found, error_details_pb2.ErrorInfo):
                assert found.domain == "aos"
                info = {"reason": found.reason, **found.metadata}
            elif isinstance(found, error_details_pb2.BadRequest):
                fields = [each.field for each in found.field_violations]
            else:
                retry = found.retry_delay.seconds
    return Refusal(error.code(), error.details() or "", info, fields, retry)


@asynccontextmanager
async def serving(
    aos: Working,
    *,
    tls: Tls | None = None,
    credentials: grpc.ChannelCredentials | None = None,
    options: Sequence[tuple[str, Any]] = (),
    calls_max: int = GRPC_CALLS_MAX,
) -> AsyncIterator[Peer]:
    """Serve gRPC beside the world's worker; the epochs are kept fresh."""
    running = aos.running
    do = orchestration(running.database, running.facts, running.gate, running.drivers, bell=aos.bell)
    authenticator = Authenticator(running.database, running.facts)
    services = GrpcServices(
        running.gate,
        authenticator,
        Authorizations(running.database, running.facts, running.gate, running.drivers),
        ModelCalls(running.gate, running.facts, running.drivers),
        do.runs,
        OutsideTasks(do, authenticator),
    )
    server = GrpcServer(services, calls_max=calls_max)
    port = await server.start("127.0.0.1:0", tls)
    address = f"localhost:{port}" if tls is not None else f"127.0.0.1:{port}"
    if credentials is not None:
        channel = grpc.aio.secure_channel(address, credentials, options=list(options))
    else:
        channel = grpc.aio.insecure_channel(address, options=list(options))
    try:
        yield Peer(port, channel, server)
    finally:
        with contextlib.suppress(asyncio.CancelledError):
            await channel.close()
        await server.stop(1.0)
        await services.authorizations.drain()
        await services.work.drain()
