"""What can go wrong behind the model doors: each fault of a server has one clear answer, one record and one charge."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from typing import Any

import anthropic
import httpx
import openai
import pytest

from aos.kernel.limits import MODEL_ANSWER_BYTES_MAX
from aos.kernel.models.values import Provider
from tests.contract.model_upstream import (
    Answering,
    Held,
    Line,
    cut_after,
    saying,
    serving_upstream,
    silent,
    streamed,
    whole,
)
from tests.contract.model_wire import DONE, Reply
from tests.contract.model_worlds import CLAUDE, GPT, HELLO, ModelDoor, open_models
from tests.databases import Database
from tests.doors import revoke, until

REPLY = Reply("one two three four five six seven eight")
EVENTS = REPLY.chat_events()
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
LIMITED = {"error": {"message": "slow down", "type": "rate_limit_error", "param": None, "code": "rate_limit_exceeded"}}
BROKEN = {"error": {"message": "it broke", "type": "server_error", "param": None, "code": None}}


@pytest.fixture
def at(database: Database) -> Iterator[ModelDoor]:
    with open_models(database, whole(REPLY.chat())) as opened:
        yield opened


def ended(at: ModelDoor, count: int = 1) -> set[str]:
    """Return the states of all actions once so many are concluded."""
    until(lambda: len([state for _, state in at.states() if state in ("performed", "failed", "unknown")]) == count)
    return {state for _, state in at.states()}


def problem(done: httpx.Response) -> dict[str, Any]:
    """Return the problem beside an error."""
    found: dict[str, Any] = done.json()["error"]["aos"]
    return found


# --- no answer, or none that can be read ----------------------------------------------------------------------------

UNREADABLE: Mapping[str, Answering] = {
    "no HTTP": saying(b"hello, is it me you are looking for?\r\n\r\n"),
    "closed before a byte": saying(b""),
    "closed in the head": saying(b"HTTP/1.1 200 OK\r\ncontent-ty"),
    "a head that is too large": saying(b"HTTP/1.1 200 OK\r\n" + b"x-filler: " + b"y" * 200_000 + b"\r\n\r\n"),
    "less than its length": saying(HEAD + b"content-length: 900\r\n\r\n{}"),
    "a length that is no number": saying(HEAD + b"content-length: many\r\n\r\n{}"),
    "two lengths": saying(HEAD + b"content-length: 2\r\ncontent-length: 3\r\n\r\n{}"),
    "a broken chunk": saying(HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"),
    "cut in a chunk": saying(HEAD + b'transfer-encoding: chunked\r\n\r\n100\r\n{"id": "x"'),
    "no JSON": whole(b"<html>maintenance</html>"),
    "half of the JSON": whole(json.dumps(REPLY.chat()).encode()[:-40]),
    "JSON of another form": whole({"choices": "none", "usage": 7}),
    "nothing at all": whole(b""),
}


def test_an_answer_that_cannot_be_read_is_502_and_recorded_as_failed(database: Database) -> None:
    named: dict[str, Any] = {f"m{number}": {} for number in range(len(UNREADABLE))}
    with open_models(database, whole({}), models=named) as at:
        for name, (case, answer) in zip(named, UNREADABLE.items(), strict=True):
            at.upstream.plan(answer)
            done = at.chat(model=name)
            assert done.status_code == 502, (case, done.text)
            assert done.json()["error"]["code"] == "upstream_failed", case
            assert done.headers["x-should-retry"] == "false", case
            assert at.states()[-1] == (name, "failed"), case
            assert problem(done)["action_id"], case
            assert at.world.rows("select estimated from usage_event where name = %s", name), case
        assert at.estimated() == {True}
        assert at.held() == 0


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_a_server_that_says_nothing_is_given_up_at_the_models_time_limit(database: Database, stream: bool) -> None:
    with open_models(database, silent(), models={GPT: {"timeout_seconds": 1}}) as at:
        done = at.chat(stream=stream)
        assert done.status_code in (502, 504)
        assert done.json()["error"]["type"] in ("timeout_error", "server_error")
        assert at.states() == [(GPT, "failed")]
        assert at.estimated() == {True}
        assert at.tokens().input > 0
        until(lambda: at.upstream.cut == 1)


def test_a_slow_answer_arrives_whole(at: ModelDoor) -> None:
    body = json.dumps(REPLY.chat()).encode()

    async def slowly(line: Line) -> None:
        await line.say(HEAD + b"content-length: %d\r\n\r\n" % len(body))
        for position in range(len(body)):
            await line.say(body[position : position + 1])

    at.upstream.plan(slowly)
    assert at.chat().content == body
    at.charged(REPLY.tokens)


def test_where_nobody_listens_the_call_costs_nothing(database: Database) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        closed = taken.getsockname()[1]
    with open_models(database, whole({}), models={GPT: {"base_url": f"http://127.0.0.1:{closed}/v1"}}) as at:
        at.world.rows("update organization_settings set hosts = hosts || %s::text", f"127.0.0.1:{closed}")
        at.world.rows("update organization set epoch = epoch + 1")
        done = at.chat()
        assert (done.status_code, at.states()) == (502, [(GPT, "failed")])
        assert at.cost_nanos() == 0


def test_a_redirect_is_not_followed(at: ModelDoor) -> None:
    with serving_upstream(whole(REPLY.chat())) as other:
        at.upstream.plan(whole({}, status="307 Temporary Redirect", headers=[("location", f"{other.url}/x")]))
        assert at.chat().status_code == 502
        assert other.received == []


def test_an_answer_past_the_limit_is_cut_and_refused(at: ModelDoor) -> None:
    piece = b" " * 1_048_576

    async def endless(line: Line) -> None:
        await line.begin(kind="application/json")
        for _ in range(2 * MODEL_ANSWER_BYTES_MAX // len(piece)):
            await line.chunk(piece)
        raise AssertionError("all of it was read")

    at.upstream.plan(endless)
    done = at.chat()
    assert (done.status_code, done.json()["error"]["code"]) == (502, "upstream_failed")
    assert ended(at) == {"failed"}


# --- errors of the server -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("headers", [[], [("retry-after", "0")], [("retry-after-ms", "1")]], ids=["bare", "0s", "1ms"])
def test_a_429_is_tried_once_more_and_only_the_answer_is_charged(
    at: ModelDoor, headers: list[tuple[str, str]], stream: bool
) -> None:
    good = streamed(EVENTS) if stream else whole(REPLY.chat())
    at.upstream.plan(whole(LIMITED, status="429 Too Many Requests", headers=headers), good)
    assert at.chat(stream=stream).status_code == 200
    assert len(at.upstream.received) == 2
    assert at.upstream.received[0].body == at.upstream.received[1].body
    at.charged(REPLY.tokens)
    assert at.states() == [(GPT, "performed")]


def test_a_429_that_asks_for_a_long_wait_goes_to_the_caller_at_once(at: ModelDoor) -> None:
    at.upstream.plan(whole(LIMITED, status="429 Too Many Requests", headers=[("retry-after", "120")]))
    with pytest.raises(openai.RateLimitError) as caught:
        at.openai().chat.completions.create(model=GPT, messages=HELLO)
    assert caught.value.body == LIMITED["error"]
    assert caught.value.response.headers["retry-after"] == "120"
    assert len(at.upstream.received) == 1
    assert (ended(at), at.cost_nanos()) == ({"failed"}, 0)
    # What the server said is learned: until then nothing is sent.
    again = at.chat()
    assert (again.status_code, len(at.upstream.received)) == (429, 1)
    assert 100 < int(again.headers["retry-after"]) <= 120
    assert "its provider asked to wait" in again.json()["error"]["message"]


def test_a_server_without_requests_left_is_not_asked_until_its_limit_is_reset(at: ModelDoor) -> None:
    left = [("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "1m0s")]
    at.upstream.plan(whole(REPLY.chat(), headers=left))
    assert at.chat().status_code == 200
    again = at.chat()
    assert again.status_code == 429
    assert 50 < int(again.headers["retry-after"]) <= 60
    assert "no request left" in again.json()["error"]["message"]
    assert len(at.upstream.received) == 1


@pytest.mark.parametrize("status", ["500 Internal Server Error", "503 Service Unavailable"])
def test_a_5xx_is_tried_once_more_and_then_arrives_as_it_is(at: ModelDoor, status: str) -> None:
    at.upstream.plan(whole(BROKEN, status=status))
    with pytest.raises(openai.InternalServerError) as caught:
        at.openai(max_retries=2).chat.completions.create(model=GPT, messages=HELLO)
    assert (caught.value.status_code, caught.value.body) == (int(status[:3]), BROKEN["error"])
    assert len(at.upstream.received) == 2, "and a client that retries is told not to"
    assert (ended(at), at.cost_nanos(), at.held()) == ({"failed"}, 0, 0)


def test_an_error_that_another_try_does_not_mend_arrives_at_once(at: ModelDoor) -> None:
    wrong = {"type": "error", "error": {"type": "invalid_request_error", "message": "max_tokens: too large"}}
    at.upstream.plan(whole(wrong, status="400 Bad Request"))
    with pytest.raises(anthropic.BadRequestError) as caught:
        at.anthropic().messages.create(model=CLAUDE, messages=HELLO, max_tokens=99)
    assert caught.value.body == wrong
    assert len(at.upstream.received) == 1
    assert at.cost_nanos() == 0


def test_a_document_in_place_of_a_stream_is_an_error_before_anything_is_sent(at: ModelDoor) -> None:
    done = at.chat(stream=True)
    assert (done.status_code, problem(done)["type"]) == (502, "urn:aos:problem:upstream-failed")
    assert "was asked for a stream and answered with a document" in done.json()["error"]["message"]
    assert (ended(at), at.held()) == ({"failed"}, 0)


def test_a_page_of_a_proxy_becomes_an_error_of_the_dialect(at: ModelDoor) -> None:
    at.upstream.plan(whole(b"<html>Bad Gateway</html>", status="502 Bad Gateway"))
    ours = at.chat()
    assert (ours.status_code, ours.json()["error"]["message"]) == (502, "<html>Bad Gateway</html>")
    theirs = at.post("/v1/messages", {"model": CLAUDE, "messages": HELLO, "max_tokens": 9})
    assert (theirs.status_code, theirs.json()["error"]["type"]) == (502, "api_error")
    assert theirs.json()["error"]["message"] == "<html>Bad Gateway</html>"


def test_a_server_that_keeps_failing_is_left_alone_for_a_while(at: ModelDoor) -> None:
    at.upstream.plan(whole(BROKEN, status="500 Broken"))
    statuses = [at.chat().status_code for _ in range(6)]
    assert statuses[0] == 500
    assert statuses[-1] == 503
    sent = len(at.upstream.received)
    refused = at.chat()
    assert (refused.status_code, "retry-after" in refused.headers, len(at.upstream.received)) == (503, True, sent)


def test_the_output_limit_goes_out_under_the_name_that_the_server_reads(database: Database) -> None:
    named: dict[str, Any] = {GPT: {}, "own": {"provider": Provider.COMPATIBLE}}
    with open_models(database, whole(REPLY.chat()), models=named) as at:
        sent = {}
        for name in named:
            for field in ("max_tokens", "max_completion_tokens", "seed"):
                assert at.post("/v1/chat/completions", {"model": name, "messages": HELLO, field: 70}).status_code == 200
                sent[name, field] = at.upstream.last.json
    limits = {
        asked: {name: value for name, value in body.items() if name.startswith("max_")} for asked, body in sent.items()
    }
    assert limits == {
        (GPT, "max_tokens"): {"max_tokens": 70},
        (GPT, "max_completion_tokens"): {"max_completion_tokens": 70},
        (GPT, "seed"): {"max_completion_tokens": 4096},
        ("own", "max_tokens"): {"max_tokens": 70},
        ("own", "max_completion_tokens"): {"max_tokens": 70},
        ("own", "seed"): {"max_tokens": 4096},
    }


# --- streams --------------------------------------------------------------------------------------------------------


def test_a_stream_that_is_cut_ends_with_an_error_and_is_charged_by_estimate(at: ModelDoor) -> None:
    at.upstream.plan(cut_after(EVENTS[:6]))
    done = at.chat(stream=True)
    assert done.status_code == 200
    assert done.content.startswith(b"".join(EVENTS[:6]))
    last = json.loads(done.content.removeprefix(b"".join(EVENTS[:6])).removeprefix(b"data: "))
    assert last["error"]["code"] == "upstream_failed"
    assert DONE not in done.content
    assert at.states() == [(GPT, "failed")]
    assert at.estimated() == {True}
    assert at.tokens().output > 0
    assert at.held() == 0


def test_official_clients_raise_where_a_stream_is_cut(at: ModelDoor) -> None:
    at.upstream.plan(cut_after(EVENTS[:6]))
    with pytest.raises(openai.APIError):
        list(at.openai().chat.completions.create(model=GPT, messages=HELLO, stream=True))
    at.upstream.plan(cut_after(REPLY.messages_events()[:6]))
    with (
        pytest.raises(anthropic.APIStatusError),
        at.anthropic().messages.stream(model=CLAUDE, messages=HELLO, max_tokens=9) as stream,
    ):
        list(stream.text_stream)
    assert ended(at, 2) == {"failed"}


def test_a_stream_that_ends_before_it_said_why_is_no_answer(at: ModelDoor) -> None:
    at.upstream.plan(streamed(EVENTS[:-3]))
    done = at.chat(stream=True)
    assert DONE not in done.content
    assert b"upstream_failed" in done.content
    assert at.states() == [(GPT, "failed")]
    assert at.estimated() == {True}


def test_a_stream_that_said_all_but_its_last_event_is_an_answer(at: ModelDoor) -> None:
    at.upstream.plan(streamed([*EVENTS[:-2], EVENTS[-2].removesuffix(b"\n\n")]))
    done = [at.chat(stream=True, stream_options={"include_usage": True}, idempotency_key="k") for _ in range(2)]
    assert [each.content for each in done] == [b"".join(EVENTS[:-1]).removesuffix(b"\n\n")] * 2
    at.charged(REPLY.tokens)


@pytest.mark.parametrize(
    "broken",
    [b'data: {"choices": [\n\n', b"data: \xff\xfe\n\n", b'data: {"choices": 7}\n\n', b"data: " + b"x" * 5_000_000],
    ids=["half JSON", "no UTF-8", "another form", "without end"],
)
def test_an_event_that_cannot_be_read_ends_the_stream_with_an_error(at: ModelDoor, broken: bytes) -> None:
    at.upstream.plan(streamed([*EVENTS[:4], broken, *EVENTS[4:]]))
    done = at.chat(stream=True)
    assert done.content.startswith(b"".join(EVENTS[:4]))
    assert b"upstream_failed" in done.content
    assert DONE not in done.content
    assert ended(at) == {"failed"}


def test_an_error_in_mid_stream_goes_on_and_is_recorded_as_failed(at: ModelDoor) -> None:
    error = (
        b"event: error\ndata: "
        + json.dumps({"type": "error", "error": {"type": "overloaded_error", "message": "too busy"}}).encode()
        + b"\n\n"
    )
    events = REPLY.messages_events()
    at.upstream.plan(streamed([*events[:5], error]))
    done = at.post("/v1/messages", {"model": CLAUDE, "messages": HELLO, "max_tokens": 64, "stream": True})
    assert done.content == b"".join(events[:5]) + error
    assert at.states() == [(CLAUDE, "failed")]


def begin(at: ModelDoor, body: dict[str, Any], path: str = "/v1/chat/completions") -> socket.socket:
    """Send a request by hand; the caller reads as far as it likes and closes."""
    text = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: aos\r\nauthorization: Bearer {at.key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(text)}\r\n\r\n"
    )
    connection = at.door.connect()
    connection.sendall(head.encode() + text)
    return connection


def read_until(connection: socket.socket, text: bytes) -> bytes:
    """Return what is read up to and with the part that brings `text`."""
    read = bytearray()
    while text not in read[-65536 - len(text) :]:
        part = connection.recv(65536)
        assert part, f"the connection ended before {text!r}: {read[-1000:]!r}"
        read += part
    return bytes(read)


def test_a_client_that_leaves_a_stream_cancels_it_and_is_still_charged(at: ModelDoor) -> None:
    async def endless(line: Line) -> None:
        await line.begin()
        await line.chunk(*EVENTS[:5])
        await line.until_gone()

    at.upstream.plan(endless)
    with begin(at, {"model": GPT, "messages": HELLO, "max_tokens": 500, "stream": True}) as connection:
        read_until(connection, b"three")
    until(lambda: at.upstream.cut == 1)
    assert ended(at) == {"failed"}
    assert at.estimated() == {True}
    assert at.tokens().input > 0
    assert at.tokens().output > 0
    assert at.held() == 0


def test_a_client_that_leaves_before_its_answer_cancels_it_and_is_still_charged(at: ModelDoor) -> None:
    at.upstream.plan(silent())
    with begin(at, {"model": GPT, "messages": HELLO, "max_tokens": 500}):
        at.upstream.asked()
    until(lambda: at.upstream.cut == 1)
    assert ended(at) == {"failed"}
    assert at.estimated() == {True}
    assert at.tokens().input > 0
    assert at.held() == 0


def test_a_long_stream_arrives_whole(at: ModelDoor) -> None:
    many = [*EVENTS[:2], *(EVENTS[2:3] * 40_000), *EVENTS[3:]]
    at.upstream.plan(streamed([b"".join(many[start : start + 500]) for start in range(0, len(many), 500)]))
    with begin(at, {"model": GPT, "messages": HELLO, "max_tokens": 500, "stream": True}) as connection:
        at.upstream.asked()
        read = read_until(connection, b"[DONE]")
    assert read.count(b"chat.completion.chunk") == len(many) - 2  # neither [DONE] nor the usage that nobody asked for
    assert ended(at) == {"performed"}
    at.charged(REPLY.tokens)


def test_a_stream_whose_key_is_revoked_is_cut_at_its_next_part(at: ModelDoor) -> None:
    held = Held()
    at.upstream.plan(streamed(EVENTS, held=held, held_before=3))
    with begin(at, {"model": GPT, "messages": HELLO, "max_tokens": 500, "stream": True}) as connection:
        read = read_until(connection, b"two")
        revoke(at.world, "update api_key set revoked_at = aos_now()")
        at.door.run(at.door.running.facts.refresh())
        held.let_go()
        read += read_until(connection, b"\r\n0\r\n\r\n")
    assert b"three" not in read
    assert DONE not in read
    assert b"revoked" in read
    assert ended(at) == {"failed"}
    assert at.estimated() == {True}


def test_a_stream_under_way_is_finished_when_the_process_is_asked_to_end(at: ModelDoor) -> None:
    held = Held()
    at.upstream.plan(streamed(EVENTS, held=held, held_before=3))
    with begin(at, {"model": GPT, "messages": HELLO, "max_tokens": 500, "stream": True}) as connection:
        read = read_until(connection, b"two")
        at.door.loop.call_soon_threadsafe(setattr, at.door.server, "should_exit", True)
        until(lambda: refuses_connections(at))
        held.let_go()
        read += read_until(connection, b"[DONE]")
    assert read.count(b"chat.completion.chunk") == len(EVENTS) - 2
    assert ended(at) == {"performed"}
    at.charged(REPLY.tokens)


def refuses_connections(at: ModelDoor) -> bool:
    """Say whether the door takes no more connections."""
    try:
        at.door.connect().close()
    except ConnectionRefusedError:
        return True
    return False
