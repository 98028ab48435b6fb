"""Every protocol of agents through two server processes, of which the one that was spoken to is killed with SIGKILL.

What was begun at one is gone on with at the other, by the official clients; nothing is lost and nothing is done twice. All
parts are played at once, each by an agent of its own, and share the one kill: a part plays up to it, waits, and goes on. A2A has
a file of its own.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from uuid import UUID

import grpc
import httpx
import httpx2
import pytest
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc.jwk import OKPKey
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError, UrlElicitationRequiredError
from mcp_types import CallToolResult, ElicitResult, InputRequiredResult

from aos.data_plane.grpc import aos_pb2
from aos.drivers.key_file import KeyFile
from tests.contract.grpc_peer import SECONDS, SERVICE, Stream, api_key, metadata, one_task, outside, types
from tests.contract.mcp_peer import ASK, HANDSHAKE, LARGE, MODES, PAY, STATELESS
from tests.contract.oauth_peer import holder
from tests.contract.outside_peer import tools_of
from tests.databases import Server, cloned
from tests.e2e.twins import Bank, Twin, Twins, opened_bank, opened_twins
from tests.folders import new_folder
from tests.working import Working, add_workflow, working
from tests.worlds import World, agent, make_world

PAID = {"paid": PAY["amount"]}
PAID_LARGE = {"paid": LARGE["amount"]}
PLAY_SECONDS = 120.0


@dataclass
class Part:
    """One agent's part: it speaks to the first process until that is killed, and to the other from then on."""

    name: str
    aos: Working
    twins: Twins
    bank: Bank
    came: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when this part has come so far that its server may be killed."""
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when its server has been."""

    @property
    def world(self) -> World:
        return self.aos.world

    @property
    def iban(self) -> str:
        """Return the account that this part alone pays to."""
        return f"DE{self.name}"

    @property
    def paid(self) -> list[tuple[str, str]]:
        """Return keys and amounts of what the bank was asked to pay."""
        return self.bank.paid_to(self.iban)

    def pay(self, arguments: dict[str, str]) -> dict[str, str]:
        """Return a payment's arguments, to this part's account."""
        return {**arguments, "iban": self.iban}

    def key(self) -> str:
        """Make an API key of the agent."""
        return api_key(self.world, self.name)

    def approval(self) -> UUID:
        """Return the one approval that waits for this agent's call."""
        agent_id = self.world.agents[self.name].id
        ((found,),) = self.world.rows("select id from approval where status = 'pending' and agent_id = %s", agent_id)
        return UUID(str(found))

    async def killed(self) -> None:
        """Wait until the first process is killed."""
        self.came.set()
        await self.gone.wait()


Play = Callable[[Part], Awaitable[None]]


@dataclass(frozen=True)
class Written:
    """A part as it is written, and whether its agent fetches tasks."""

    play: Play
    fetches: bool


PARTS: dict[str, Written] = {}


def part(play: Any, *, fetches: bool = False) -> Any:
    """Make a test of what an agent does before and after the kill."""
    PARTS[f"{len(PARTS):02}"] = Written(play, fetches)
    name = f"{len(PARTS) - 1:02}"

    def test(played: dict[str, BaseException | None]) -> None:
        if (error := played[name]) is not None:
            raise error

    test.__name__, test.__doc__ = play.__name__, play.__doc__
    return test


def part_of_both(play: Any) -> Any:
    """Make a test of what an agent does in both revisions of MCP."""
    tests = {revision: part(_named(play, revision)) for revision in (STATELESS, HANDSHAKE)}

    @pytest.mark.parametrize("revision", tests)
    def test(played: dict[str, BaseException | None], revision: str) -> None:
        tests[revision](played)

    test.__name__, test.__doc__ = play.__name__, play.__doc__
    return test


def _named(play: Any, revision: str) -> Any:
    made: Any = partial(play, revision=revision)
    made.__name__ = play.__name__
    return made


@pytest.fixture(scope="module")
def played(postgres_server: Server) -> Iterator[dict[str, BaseException | None]]:
    """Play all parts, and kill when each has come so far or failed; return how each ended."""
    keys = new_folder("keys") / "kek"
    for database in cloned(postgres_server):
        with opened_bank() as bank:
            agents = [
                (outside if written.fetches else agent)(name, "payments.create") for name, written in PARTS.items()
            ]
            world = make_world(
                database, agents=agents, tools=tools_of({"payments.create": bank.tool()}),
                rules=[replace(ASK, agents=())], hosts=["127.0.0.1"], keys=KeyFile(keys),
            )  # fmt: skip
            for name in PARTS:
                add_workflow(world, replace(one_task(name, input={"n": "${input.n}"}), name=name))
            with opened_twins(world, keys=keys) as twins:
                yield asyncio.run(_play(world, twins, bank))


