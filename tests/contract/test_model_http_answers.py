"""Answers of models' servers: every form of body arrives as it was sent, over connections that are kept."""

from __future__ import annotations

import asyncio

import pytest

from aos.drivers.model_http import ModelHttp
from tests.contract.model_http_peer import LOOPS, Line, Peer, with_peer

pytestmark = pytest.mark.parametrize("loop", LOOPS)
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-type: text/event-stream\r\n\r\n"


def test_a_request_arrives_as_it_was_given(loop: str) -> None:
    async def test(peer: Peer, http: ModelHttp) -> None:
        headers = ((b"X-Api-Key", b"k"), (b"Host", b"forged"), (b"Content-Length", b"3"), (b"Accept-Encoding", b"gzip"))
        url = f"http://127.0.0.1:{peer.port}/v1/x?api-version=1%202"
        answer = await http.send(peer.request(url=url, headers=headers, body=b'{"a":\xc3\xa4}'))
        assert (answer.status, await answer.read(at_most=10)) == (200, b"{}")
        head, _, body = peer.requests[0].partition(b"\r\n\r\n")
        first, *rest = head.split(b"\r\n")
        assert first == b"POST /v1/x?api-version=1%202 HTTP/1.1"
        assert rest == [
            b"host: 127.0.0.1:%d" % peer.port,
            b"accept-encoding: identity",
            b"content-length: 8",
            b"X-Api-Key: k",
        ]
        assert body == b'{"a":\xc3\xa4}'

    with_peer(loop, test)


FORMS = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\nX-One: 1\r\nx-one: 2\r\n\r\nhello world",
    "chunked": CHUNKED.replace(b"\r\n\r\n", b"\r\nX-One: 2\r\n\r\n")
    + b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nTrailer: t\r\n\r\n",
    "until the close": b"HTTP/1.1 200 OK\r\nx-one: 2\r\n\r\nhello world",
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\nx-one: 2\r\n\r\nhello world",
    "after others": b"HTTP/1.1 100 Continue\r\nx-a: b\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"
    b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\nx-one: 2\r\n\r\nhello world",
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_every_form_of_body_arrives_however_it_is_cut(loop: str, form: str, size: int) -> None:
    async def answer(line: Line) -> None:
        wire = FORMS[form]
        for start in range(0, len(wire), size):
            await line.say(wire[start : start + size])
            await asyncio.sleep(0)
        if form in ("until the close", "HTTP/1.0"):
            line.writer.close()

    async def test(peer: Peer, http: ModelHttp) -> None:
        for _ in range(2):
            answer = await http.send(peer.request())
            assert answer.status == 200
            assert answer.headers["x-one"] == "2"
            assert "x-a" not in answer.headers
            assert "trailer" not in answer.headers
            assert b"".join([part async for part in answer.parts()]) == b"hello world"
            await answer.close()
        assert peer.connections == (2 if form in ("until the close", "HTTP/1.0") else 1)

    with_peer(loop, test, answer=answer)


@pytest.mark.parametrize("status", ["204 No Content", "301 Moved", "400 Bad Request", "429 Too Many", "500 Oops"])
def test_a_status_is_an_answer_and_a_redirect_is_not_followed(loop: str, status: str) -> None:
    async def answer(line: Line) -> None:
        location = b"location: http://127.0.0.1:1/\r\nretry-after: 3\r\n"
        if status.startswith("204"):
            await line.say(b"HTTP/1.1 204 No Content\r\n%b\r\n" % location)
        else:
            await line.say_whole(b"why", status=status, head=location)

    async def test(peer: Peer, http: ModelHttp) -> None:
        for _ in range(2):
            answer = await http.send(peer.request())
            assert answer.status == int(status[:3])
            assert answer.headers["retry-after"] == "3"
            assert await answer.read(at_most=3) == (b"" if status.startswith("204") else b"why")
        assert (peer.connections, len(peer.requests)) == (1, 2)

    with_peer(loop, test, answer=answer)


