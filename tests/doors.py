"""The data plane for tests: its real application on uvicorn, on a free port, over a world of `tests.worlds`.

with open_door(world) as door:
    key = door.api_key("finance")
    answer = door.call("payments.create", {...}, token=key)

A door never reads the epochs by itself: what must be exact must be so without any bell.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

import httpx
import uvicorn
import uvloop

from aos.data_plane.app import build_app
from aos.data_plane.binding import Services
from aos.data_plane.connections import Limits, serving_config
from aos.data_plane.front import Front
from aos.operations.a2a_pushes import A2aPushes
from aos.operations.a2a_tasks import A2aTasks
from aos.operations.access_tokens import AccessTokens
from aos.operations.authenticate import Authenticator
from aos.operations.bell import Bell
from aos.operations.held_tools import HeldNotes
from aos.operations.hook_calls import HookCalls
from aos.operations.model_calls import ModelCalls
from aos.operations.oauth import TokenEndpoint
from aos.operations.orchestration import orchestration
from aos.operations.outside_tasks import OutsideTasks
from aos.operations.own_acts import OwnActs
from aos.operations.run_facts import RunFactsCache
from aos.operations.run_feeds import RunFeeds
from aos.operations.runs import Runs
from aos.operations.signals import Signals
from aos.operations.tokens import TokenKind, new_token, token_hash
from tests.worlds import IDS, Caller, Running, World

WRITTEN = ("action", "record", "content", "approval", "idempotency", "usage_event", "ledger_pending", "budget_account")
"""Every table that an act can write to."""
START_SECONDS = 20.0
LIMITS = Limits()
NO_CONTROL_PLANE = "/nonexistent/aos-control.sock"

T = TypeVar("T")


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: this is not the main thread."""
        yield


@dataclass
class Door:
    """One data plane at work in a thread of its own."""

    world: World
    port: int
    loop: asyncio.AbstractEventLoop
    running: Running
    services: Services
    server: uvicorn.Server
    client: httpx.Client

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def caller(self) -> Caller:
        return self.running.caller

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the door's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(START_SECONDS)

    def call(self, tool: str, arguments: Any = None, *, token: str | None, **more: Any) -> httpx.Response:
        """Call a tool; `key` is the Idempotency-Key, what else is given goes into the body."""
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        if (key := more.pop("key", None)) is not None:
            headers["Idempotency-Key"] = key
        body = {"arguments": {} if arguments is None else arguments, **more}
        return self.client.post(f"/tools/{tool}/call", json=body, headers=headers)

    def post(self, path: str, content: Any, *, token: str, **headers: str) -> httpx.Response:
        """Send any body."""
        sent = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post(path, content=content, headers=sent)

    def connect(self) -> socket.socket:
        """Open a connection to speak HTTP by hand."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=START_SECONDS)

    def raw(self, *requests: bytes) -> bytes:
        """Send bytes on one connection and return all that is answered until the other side closes it."""
        with self.connect() as connection:
            connection.sendall(b"".join(requests))
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def api_key(self, agent: str, *, expires: timedelta | None = None) -> str:
        """Make an API key of an agent."""
        text = new_token(TokenKind.API_KEY, IDS.random_bytes(32), prefix="test_")
        self.world.rows(
            "insert into api_key (organization_id, id, agent_id, prefix, key_hash, expires_at)"
            " values (%s, %s, %s, 'test', %s, aos_now() + %s)",
            self.world.organization_id,
            IDS.new(),
            self.world.agents[agent].id,
            token_hash(text),
            expires,
        )
        return text

    def personal_token(self, *roles: str) -> str:
        """Make the world's person a member with roles and return a token of theirs."""
        return personal_token(self.world, *roles)

    def written(self) -> dict[str, int]:
        """Return how many rows each table holds that an act can write to."""
        return {table: self.world.rows(f"select count(*) from {table}")[0][0] for table in WRITTEN}


def personal_token(world: World, *roles: str) -> str:
    """Make the world's person a member with roles and return a token of theirs."""
    text = new_token(TokenKind.PERSONAL, IDS.random_bytes(32))
    world.rows(
        "insert into member (organization_id, id, person_id, roles) values (%s, %s, %s, %s)"
        " on conflict (organization_id, person_id) do update set roles = excluded.roles",
        world.organization_id,
        IDS.new(),
        world.person_id,
        list(roles),
    )
    world.rows(
        "insert into person_token (id, person_id, issuer_id, kind, label, token_hash, expires_at)"
        " values (%s, %s, %s, 'personal', 'test', %s, aos_now() + interval '1 hour')",
        IDS.new(),
        world.person_id,
        world.organization_id,
        token_hash(text),
    )
    return text


def revoke(world: World, statement: str, *params: Any) -> None:
    """Run a statement that ends a credential, and raise the epoch as every such change does."""
    world.rows(statement, *params)
    world.rows("update organization set epoch = epoch + 1 where id = %s", world.organization_id)