async def _play(world: World, twins: Twins, bank: Bank) -> dict[str, BaseException | None]:
    async with asyncio.timeout(PLAY_SECONDS), working(world) as aos:
        parts = {name: Part(name, aos, twins, bank) for name in PARTS}
        playing = {name: asyncio.ensure_future(PARTS[name].play(each)) for name, each in parts.items()}
        for name, each in parts.items():
            came = asyncio.create_task(each.came.wait())
            await asyncio.wait([came, playing[name]], return_when=asyncio.FIRST_COMPLETED)
            came.cancel()
        await asyncio.to_thread(twins.kill_the_first)
        for each in parts.values():
            each.gone.set()
        ended = await asyncio.gather(*playing.values(), return_exceptions=True)
        await aos.check_books()
    return dict(zip(parts, ended, strict=True))


# --- MCP


@dataclass
class Road:
    """Where the next request of a client goes."""

    port: int


@asynccontextmanager
async def mcp_client(to: Twin, key: str, revision: str, **more: Any) -> AsyncIterator[tuple[Client, Road]]:
    """Connect the official client to one process; what it sends later goes where its road leads then."""
    road = Road(to.port)

    async def turn(request: httpx2.Request) -> None:
        request.url = request.url.copy_with(port=road.port)

    headers = {"Authorization": f"Bearer {key}"}
    async with httpx2.AsyncClient(headers=headers, timeout=SECONDS, event_hooks={"request": [turn]}) as http:
        transport = streamable_http_client(f"{to.url}/mcp", http_client=http)
        async with Client(transport, mode=MODES[revision], read_timeout_seconds=SECONDS, **more) as client:
            assert client.protocol_version == revision
            yield client, road


async def call(client: Client, arguments: Any, *, key: str | None = None) -> CallToolResult:
    """Pay."""
    meta: Any = {"aos/idempotency-key": key} if key else None
    return await client.call_tool("payments_create", arguments, meta=meta)


async def looks(context: Any, params: Any) -> ElicitResult:
    """Open the page that is shown: what is answered there is another matter."""
    return ElicitResult(action="accept")


@part_of_both
async def test_an_mcp_client_goes_on_at_the_other_process(a: Part, revision: str) -> None:
    first, other = a.twins.doors
    async with mcp_client(first, a.key(), revision) as (client, road):
        before = await call(client, a.pay(PAY), key="k")
        listed = await client.list_tools()
        await a.killed()
        road.port = other.port
        again = await call(client, a.pay(PAY), key="k")
        assert (before.is_error, again.structured_content) == (False, before.structured_content)
        assert (again.meta or {})["aos/action-id"] == (before.meta or {})["aos/action-id"]
        assert (await client.list_tools()).tools == listed.tools
    assert len(a.paid) == 1


@part_of_both
async def test_an_mcp_call_that_asks_a_person_at_one_process_is_done_once_at_the_other(a: Part, revision: str) -> None:
    first, other = a.twins.doors
    async with mcp_client(first, a.key(), revision) as (client, road):
        assert (await call(client, a.pay(LARGE))).is_error
        await a.killed()
        road.port = other.port
        waits = await call(client, a.pay(LARGE))
        assert waits.structured_content["approval_id"] == str(a.approval())
        await a.aos.answer(a.approval())
        done = await call(client, a.pay(LARGE))
        assert (done.is_error, done.structured_content) == (False, PAID_LARGE)
    assert len(a.paid) == 1


@part
async def test_a_page_that_one_process_shows_a_client_of_2026_counts_at_the_other(a: Part) -> None:
    first, other = a.twins.doors
    async with mcp_client(first, a.key(), STATELESS, elicitation_callback=looks) as (client, road):
        asked = await client.session.call_tool("payments_create", a.pay(LARGE), allow_input_required=True)
        assert isinstance(asked, InputRequiredResult)
        await a.killed()
        road.port = other.port
        await a.aos.answer(a.approval())
        state = asked.request_state
        done = await client.session.call_tool("payments_create", a.pay(LARGE), request_state=state)
        assert (done.is_error, done.structured_content) == (False, PAID_LARGE)
    assert len(a.paid) == 1


@part
async def test_of_a_session_of_2025_the_other_process_knows_that_its_client_opens_pages(a: Part) -> None:
    first, other = a.twins.doors
    async with mcp_client(first, a.key(), HANDSHAKE, elicitation_callback=looks) as (client, road):
        await a.killed()
        road.port = other.port
        with pytest.raises(MCPError) as raised:
            await call(client, a.pay(LARGE))
        (page,) = UrlElicitationRequiredError.from_error(raised.value.error).elicitations
        assert page.elicitation_id == str(a.approval())
        await a.aos.answer(a.approval())
        assert not (await call(client, a.pay(LARGE))).is_error
    assert len(a.paid) == 1


