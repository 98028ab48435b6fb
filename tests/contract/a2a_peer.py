"""The official A2A client against a data plane of `tests.doors`, in both bindings, and by hand; with a worker beside it.

with serving(world) as served:
    task = served.speak("finance", lambda client: send(client, text("hello")))
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from uuid import UUID, uuid4

import httpx
import pytest
import uvloop
from a2a.client import Client, ClientConfig, ClientFactory
from a2a.client.card_resolver import A2ACardResolver
from a2a.types import AgentCard, Message, Part, Role, SendMessageConfiguration, SendMessageRequest, Task, TaskState
from a2a.utils.constants import TransportProtocol
from google.protobuf.json_format import ParseDict

from aos.kernel.agents import Agent, Runtime
from aos.kernel.people import Actor
from aos.kernel.people import Role as PersonRole
from aos.operations.approvals import Answer, Approvals
from tests.doors import Door, open_door
from tests.working import Working, working
from tests.worlds import Caller, World, agent

RPC, REST = TransportProtocol.JSONRPC, TransportProtocol.HTTP_JSON
BOTH = pytest.mark.parametrize("binding", [RPC, REST], ids=["jsonrpc", "rest"])
SECONDS = 30
VERSION = {"A2A-Version": "1.0"}

T = TypeVar("T")


def run_agent(name: str, *tools: str, **more: Any) -> Agent:
    """Return an agent whose function stands in `tests.run_agents`."""
    return replace(agent(name, *tools, **more), runtime=Runtime("python", f"tests.run_agents:{name}", inline=True))


@dataclass
class Served:
    """A data plane and a worker on one world."""

    world: World
    door: Door
    worker: WorkerThread
    keys: dict[str, str] = field(default_factory=dict)

    def key(self, caller: str) -> str:
        """Return an API key of an agent, the same each time."""
        if caller not in self.keys:
            self.keys[caller] = self.door.api_key(caller)
        return self.keys[caller]

    def speak(
        self,
        agent: str,
        work: Callable[[Client], Awaitable[T]],
        *,
        caller: str = "caller",
        binding: TransportProtocol = RPC,
        door: Door | None = None,
        **config: Any,
    ) -> T:
        """Run `work` with a client of an agent, as the agent `caller`."""

        async def main() -> T:
            async with connected(door or self.door, agent, self.key(caller), binding=binding, **config) as client:
                return await work(client)

        return asyncio.run(main())

    def rpc(
        self, agent: str, method: str, params: Any = None, *, caller: str = "caller", **more: Any
    ) -> httpx.Response:
        """Send one JSON-RPC request by hand."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}}
        return self.send("POST", f"/a2a/{agent}", json=body, caller=caller, **more)

    def send(self, method: str, path: str, *, caller: str | None = "caller", **more: Any) -> httpx.Response:
        """Send one request by hand."""
        headers = {**VERSION, **more.pop("headers", {})}
        if caller is not None:
            headers["Authorization"] = f"Bearer {self.key(caller)}"
        return self.door.client.request(method, path, headers=headers, **more)

    def answer(self, approval: str, said: Answer = Answer.APPROVE, comment: str = "") -> None:
        """Answer an approval as a person does."""
        actor = Actor(
            self.world.organization_id,
            self.world.person_id,
            "maria@larkspur.example",
            frozenset({PersonRole.APPROVER}),
        )
        running = self.door.running
        does = Approvals(running.database, running.facts, running.drivers)
        self.door.run(does.answer_approval(actor, UUID(approval), answer=said, comment=comment))


@dataclass
class WorkerThread:
    """A worker in a thread of its own."""

    loop: asyncio.AbstractEventLoop
    aos: Working
    stop: asyncio.Event

    def run(self, work: Any) -> Any:
        """Run a coroutine on the worker's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(SECONDS)


@contextmanager
def worker_beside(world: World, caller: Caller | None = None) -> Iterator[WorkerThread]:
    """Run a worker in another thread until the end of the block."""
    ready = threading.Event()
    opened: list[WorkerThread] = []
    failed: list[BaseException] = []

    async def main() -> None:
        async with working(world, caller) as aos:
            opened.append(WorkerThread(asyncio.get_running_loop(), aos, asyncio.Event()))
            ready.set()
            await opened[0].stop.wait()

    def work() -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(main())
        except BaseException as error:  # shown in the test's own thread
            failed.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=work, name="worker")
    thread.start()
    try:
        assert ready.wait(SECONDS)
        if failed:
            raise failed[0]
        yield opened[0]
    finally:
        if opened:
            opened[0].loop.call_soon_threadsafe(opened[0].stop.set)
        thread.join()
    if failed:
        raise failed[0]


@contextmanager
def serving(world: World, caller: Caller | None = None) -> Iterator[Served]:
    """Serve a world's agents."""
    with open_door(world, listens=True) as door, worker_beside(world, caller) as worker:
        yield Served(world, door, worker)


@asynccontextmanager
async def connected(
    door: Door, agent: str, token: str, *, binding: TransportProtocol = RPC, **config: Any
) -> AsyncIterator[Client]:
    """Connect the official client by an agent's card."""
    headers = {"Authorization": f"Bearer {token}", **VERSION}
    async with httpx.AsyncClient(headers=headers, timeout=SECONDS) as http:
        card = await A2ACardResolver(http, f"{door.url}/a2a/{agent}").get_agent_card()
        factory = ClientFactory(ClientConfig(httpx_client=http, supported_protocol_bindings=[binding], **config))
        yield factory.create(card)


async def card_of(door: Door, agent: str, token: str | None) -> AgentCard:
    """Return an agent's card as the official client reads it."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(headers=headers, timeout=SECONDS) as http:
        return await A2ACardResolver(http, f"{door.url}/a2a/{agent}").get_agent_card()


def text(said: str, **more: Any) -> Message:
    """Return a message of one text."""
    return Message(
        message_id=more.pop("message_id", str(uuid4())), role=Role.ROLE_USER, parts=[Part(text=said)], **more
    )


def data(value: Any, **more: Any) -> Message:
    """Return a message of one value."""
    part = ParseDict({"data": value}, Part())
    return Message(message_id=more.pop("message_id", str(uuid4())), role=Role.ROLE_USER, parts=[part], **more)


async def send(client: Client, message: Message, **configuration: Any) -> Task:
    """Send a message without a stream and return the task."""
    request = SendMessageRequest(message=message, configuration=SendMessageConfiguration(**configuration))
    found = await client._transport.send_message(request)  # type: ignore[attr-defined]
    return found.task


def state(task: Task) -> str:
    """Return a task's state, in short."""
    return TaskState.Name(task.status.state).removeprefix("TASK_STATE_")