def claim_task(world: World, agent: str) -> tuple[UUID, UUID, UUID]:
    """Write a run with one task under a claim; return the ids of run and task and the claim's token."""
    run, task, claim = IDS.new(), IDS.new(), IDS.new()
    chain = json.dumps([{"kind": "person", "id": str(world.person_id), "name": "maria@larkspur.example", "version": 0}])
    org = world.organization_id
    world.rows(
        "insert into run (organization_id, id, name, state, chain, tasks_open, tasks_total, origin_key_content_id)"
        " values (%s, %s, 'month-end', 'running', %s, 1, 1, %s)",
        org,
        run,
        chain,
        IDS.new(),
    )
    world.rows(
        "insert into task (organization_id, id, run_id, name, label, kind, agent_id, chain, spec, state, attempt,"
        " claim_token, started_at) values (%s, %s, %s, 'pay', 'pay', 'agent', %s, %s, '{}', 'running', 1, %s, aos_now())",
        org,
        task,
        run,
        world.agents[agent].id,
        chain,
        claim,
    )
    return run, task, claim


@contextmanager
def open_door(
    world: World,
    caller: Caller | None = None,
    *,
    control_plane: str = NO_CONTROL_PLANE,
    listens: bool = False,
    sweep_seconds: float = 60.0,
    limits: Limits = LIMITS,
    addresses: tuple[str, ...] = (),
) -> Iterator[Door]:
    """Serve the data plane on a free port until the end of the block, known to clients by its `addresses`, else by its own.

    `listens` to the bell; `sweep_seconds` is how soon a wait looks by itself: by default not before the test has failed.
    """
    ready: threading.Event = threading.Event()
    opened: list[Door] = []
    failed: list[BaseException] = []

    def work() -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
                loop.run(
                    _serve(
                        world,
                        caller,
                        opened,
                        ready,
                        control_plane=control_plane,
                        listens=listens,
                        sweep_seconds=sweep_seconds,
                        limits=limits,
                        addresses=addresses,
                    )
                )
        except BaseException as error:  # shown in the test's own thread
            failed.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=work, name="door")
    thread.start()
    try:
        assert ready.wait(START_SECONDS), "the door does not open"
        if failed:
            raise failed[0]
        with httpx.Client(base_url=opened[0].url, timeout=START_SECONDS) as client:
            opened[0].client = client
            yield opened[0]
    finally:
        if opened:
            opened[0].loop.call_soon_threadsafe(_stop.pop(opened[0].port).set)
        thread.join()
    if failed:
        raise failed[0]


def until(happened: Callable[[], bool]) -> None:
    """Return once something has happened in another thread; fail where it does not within some seconds."""
    one, other = socket.socketpair()
    with one, other:
        one.settimeout(0.005)
        for _ in range(4_000):
            if happened():
                return
            with contextlib.suppress(TimeoutError):
                one.recv(1)
    raise AssertionError("it did not happen in time")


_stop: dict[int, asyncio.Event] = {}


async def _serve(
    world: World,
    caller: Caller | None,
    opened: list[Door],
    ready: threading.Event,
    *,
    control_plane: str,
    listens: bool,
    sweep_seconds: float,
    limits: Limits,
    addresses: tuple[str, ...],
) -> None:
    async with world.running(caller) as running, _bell(running, listens=listens) as bell:
        front = Front(control_plane, bell, sweep_seconds=sweep_seconds)
        listening = socket.create_server(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        tokens = AccessTokens(
            running.database, running.facts, running.drivers, addresses or (f"http://127.0.0.1:{port}",)
        )
        authenticator = Authenticator(running.database, running.facts, tokens)
        acts = OwnActs(running.database, running.facts, running.gate, running.drivers)
        runs = Runs(running.database, running.facts, acts, running.drivers)
        known = RunFactsCache(running.database, running.facts, running.drivers)
        signals = Signals(running.database, running.facts, known, acts, drivers=running.drivers)
        hooks = HookCalls(running.database, running.facts, runs, running.drivers, signals=signals)
        feeds = RunFeeds(running.database)
        models = ModelCalls(running.gate, running.facts, running.drivers)
        oauth = TokenEndpoint(running.database, tokens, authenticator)
        do = orchestration(running.database, running.facts, running.gate, running.drivers, bell=bell)
        work = OutsideTasks(do, authenticator)
        services = Services(
            running.gate,
            authenticator,
            running.facts,
            bell,
            feeds,
            front,
            hooks,
            models,
            oauth,
            a2a=A2aTasks(running.database, running.facts, runs, running.drivers, signals=signals),
            a2a_pushes=A2aPushes(running.database, running.facts, running.drivers),
            upstream=running.upstream,
            held=HeldNotes(running.database, running.drivers.ticker.seconds),
            work=work,
        )
        server = _Server(serving_config(build_app(services), limits=limits, drain_seconds=2))
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        while not server.started and not serving.done():
            await asyncio.sleep(0)
        _stop[port] = asyncio.Event()
        unopened: Any = None
        opened.append(Door(world, port, asyncio.get_running_loop(), running, services, server, unopened))
        ready.set()
        await _stop[port].wait()
        server.should_exit = True
        feeds.end()
        front.end_waits()
        work.end_waits()
        await serving
        await work.drain()
        await feeds.close()
        await front.close()


@asynccontextmanager
async def _bell(running: Running, *, listens: bool) -> AsyncIterator[Bell]:
    bell = Bell(running.database)
    if not listens:
        yield bell
        return
    listens_now = asyncio.Event()
    bell.on("aos_epoch", lambda _: listens_now.set())  # whoever waits as it begins to listen is woken by that
    bell.start()
    await listens_now.wait()
    try:
        yield bell
    finally:
        await bell.stop()