@part
async def test_a_call_whose_process_dies_under_it_is_asked_again_under_its_one_key(a: Part) -> None:
    """The tool is `keyed`: its server is given the same key again, by which it can tell."""
    first, other = a.twins.doors
    key, agent_id = a.key(), a.world.agents[a.name].id
    a.bank.slow.add(a.iban)

    async def cut() -> None:
        async with mcp_client(first, key, STATELESS) as (client, _):
            await call(client, a.pay(PAY), key="k")

    cutting = asyncio.create_task(cut())
    assert await asyncio.to_thread(a.bank.asked.wait, SECONDS)
    await a.killed()
    a.bank.goes.set()
    with pytest.raises(BaseExceptionGroup):
        await cutting
    async with mcp_client(other, key, STATELESS) as (client, _):
        early = await call(client, a.pay(PAY), key="k")
        assert early.structured_content["type"] == "urn:aos:problem:still-running"
        # The time that the call had is over: whoever made it is gone.
        a.world.rows("update action set deadline = aos_now() where state = 'intended' and agent_id = %s", agent_id)
        await a.aos.until("select 1 from action where state = 'unknown' and agent_id = %s", agent_id)
        done = await call(client, a.pay(PAY), key="k")
        assert (done.is_error, done.structured_content) == (False, PAID)
    one, again = a.paid
    assert one == again


# --- gRPC


def channel_to(twins: tuple[Twin, Twin]) -> grpc.aio.Channel:
    """Return a channel that goes to the first of these that answers."""
    addresses = ",".join(f"127.0.0.1:{each.port}" for each in twins)
    options = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.use_local_subchannel_pool", 1)]
    return grpc.aio.insecure_channel(f"ipv4:{addresses}", options=options)


async def grpc_call(channel: grpc.aio.Channel, name: str, request: Any, token: str) -> Any:
    """Make a unary call, waiting until the channel has a server."""
    sent, response = types(name)
    multicallable = channel.unary_unary(
        f"{SERVICE}{name}", request_serializer=sent.SerializeToString, response_deserializer=response.FromString
    )
    return await multicallable(request, metadata=metadata(token), timeout=SECONDS, wait_for_ready=True)


async def work_stream(channel: grpc.aio.Channel, token: str) -> Stream:
    """Open a Work stream and say Hello."""
    request, response = types("Work")
    multicallable = channel.stream_stream(
        f"{SERVICE}Work", request_serializer=request.SerializeToString, response_deserializer=response.FromString
    )
    stream = Stream(multicallable(metadata=metadata(token), wait_for_ready=True))
    await stream.hello()
    return stream


@part
async def test_a_grpc_call_is_answered_from_the_record_by_the_other_process(a: Part) -> None:
    key, paying = a.key(), json.dumps(a.pay(PAY)).encode()
    request = aos_pb2.CallToolRequest(name="payments.create", arguments=paying, idempotency_key="k")
    async with channel_to(a.twins.grpcs) as channel:
        before = await grpc_call(channel, "CallTool", request, key)
        await a.killed()
        again = await grpc_call(channel, "CallTool", request, key)
    assert (again.action_id, json.loads(again.value)) == (before.action_id, PAID)
    assert (before.replayed, again.replayed) == (False, True)
    assert len(a.paid) == 1


@partial(part, fetches=True)
async def test_a_task_of_a_work_stream_is_gone_on_with_on_a_stream_to_the_other_process(a: Part) -> None:
    """The stream breaks, the agent does not: it connects again, keeps its task, and what it called stands."""
    key = a.key()
    async with channel_to(a.twins.grpcs) as channel:
        stream = await work_stream(channel, key)
        run_id = await a.aos.start(a.name, input={"n": 7})
        start = await stream.next("start")
        assert (await stream.tool(start, "payments.create", a.pay(PAY), key="one")).state == "performed"
        await a.killed()
        assert (await stream.ended_with()).code is grpc.StatusCode.UNAVAILABLE
        stream = await work_stream(channel, key)
        await stream.send(beat=aos_pb2.Beat(tokens=[start.token]))
        assert (await stream.tool(start, "payments.create", a.pay(PAY), key="one")).state == "performed"
        assert (await stream.tool(start, "payments.create", a.pay(LARGE), key="two")).state == "waiting"
        await a.aos.answer(a.approval())
        assert (await stream.tool(start, "payments.create", a.pay(LARGE), key="two")).state == "performed"
        assert not (await stream.returned(start, {"n": 7})).HasField("error")
        run = await a.aos.ended(run_id)
        await stream.close()
    assert (run["state"], run["output"]) == ("succeeded", {"n": 7})
    assert [amount for _, amount in a.paid] == [PAY["amount"], LARGE["amount"]]


