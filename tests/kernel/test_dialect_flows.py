"""Streams that pass unchanged: what goes at once, what waits for the commit, and what the ledger learns."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aos.kernel.dialects.events import EVENT_BYTES_MAX
from aos.kernel.dialects.flows import Flow, open_flow
from aos.kernel.dialects.values import Dialect, Tokens


def event(data: object, name: str = "") -> bytes:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data)}\n\n".encode()


def chunk(delta: dict[str, object], reason: str | None = None, **more: object) -> bytes:
    return event({"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}], **more})


USAGE = {
    "prompt_tokens": 20,
    "completion_tokens": 9,
    "prompt_tokens_details": {"cached_tokens": 5},
    "completion_tokens_details": {"reasoning_tokens": 4},
}
CHAT = [
    chunk({"role": "assistant", "content": ""}, usage=None),
    b": a comment\n\n",
    chunk({"content": 'says "usage": {"x"} and [DONE]\n\ndata: [DONE]'}),
    chunk({}, "stop"),
    event({"id": "c", "choices": [], "usage": USAGE}),
    b"data: [DONE]\n\n",
]
MESSAGES = [
    event(
        {
            "type": "message_start",
            "message": {
                "usage": {
                    "input_tokens": 10,
                    "cache_read_input_tokens": 3,
                    "cache_creation_input_tokens": 2,
                    "output_tokens": 1,
                }
            },
        },
        "message_start",
    ),
    event({"type": "ping"}, "ping"),
    event({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}}),
    event(
        {
            "type": "message_delta",
            "delta": {"stop_reason": "tool_use"},
            "usage": {"output_tokens": 12, "output_tokens_details": {"thinking_tokens": 7}},
        }
    ),
    event({"type": "message_stop"}, "message_stop"),
]
RESPONSES = [
    event({"type": "response.created", "response": {"status": "in_progress", "usage": None}}, "response.created"),
    event({"type": "response.output_text.delta", "delta": "hi"}, "response.output_text.delta"),
    event(
        {
            "type": "response.completed",
            "response": {
                "status": "completed",
                "output": [{"type": "function_call"}],
                "usage": {
                    "input_tokens": 8,
                    "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 1},
                    "output_tokens": 6,
                    "output_tokens_details": {"reasoning_tokens": 3},
                },
            },
        },
        "response.completed",
    ),
]
STREAMS = [
    (Dialect.CHAT, CHAT, Tokens(20, 5, 0, 9, 4), "stop"),
    (Dialect.MESSAGES, MESSAGES, Tokens(15, 3, 2, 12, 7), "tool_calls"),
    (Dialect.RESPONSES, RESPONSES, Tokens(8, 2, 1, 6, 3), "tool_calls"),
]


def flow_of(dialect: Dialect, *, drop_usage: bool = False) -> Flow:
    return open_flow(dialect, dialect, drop_usage=drop_usage, model="m")


@pytest.mark.parametrize(("dialect", "events", "tokens", "reason"), STREAMS)
def test_all_but_the_terminal_event_goes_at_once(
    dialect: Dialect, events: list[bytes], tokens: Tokens, reason: str
) -> None:
    flow = flow_of(dialect)
    for each in events[:-1]:
        assert flow.feed(each) == each
        assert not flow.finished
    assert flow.feed(events[-1]) == b""
    assert flow.finished
    assert not flow.failed
    assert flow.close() == b""
    assert (flow.tokens, flow.stop_reason) == (tokens, reason)
    assert flow.end() == events[-1]


@given(
    stream=st.sampled_from(STREAMS),
    cuts=st.lists(st.integers(0, 1200), max_size=30),
    newline=st.sampled_from([b"\n", b"\r\n", b"\r"]),
    drop=st.booleans(),
)
def test_any_cut_of_the_bytes_gives_the_same(stream, cuts: list[int], newline: bytes, drop: bool) -> None:
    dialect, events, tokens, reason = stream
    kept = [each for each in events if not (drop and b'"choices": []' in each)]
    whole, wanted = (b"".join(part).replace(b"\n", newline) for part in (events, kept))
    terminal = events[-1].replace(b"\n", newline)
    flow = flow_of(dialect, drop_usage=drop)
    places = sorted({0, len(whole), *(cut % len(whole) for cut in cuts)})
    sent = b"".join(flow.feed(whole[start:end]) for start, end in itertools.pairwise(places))
    sent += flow.close()
    assert sent == wanted.removesuffix(terminal)
    assert (flow.finished, flow.failed, flow.tokens, flow.stop_reason) == (True, "", tokens, reason)
    assert flow.end() == terminal


@given(stream=st.sampled_from(STREAMS), newline=st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_one_byte_at_a_time_gives_the_same(stream, newline: bytes) -> None:
    dialect, events, tokens, _ = stream
    whole = b"".join(events).replace(b"\n", newline)
    flow = flow_of(dialect)
    sent = b"".join(flow.feed(bytes([byte])) for byte in whole) + flow.close()
    assert sent + flow.end() == whole
    assert flow.tokens == tokens


def test_the_usage_chunk_that_was_not_asked_for_is_dropped_and_read() -> None:
    flow = flow_of(Dialect.CHAT, drop_usage=True)
    assert flow.feed(b"".join(CHAT)) == b"".join(CHAT[:4])
    assert flow.tokens == Tokens(20, 5, 0, 9, 4)


def test_usage_on_a_chunk_with_content_stays_and_is_read() -> None:
    last = chunk({"content": "x"}, "length", usage=USAGE)
    flow = flow_of(Dialect.CHAT, drop_usage=True)
    assert flow.feed(last) == last
    assert (flow.tokens, flow.stop_reason) == (Tokens(20, 5, 0, 9, 4), "length")


def test_a_last_event_without_its_blank_line_counts() -> None:
    flow = flow_of(Dialect.CHAT)
    sent = flow.feed(b"".join(CHAT)[:-2])
    assert not flow.finished
    assert sent + flow.close() == b"".join(CHAT[:-1])
    assert flow.finished
    assert flow.end() == b"data: [DONE]"


def test_a_stream_that_is_cut_is_not_finished() -> None:
    flow = flow_of(Dialect.MESSAGES)
    flow.feed(b"".join(MESSAGES[:3]))
    assert flow.close() == b""
    assert not flow.finished
    assert "before its last event" in flow.failed
    assert flow.tokens == Tokens(15, 3, 2, 1, 0)
    assert b"api_error" in flow.end()


def test_an_answer_that_said_why_it_ended_is_whole_without_done() -> None:
    flow = flow_of(Dialect.CHAT)
    flow.feed(b"".join(CHAT[:-1]))
    flow.close()
    assert (flow.finished, flow.failed, flow.end()) == (True, "", b"")


@pytest.mark.parametrize(
    ("dialect", "failure"),
    [
        (Dialect.CHAT, event({"error": {"message": "overloaded", "type": "server_error"}})),
        (Dialect.CHAT, event({"object": "error", "message": "overloaded", "code": 500})),
        (Dialect.MESSAGES, event({"type": "error", "error": {"type": "x", "message": "overloaded"}}, "error")),
        (Dialect.RESPONSES, event({"type": "error", "message": "overloaded", "code": "x"}, "error")),
        (
            Dialect.RESPONSES,
            event({"type": "response.failed", "response": {"status": "failed", "error": {"message": "overloaded"}}}),
        ),
    ],
)
def test_an_error_of_the_upstream_waits_and_is_noticed(dialect: Dialect, failure: bytes) -> None:
    flow = flow_of(dialect)
    assert flow.feed(failure) == b""
    assert flow.failed == "overloaded"
    assert flow.feed(b"data: more\n\n") == b""
    assert flow.end().startswith(failure)


@pytest.mark.parametrize("dialect", [Dialect.CHAT, Dialect.MESSAGES, Dialect.RESPONSES])
@pytest.mark.parametrize("broken", [b"data: <html>\n\n", b"data: []\n\n", b'data: {"type": 5, "choices": 5}\n\n'])
def test_a_broken_form_ends_the_stream_with_an_error_of_the_dialect(dialect: Dialect, broken: bytes) -> None:
    flow = flow_of(dialect)
    before = b": hello\n\n"
    assert flow.feed(before + broken + before) == before
    assert "not of the form" in flow.failed
    assert not flow.finished
    assert flow.feed(before) == b""
    assert b"error" in flow.end()


@pytest.mark.parametrize("part", [b"data: " + b"x" * 65_530, b"data: x\r\n" * 7_000])
def test_an_event_that_never_ends_is_a_broken_form(part: bytes) -> None:
    flow = flow_of(Dialect.CHAT)
    for _ in range(EVENT_BYTES_MAX // len(part) + 2):
        assert flow.feed(part) == b""
    assert "over" in flow.failed


def test_what_follows_the_terminal_event_stays_behind_it() -> None:
    flow = flow_of(Dialect.CHAT)
    assert flow.feed(b"data: [DONE]\n\n: tail") == b""
    assert flow.feed(b"\n\n") == b""
    assert flow.end() == b"data: [DONE]\n\n: tail\n\n"