def test_each_part_of_a_stream_is_there_before_the_next_is_sent(loop: str) -> None:
    async def test(peer: Peer, http: ModelHttp) -> None:
        taken = asyncio.Event()

        async def answer(line: Line) -> None:
            await line.say(CHUNKED)
            for _ in range(50):
                await line.say(b"6\r\ndata\n\n\r\n")
                await taken.wait()
                taken.clear()
            await line.say(b"0\r\n\r\n")

        peer.answer = answer
        answered = await http.send(peer.request())
        count = 0
        async for part in answered.parts():
            assert part == b"data\n\n"
            count += 1
            taken.set()
        assert count == 50

    with_peer(loop, test)


def test_connections_are_kept_whoever_asked_and_only_as_many_as_are_needed(loop: str) -> None:
    async def test(peer: Peer, http: ModelHttp) -> None:
        async def ask(times: int) -> None:
            for _ in range(times):
                answer = await http.send(peer.request())
                assert await answer.read(at_most=2) == b"{}"
                await answer.close()

        await asyncio.gather(*(ask(20) for _ in range(8)))
        assert peer.connections <= 8
        await ask(20)
        assert peer.connections <= 8
        assert len(peer.requests) == 180

    with_peer(loop, test)


@pytest.mark.parametrize(
    "head", [b"connection: close\r\n", b"keep-alive: timeout=1\r\n", b"keep-alive: timeout=0, max=3\r\n"]
)
def test_a_connection_is_not_kept_where_the_server_says_so(loop: str, head: bytes) -> None:
    async def test(peer: Peer, http: ModelHttp) -> None:
        for _ in range(3):
            await (await http.send(peer.request())).read(at_most=2)
        assert peer.connections == 3

    async def answer(line: Line) -> None:
        await line.say_whole(head=head)

    with_peer(loop, test, answer=answer)


def test_an_answer_closed_before_its_end_cuts_the_connection_and_after_its_end_keeps_it(loop: str) -> None:
    async def test(peer: Peer, http: ModelHttp) -> None:
        async def endless(line: Line) -> None:
            await line.say(CHUNKED)
            while True:
                await line.say(b"400\r\n%b\r\n" % (b"x" * 1024))

        peer.answer = endless
        answer = await http.send(peer.request())
        assert await anext(answer.parts())
        await answer.close()
        await peer.gone.wait()
        assert peer.open == 0

    with_peer(loop, test)


def test_a_caller_who_goes_away_before_the_head_cuts_the_connection(loop: str) -> None:
    async def test(peer: Peer, http: ModelHttp) -> None:
        came = asyncio.Event()

        async def silent(line: Line) -> None:
            came.set()
            await line.reader.read()

        peer.answer = silent
        sending = asyncio.create_task(http.send(peer.request()))
        await came.wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await peer.gone.wait()
        assert peer.open == 0

    with_peer(loop, test)


def test_a_hundred_megabytes_pass_while_few_are_in_memory(loop: str) -> None:
    megabytes = 100
    said = 0

    async def answer(line: Line) -> None:
        nonlocal said
        await line.say(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (megabytes << 20))
        for _ in range(megabytes):
            await line.say(b"x" * (1 << 20))
            said += 1 << 20

    async def test(peer: Peer, http: ModelHttp) -> None:
        answer = await http.send(peer.request())
        read = ahead = largest = 0
        async for part in answer.parts():
            read += len(part)
            largest = max(largest, len(part))
            ahead = max(ahead, said - read)
            await asyncio.sleep(0)
        assert read == megabytes << 20
        assert largest <= 1 << 20
        # What both kernels' buffers hold comes on top of what waits here.
        assert ahead < 16 << 20

    with_peer(loop, test, answer=answer)


def test_an_answer_that_is_not_read_stops_the_server(loop: str) -> None:
    said = 0

    async def answer(line: Line) -> None:
        nonlocal said
        await line.say(CHUNKED)
        for _ in range(100):
            await line.say(b"100000\r\n%b\r\n" % (b"x" * (1 << 20)))
            said += 1
        await line.say(b"0\r\n\r\n")

    async def test(peer: Peer, http: ModelHttp) -> None:
        answer = await http.send(peer.request(idle_seconds=0.05))
        before = -1
        while before != said:
            before = said
            await asyncio.sleep(0.2)
        assert said < 30
        # A reader who was away is no server that stands still.
        assert sum([len(part) async for part in answer.parts()]) == 100 << 20

    with_peer(loop, test, answer=answer)
