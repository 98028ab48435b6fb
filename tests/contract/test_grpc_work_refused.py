"""What a Work stream refuses, whom, and what else goes on meanwhile."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import grpc
import pytest

from aos.data_plane.grpc import aos_pb2
from tests.contract.grpc_peer import Peer, api_key
from tests.contract.grpc_stories import clerks, opened, played
from tests.contract.mcp_peer import PAY
from tests.databases import Database
from tests.doors import personal_token, revoke
from tests.working import Working
from tests.worlds import World


@pytest.fixture
def world(database: Database) -> World:
    return clerks(database)


def test_a_bad_call_is_answered_and_the_stream_goes_on(world: World) -> None:
    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        stream = await opened(peer, key)
        await aos.start("job", input={"n": 1})
        start = await stream.next("start")
        deep = b'{"a":' + b"[" * 50 + b"]" * 50 + b"}"
        for kind, arguments in (("wish", b"{}"), ("tool", b"[]"), ("tool", b'{"a":'), ("tool", deep)):
            await stream.send(call=aos_pb2.Call(token=start.token, call_id=3, kind=kind, name="x", arguments=arguments))
            result = await stream.next("result")
            assert (result.call_id, result.state, result.error.slug) == (3, "failed", "invalid-request")
        for token in ("nonsense", "aost_" + "A" * 108):
            await stream.send(ended=aos_pb2.Ended(token=token, outcome=aos_pb2.End.RETURNED))
            assert (await stream.next("closed")).error.slug == "unauthenticated"
        await stream.send(ended=aos_pb2.Ended(token=start.token))
        assert (await stream.next("closed")).error.slug == "invalid-request"
        for value in (b'{"a":', b"\xff", b"[" * 100_000, deep * 100, b"[" * 500 + b"]" * 500):
            ended = aos_pb2.Ended(token=start.token, outcome=aos_pb2.End.RETURNED, value=value)
            await stream.send(ended=ended)
            assert (await stream.next("closed")).error.slug == "invalid-request", value[:20]
        unknown = await stream.tool(start, "payments.refund", {})
        assert (unknown.state, unknown.error.slug) == ("refused", "denied")
        await stream.close()

    played(world, scenario)


@pytest.mark.parametrize(
    ("kind", "name", "arguments"),
    [
        ("step", "a\0b", 1),
        ("tool", "a\0b", {}),
        ("tool", "payments.create", {**PAY, "iban": "a\0b"}),
        ("spawn", "other", {"input": 1, "name": "a\0b"}),
        ("spawn", "a\0b", {"input": 1}),
        ("signal", "a\0b", {}),
        ("timer", "x", {"seconds": 10**30}),
        ("report", "note", {"fields": {"code": "a\0b"}}),
        ("complete", "a\0b", {"messages": []}),
        ("ask", "a\0b", {"question": "a\0b"}),
    ],
)
def test_a_call_of_what_no_column_holds_is_the_callers_fault_and_holds_up_nothing(
    world: World, kind: str, name: str, arguments: Any
) -> None:
    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        stream = await opened(peer, key)
        await aos.start("job", input={"n": 1})
        start = await stream.next("start")
        call = aos_pb2.Call(token=start.token, kind=kind, name=name, arguments=json.dumps(arguments).encode())
        await stream.send(call=call)
        result = await stream.next("result")
        assert result.error.slug not in ("internal", "unavailable"), result
        assert not (await stream.returned(start, "done")).HasField("error")
        await stream.close()

    played(world, scenario)


def test_another_agents_token_says_nothing_on_this_stream(world: World) -> None:
    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        stream, other = await opened(peer, key), await opened(peer, api_key(world, "other"))
        await aos.start("job", input={"n": 1})
        start = await stream.next("start")
        stolen = await other.returned(start, "stolen")
        assert stolen.error.slug == "stale-claim"
        assert not (await stream.returned(start, "mine")).HasField("error")
        await asyncio.gather(stream.close(), other.close())

    played(world, scenario)


def test_who_is_no_agent_that_fetches_its_tasks_is_refused(world: World) -> None:
    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        for token, code in (
            (None, "UNAUTHENTICATED"),
            (personal_token(world, "operator"), "PERMISSION_DENIED"),
            (api_key(world, "finance"), "ABORTED"),
        ):
            stream = peer.work(token)
            assert (await stream.ended_with()).code.name == code
        for frame in ({"beat": aos_pb2.Beat()}, {"hello": aos_pb2.Hello(protocol=2)}):
            stream = peer.work(key)
            await stream.send(**frame)
            assert (await stream.ended_with()).slug == "invalid-request"

    played(world, scenario)


def test_a_revoked_key_ends_the_stream_at_its_next_message(world: World) -> None:
    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        stream = await opened(peer, key)
        revoke(world, "update api_key set revoked_at = aos_now()")
        await aos.running.facts.refresh()
        await stream.send(beat=aos_pb2.Beat())
        refused = await stream.ended_with()
        assert (refused.code, refused.slug) == (grpc.StatusCode.UNAUTHENTICATED, "unauthenticated")

    played(world, scenario)


def test_a_paused_agent_is_given_nothing_until_it_goes_on(world: World) -> None:
    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        run_id = await aos.start("job", input={"n": 1})
        await aos.until("select 1 from task where waits_for = 'work'")
        revoke(world, "update agent set status = 'paused' where name = 'clerk'")
        await aos.running.facts.refresh()
        stream = await opened(peer, key)
        await stream.send(beat=aos_pb2.Beat())
        assert aos.tasks(run_id)["work"]["state"] == "waiting"
        revoke(world, "update agent set status = 'running' where name = 'clerk'")
        await aos.running.facts.refresh()
        world.rows("select pg_notify('aos_work', %s)", str(world.agents["clerk"].id))
        await stream.returned(await stream.next("start"))
        assert (await aos.ended(run_id))["state"] == "succeeded"
        await stream.close()

    played(world, scenario)


def test_a_server_that_ends_says_so_and_takes_the_answers_that_still_come(world: World) -> None:
    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        stream = await opened(peer, key)
        run_id = await aos.start("job", input={"n": 1})
        start = await stream.next("start")
        stopping = asyncio.create_task(peer.server.stop(10))
        assert (await stream.next("goaway")).reason
        assert not (await stream.returned(start, "in time")).HasField("error")
        await stream.close()
        await stopping
        assert (await aos.ended(run_id))["output"] == "in time"

    played(world, scenario)


def test_an_agent_that_reads_no_answers_is_read_no_further(world: World) -> None:
    many, large = 400, json.dumps({"value": "x" * 100_000}).encode()

    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        stream = await opened(peer, key)
        await aos.start("job", input={"n": 1})
        start = await stream.next("start")

        async def ask() -> None:
            for n in range(many):
                call = aos_pb2.Call(token=start.token, call_id=n, kind="step", name=f"s{n}", arguments=large)
                await stream.send(call=call)

        asking = asyncio.create_task(ask())
        await asyncio.wait([asking], timeout=6)
        assert not asking.done()
        answered = {(await stream.next("result")).call_id for _ in range(many)}
        assert answered == set(range(many))
        await asking
        await stream.returned(start)
        await stream.close()

    played(world, scenario)
