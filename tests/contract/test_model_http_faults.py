"""Faults of models' servers: each is a clear error that says whether the request may have been carried out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from aos.drivers.model_http import ModelHttp
from aos.drivers.model_http.connection import IDLE_SECONDS
from aos.kernel.errors import UpstreamFailed
from aos.kernel.ports import UpstreamAnswer
from tests.contract.model_http_peer import LOOPS, Line, Peer, with_peer
from tests.worlds import THIS_MACHINE

pytestmark = pytest.mark.parametrize("loop", LOOPS)
OK = b"HTTP/1.1 200 OK\r\n"


async def fails(doing: Awaitable[object]) -> UpstreamFailed:
    with pytest.raises(UpstreamFailed) as caught:
        await doing
    return caught.value


async def take(answered: UpstreamAnswer, into: list[bytes]) -> None:
    async for part in answered.parts():
        into.append(part)  # noqa: PERF401 - what came before the failure is wanted


def says(*parts: bytes) -> Callable[[Line], Awaitable[None]]:
    async def answer(line: Line) -> None:
        await line.say(*parts)
        line.writer.close()

    return answer


BEFORE_THE_HEAD = {
    "nothing": (b"", "closed the connection"),
    "no HTTP": (b"SSH-2.0-OpenSSH\r\n\r\n", "did not answer in HTTP"),
    "half a head": (OK + b"content-le", "closed the connection"),
    "a bad header": (OK + b"content length: 3\r\n\r\nabc", "did not answer in HTTP"),
    "two lengths": (OK + b"content-length: 3\r\ncontent-length: 4\r\n\r\nabcd", "did not answer in HTTP"),
    "length and chunks": (
        OK + b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "did not answer in HTTP",
    ),
    "a negative length": (OK + b"content-length: -3\r\n\r\nabc", "did not answer in HTTP"),
    "a long head": (OK + b"x: " + b"y" * 70_000 + b"\r\ncontent-length: 0\r\n\r\n", "headers"),
    "many headers": (OK + b"x: y\r\n" * 70_000, "headers"),
    "an endless header": (OK + b"x: " + b"y" * 200_000, "headers"),
    "endless announcements": (b"HTTP/1.1 103 Early Hints\r\n\r\n" * 10_000, "headers"),
    "another protocol": (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n", ""),
    "a packed body": (OK + b"content-encoding: gzip\r\ncontent-length: 3\r\n\r\nabc", "encoded its answer as `gzip`"),
}


@pytest.mark.parametrize("fault", BEFORE_THE_HEAD)
def test_a_head_that_is_broken_is_a_failure_that_may_have_done_something(loop: str, fault: str) -> None:
    wire, detail = BEFORE_THE_HEAD[fault]

    async def test(peer: Peer, http: ModelHttp) -> None:
        failed = await fails(http.send(peer.request()))
        assert failed.sent
        assert detail in failed.detail
        assert f"`127.0.0.1:{peer.port}`" in failed.detail
        # The next request is not harmed by it, and nothing was asked twice.
        peer.answer = Line.say_whole
        assert (await http.send(peer.request())).status == 200
        assert len(peer.requests) == 2

    with_peer(loop, test, answer=says(wire))


IN_THE_BODY = {
    "too short": (OK + b"content-length: 9\r\n\r\nabc", b"abc", "before the end"),
    "cut chunks": (OK + b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n5\r\nd", b"abcd", "before the end"),
    "no last chunk": (OK + b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n", b"abc", "before the end"),
    "a bad chunk": (OK + b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n", b"abc", "did not answer in HTTP"),
    "endless trailers": (OK + b"transfer-encoding: chunked\r\n\r\n0\r\nx: " + b"y" * 200_000, b"", "headers"),
}


@pytest.mark.parametrize("fault", IN_THE_BODY)
def test_a_body_that_is_cut_hands_out_what_came_and_then_fails(loop: str, fault: str) -> None:
    wire, whole, detail = IN_THE_BODY[fault]

    async def answer(line: Line) -> None:
        head, _, body = wire.partition(b"\r\n\r\n")
        await line.say(head + b"\r\n\r\n")
        await asyncio.sleep(0.02)
        await line.say(body)
        line.writer.close()

    async def test(peer: Peer, http: ModelHttp) -> None:
        answered = await http.send(peer.request())
        assert answered.status == 200
        got: list[bytes] = []
        failed = await fails(take(answered, got))
        assert failed.sent
        assert detail in failed.detail
        assert b"".join(got) == whole
        await answered.close()
        again = await http.send(peer.request())
        assert (await fails(again.read(at_most=1_000))).sent

    with_peer(loop, test, answer=answer)


@pytest.mark.parametrize("surplus", [b"x", b"defghi", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"])
def test_more_than_the_length_named_fails_the_answer_and_reaches_no_other(loop: str, surplus: bytes) -> None:
    async def answer(line: Line) -> None:
        if line.connection > 1:
            await line.say_whole()
        else:
            await line.say(OK + b"content-length: 3\r\n\r\nabc" + surplus)

    async def test(peer: Peer, http: ModelHttp) -> None:
        failed = await fails(read(http, peer))
        assert "more than the length" in failed.detail
        assert await read(http, peer) == b"{}"

    async def read(http: ModelHttp, peer: Peer) -> bytes:
        return await (await http.send(peer.request())).read(at_most=1_000)

    with_peer(loop, test, answer=answer)


def test_what_comes_unasked_ends_a_kept_connection(loop: str) -> None:
    async def answer(line: Line) -> None:
        await line.say_whole()
        await asyncio.sleep(0.05)
        await line.say(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged")

    async def test(peer: Peer, http: ModelHttp) -> None:
        await (await http.send(peer.request())).read(at_most=10)
        await peer.gone.wait()
        peer.answer = Line.say_whole
        assert await (await http.send(peer.request())).read(at_most=10) == b"{}"
        assert peer.connections == 2

    with_peer(loop, test, answer=answer)


def test_a_silent_server_fails_after_the_time_for_the_first_byte(loop: str) -> None:
    async def answer(line: Line) -> None:
        await line.say(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 O")
        await line.reader.read()

    async def test(peer: Peer, http: ModelHttp) -> None:
        failed = await fails(http.send(peer.request(first_byte_seconds=0.1)))
        assert failed.sent
        assert "silent for 0.1 seconds" in failed.detail
        await peer.gone.wait()

    with_peer(loop, test, answer=answer)


def test_a_body_that_stands_still_fails_and_a_slow_one_does_not(loop: str) -> None:
    async def answer(line: Line) -> None:
        await line.say(OK + b"content-length: 9\r\n\r\n")
        for _ in range(8):
            await asyncio.sleep(0.05)
            await line.say(b"x")
        await line.reader.read()

    async def test(peer: Peer, http: ModelHttp) -> None:
        answered = await http.send(peer.request(first_byte_seconds=0.3, idle_seconds=0.3))
        got: list[bytes] = []
        failed = await fails(take(answered, got))
        assert failed.sent
        assert "stood still for 0.3 seconds" in failed.detail
        assert b"".join(got) == b"x" * 8
        await peer.gone.wait()

    with_peer(loop, test, answer=answer)


def test_a_body_over_the_limit_fails_and_cuts(loop: str) -> None:
    async def test(peer: Peer, http: ModelHttp) -> None:
        exact = await http.send(peer.request())
        assert len(await exact.read(at_most=1_001)) == 1_001
        over = await http.send(peer.request())
        assert "longer than 1000 bytes" in (await fails(over.read(at_most=1_000))).detail

    async def answer(line: Line) -> None:
        await line.say_whole(b"x" * 1_001)

    with_peer(loop, test, answer=answer)


def test_a_refused_connection_did_nothing(loop: str) -> None:
    async def test(peer: Peer, http: ModelHttp) -> None:
        failed = await fails(http.send(peer.request(url="http://127.0.0.1:1/")))
        assert not failed.sent
        assert "no connection to `127.0.0.1:1`" in failed.detail

    with_peer(loop, test)


def test_a_kept_connection_that_was_closed_unread_is_asked_again_once_on_a_new_one(loop: str) -> None:
    async def answer(line: Line) -> None:
        # The first connection answers once and closes on the second request: what a server does whose idle time is up.
        if line.connection == 1 and line.asked > 1:
            line.cut()
        else:
            await line.say_whole()

    async def test(peer: Peer, http: ModelHttp) -> None:
        for _ in range(2):
            assert await (await http.send(peer.request())).read(at_most=2) == b"{}"
        assert (peer.connections, len(peer.requests)) == (2, 3)

    with_peer(loop, test, answer=answer)


@pytest.mark.parametrize("said", [b"", b"H"])
def test_a_new_connection_that_is_closed_and_a_kept_one_that_said_a_byte_are_not_asked_again(
    loop: str, said: bytes
) -> None:
    async def answer(line: Line) -> None:
        if said and line.asked == 1:
            await line.say_whole()
            return
        await line.say(said)
        line.writer.close()

    async def test(peer: Peer, http: ModelHttp) -> None:
        if said:
            await (await http.send(peer.request())).read(at_most=2)
        failed = await fails(http.send(peer.request()))
        assert failed.sent
        assert len(peer.requests) == (2 if said else 1)

    with_peer(loop, test, answer=answer)


def test_a_kept_connection_that_the_server_works_on_before_it_dies_is_not_asked_again(loop: str) -> None:
    async def answer(line: Line) -> None:
        if line.asked == 1:
            await line.say_whole()
        else:
            await asyncio.sleep(1.2)
            line.cut()

    async def test(peer: Peer, http: ModelHttp) -> None:
        await (await http.send(peer.request())).read(at_most=2)
        assert (await fails(http.send(peer.request()))).sent
        assert len(peer.requests) == 2

    with_peer(loop, test, answer=answer)


def test_a_server_that_went_away_after_it_got_a_request_leaves_it_open_whether_it_was_done(loop: str) -> None:
    async def test(peer: Peer, http: ModelHttp) -> None:
        single = ModelHttp(private=THIS_MACHINE, connections_max=1)
        try:
            await (await single.send(peer.request())).read(at_most=2)

            async def vanish(line: Line) -> None:
                line.cut()

            peer.answer = vanish
            failed = await fails(single.send(peer.request()))
            assert failed.sent
        finally:
            await single.close()

    with_peer(loop, test)


def test_connections_and_those_who_wait_for_one_are_bounded(loop: str) -> None:
    async def test(peer: Peer, http: ModelHttp) -> None:
        release = asyncio.Event()
        both_busy = asyncio.Event()

        async def held(line: Line) -> None:
            if peer.connections == 2:
                both_busy.set()
            await release.wait()
            await line.say_whole()

        peer.answer = held
        asked = [asyncio.create_task(http.send(peer.request())) for _ in range(2)]
        await both_busy.wait()
        waiting = [asyncio.create_task(http.send(peer.request())) for _ in range(2)]
        given_up = asyncio.create_task(http.send(peer.request(connect_seconds=0.05)))
        await asyncio.sleep(0)
        refused = await fails(http.send(peer.request()))
        assert not refused.sent
        assert "3 requests wait" in refused.detail
        late = await fails(given_up)
        assert not late.sent
        assert "within 0.05 seconds" in late.detail
        waiting[0].cancel()
        release.set()
        for task in (*asked, waiting[1]):
            assert await (await task).read(at_most=2) == b"{}"
        assert peer.connections == 2

    with_peer(loop, test, http=lambda: ModelHttp(private=THIS_MACHINE, connections_max=2, waiting_max=3))


def test_room_comes_back_after_every_kind_of_end(loop: str) -> None:
    async def test(peer: Peer, http: ModelHttp) -> None:
        async def cut(line: Line) -> None:
            line.cut()

        async def silent(line: Line) -> None:
            await line.reader.read()

        for _ in range(3):
            peer.answer = cut
            await fails(http.send(peer.request()))
            peer.answer = silent
            await fails(http.send(peer.request(first_byte_seconds=0.02)))
            sending = asyncio.create_task(http.send(peer.request()))
            await asyncio.sleep(0.02)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            peer.answer = Line.say_whole
            unread = await http.send(peer.request())
            await unread.close()
            assert await (await http.send(peer.request())).read(at_most=2) == b"{}"
        url = "http://127.0.0.1:1/"
        for _ in range(3):
            assert not (await fails(http.send(peer.request(url=url)))).sent

    with_peer(loop, test, http=lambda: ModelHttp(private=THIS_MACHINE, connections_max=1))


def test_a_server_that_closes_whatever_it_accepts_costs_no_room(loop: str) -> None:
    async def test(peer: Peer, http: ModelHttp) -> None:
        async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.transport.abort()

        async with await asyncio.start_server(close, "127.0.0.1", 0) as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            for _ in range(30):
                failed = await fails(http.send(peer.request(url=url, connect_seconds=2)))
                assert "within 2 seconds" not in failed.detail

    with_peer(loop, test, http=lambda: ModelHttp(private=THIS_MACHINE, connections_max=1))


def test_a_free_connection_is_closed_when_its_time_is_up(loop: str) -> None:
    async def test(peer: Peer, http: ModelHttp) -> None:
        await (await http.send(peer.request())).read(at_most=2)
        assert peer.open == 1
        (pool,) = http._pools.values()
        now = asyncio.get_running_loop().time()
        pool.close_old(now + IDLE_SECONDS - 5)
        await (await http.send(peer.request())).read(at_most=2)
        assert peer.connections == 1
        pool.close_old(now + IDLE_SECONDS + 5)
        await peer.gone.wait()
        assert http._pools == {}

    with_peer(loop, test)


def test_closing_fails_what_is_under_way(loop: str) -> None:
    async def test(peer: Peer, http: ModelHttp) -> None:
        came = asyncio.Event()

        async def silent(line: Line) -> None:
            came.set()
            await line.reader.read()

        peer.answer = silent
        sending = asyncio.create_task(http.send(peer.request()))
        await came.wait()
        await http.close()
        assert (await fails(sending)).sent

    with_peer(loop, test)
