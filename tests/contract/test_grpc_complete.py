"""Complete with official clients, in front of a scripted model's server: whole, streamed, refused, cancelled."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest

from aos.data_plane.grpc import aos_pb2
from aos.kernel.dialects.values import Tokens
from aos.kernel.models.values import Model
from tests.contract.grpc_peer import Peer, api_key, refusal, serving
from tests.contract.model_upstream import (
    Answering,
    Held,
    Upstream,
    cut_after,
    serving_upstream,
    silent,
    streamed,
    whole,
)
from tests.contract.model_wire import Reply
from tests.contract.model_worlds import GPT, HELLO, UPSTREAM_KEY, model
from tests.databases import Database
from tests.working import Working, working
from tests.worlds import World, agent, make_world

REPLY = Reply("Good morning, I am a model.", tokens=Tokens(input=31, output=7))
Scenario = Callable[[Working, Peer, str], Awaitable[None]]


def played(database: Database, scenario: Scenario, *answers: Answering) -> None:
    """Run a scenario against a server whose models answer as scripted."""
    with serving_upstream(*answers) as upstream:
        world = asks(database, upstream)

        async def main() -> None:
            async with working(world, started=False) as aos, serving(aos) as peer:
                await scenario(aos, peer, api_key(world, "asker"))

        asyncio.run(main())


def asks(database: Database, upstream: Upstream) -> World:
    known: Model = model(GPT, upstream)
    hosts = [upstream.url.removeprefix("http://").partition("/")[0]]
    agents = [agent("asker", models=(GPT,)), agent("mute")]
    return make_world(database, agents=agents, models=[known], secrets={"upstream": UPSTREAM_KEY}, hosts=hosts)


def request(**more: Any) -> aos_pb2.CompleteRequest:
    asked = {name: more.pop(name) for name in ("idempotency_key",) if name in more}
    body = {"model": GPT, "messages": HELLO, "max_tokens": 100, **more}
    return aos_pb2.CompleteRequest(body=json.dumps(body).encode(), **asked)


async def answered(peer: Peer, key: str, asked: aos_pb2.CompleteRequest) -> tuple[list[Any], dict[str, str]]:
    """Return the chunks of an answer and its metadata."""
    call = peer.complete(asked, key)
    chunks = [json.loads(each.data) async for each in call]
    return chunks, dict(await call.initial_metadata())


def test_a_whole_answer_is_one_message_and_is_given_again_under_its_key(database: Database) -> None:
    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        asked = request(idempotency_key="k")
        (first, told), (again, told_again) = [await answered(peer, key, asked) for _ in range(2)]
        assert first[0]["choices"][0]["message"]["content"] == REPLY.text
        assert again == first
        assert (told["aos-model"], told["aos-replayed"], told_again["aos-replayed"]) == (GPT, "false", "true")
        ((action),) = aos.rows("select id, state from action")
        assert (str(action["id"]), action["state"]) == (told["aos-action-id"], "performed")

    played(database, scenario, whole(REPLY.chat()))


def test_a_stream_comes_chunk_by_chunk_and_is_charged(database: Database) -> None:
    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        chunks, told = await answered(peer, key, request(stream=True))
        text = "".join(choice["delta"].get("content") or "" for each in chunks for choice in each["choices"])
        assert text == REPLY.text
        assert len(chunks) > 2
        assert told["aos-model"] == GPT
        used = {row["unit"]: row["quantity"] for row in aos.rows("select unit, quantity from usage_event")}
        assert (used["input_tokens"], used["output_tokens"]) == (31, 7)

    played(database, scenario, streamed(REPLY.chat_events()))


@pytest.mark.parametrize("cut", [True, False], ids=["cut", "no stream"])
def test_a_stream_that_ends_in_an_error_ends_with_a_status(database: Database, cut: bool) -> None:
    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await answered(peer, key, request(stream=True))
        assert refusal(raised.value).code is not grpc.StatusCode.OK
        assert aos.rows("select state from action")[0]["state"] == "failed"

    played(database, scenario, cut_after(REPLY.chat_events()[:3]) if cut else whole(REPLY.chat()))


def test_what_may_not_be_asked_is_refused_as_any_act(database: Database) -> None:
    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        for token, asked, code in (
            (api_key(aos.world, "mute"), request(), "PERMISSION_DENIED"),
            (key, request(model="unknown"), "NOT_FOUND"),
            (key, aos_pb2.CompleteRequest(body=b"[]"), "INVALID_ARGUMENT"),
            (key, aos_pb2.CompleteRequest(body=b"{"), "INVALID_ARGUMENT"),
            ("aos_unknown", request(), "UNAUTHENTICATED"),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await answered(peer, token, asked)
            assert refusal(raised.value).code.name == code

    played(database, scenario, whole(REPLY.chat()))


def test_a_cancelled_stream_and_a_passed_deadline_are_concluded_all_the_same(database: Database) -> None:
    held = Held()

    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        call = peer.complete(request(stream=True), key)
        assert await call.read() is not grpc.aio.EOF
        call.cancel()
        await aos.until("select 1 from action where state <> 'intended' having count(*) = 1")
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            async for _ in peer.complete(request(), key, timeout=0.3):
                pass
        assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await aos.until("select 1 from action where state <> 'intended' having count(*) = 2")
        held.let_go()

    played(database, scenario, streamed(REPLY.chat_events(), held=held, held_before=2), silent(held))