@partial(part, fetches=True)
async def test_a_task_parked_at_one_process_comes_again_at_the_other_with_what_was_done(a: Part) -> None:
    key = a.key()
    async with channel_to(a.twins.grpcs) as channel:
        stream = await work_stream(channel, key)
        run_id = await a.aos.start(a.name, input={"n": 1})
        start = await stream.next("start")
        assert (await stream.tool(start, "payments.create", a.pay(PAY))).state == "performed"
        assert (await stream.tool(start, "payments.create", a.pay(LARGE))).state == "waiting"
        await stream.send(ended=aos_pb2.Ended(token=start.token, outcome=aos_pb2.End.SUSPENDED))
        await stream.next("closed")
        await a.killed()
        await a.aos.answer(a.approval())
        stream = await work_stream(channel, key)
        again = await stream.next("start")
        assert (again.task_id, [each.state for each in again.history]) == (start.task_id, ["performed"])
        assert (await stream.tool(again, "payments.create", a.pay(PAY))).state == "performed"
        assert (await stream.tool(again, "payments.create", a.pay(LARGE))).state == "performed"
        await stream.returned(again)
        assert (await a.aos.ended(run_id))["state"] == "succeeded"
        await stream.close()
    assert len(a.paid) == 2


# --- tasks by HTTP


@partial(part, fetches=True)
async def test_a_task_taken_by_http_at_one_process_is_kept_and_completed_at_the_other(a: Part) -> None:
    first, other = a.twins.doors
    key, body = a.key(), {"arguments": a.pay(PAY)}
    async with httpx.AsyncClient(timeout=SECONDS) as http:

        async def post(twin: Twin, path: str, token: str, body: Any, **headers: str) -> Any:
            sent = {"Authorization": f"Bearer {token}", **{k.replace("_", "-"): v for k, v in headers.items()}}
            return (await http.post(twin.url + path, json=body, headers=sent)).json()

        taking = asyncio.create_task(post(first, "/tasks/take", key, {"wait": 20}))
        run_id = await a.aos.start(a.name, input={"n": 7})
        (task,) = (await taking)["tasks"]
        path, token = f"/tasks/{task['task_id']}", task["token"]
        paid = await post(first, "/tools/payments.create/call", token, body, idempotency_key="one")
        await a.killed()
        assert (await post(other, f"{path}/heartbeat", token, {}))["lease_seconds"] == 15
        again = await post(other, "/tools/payments.create/call", token, body, idempotency_key="one")
        assert again["action_id"] == paid["action_id"]
        assert (await post(other, f"{path}/complete", token, {"output": {"n": 7}}))["state"] == "succeeded"
    run = await a.aos.ended(run_id)
    assert (run["state"], run["output"]) == ("succeeded", {"n": 7})
    assert len(a.paid) == 1


# --- OAuth


def signed_in(a: Part, door: Twin, sent: list[bytes]) -> OAuth2Session:
    """Return an ordinary client that holds a token of one process; `sent` is given the forms that it posts."""
    finance, endpoint = holder(a.world, a.name), f"{door.url}/oauth/token"
    key = OKPKey.import_key(finance.pem)
    session = OAuth2Session(str(finance.agent_id), key, token_endpoint_auth_method="private_key_jwt")
    session.trust_env = False
    session.register_client_auth_method(PrivateKeyJWT(endpoint, alg="Ed25519"))
    session.hooks["response"].append(lambda answer, *_, **__: sent.append(answer.request.body))
    session.fetch_token(endpoint, grant_type="client_credentials")
    return session


@part
async def test_a_token_that_one_process_issues_is_accepted_by_the_other_which_shows_its_key(a: Part) -> None:
    first, other = a.twins.doors
    session = await asyncio.to_thread(signed_in, a, first, [])

    def keys(door: Twin) -> Any:
        return session.get(f"{door.url}/.well-known/jwks.json", withhold_token=True).json()

    before = await asyncio.to_thread(keys, first)
    await a.killed()
    assert before["keys"]
    assert await asyncio.to_thread(keys, other) == before
    answer = await asyncio.to_thread(
        session.post, f"{other.url}/tools/payments.create/call", json={"arguments": a.pay(PAY)}
    )
    assert answer.json()["value"] == PAID, answer.text
    session.close()
    async with mcp_client(other, session.token["access_token"], STATELESS) as (client, _):
        assert [each.name for each in (await client.list_tools()).tools] == ["payments_create"]


@part
async def test_an_assertion_that_one_process_took_is_not_taken_again_by_the_other(a: Part) -> None:
    first, other = a.twins.doors
    sent: list[bytes] = []
    session = await asyncio.to_thread(signed_in, a, first, sent)
    session.close()
    await a.killed()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    async with httpx.AsyncClient(timeout=SECONDS) as http:
        again = await http.post(f"{other.url}/oauth/token", content=sent[0], headers=headers)
    assert (again.status_code, again.json()["error"]) == (401, "invalid_client")
