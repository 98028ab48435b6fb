"""What a stream said is put together from its events, in every dialect, wherever the network cut it, and never past its bound."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aos.kernel.dialects.spoken import Spoken
from aos.kernel.dialects.values import Dialect
from tests.contract.model_wire import Call, Reply

REPLY = Reply(
    "Good morning, maria@larkspur.example, I am a model.",
    (Call("call_1", "weather", {"city": "Zürich", "days": 3}), Call("call_2", "mail", {"to": "joe@larkspur.example"})),
)
STREAMS = {
    Dialect.CHAT: b"".join(REPLY.chat_events()),
    Dialect.MESSAGES: b"".join(REPLY.messages_events()),
    Dialect.RESPONSES: b"".join(REPLY.responses_events()),
}


def said(spoken: Spoken) -> list[Any]:
    """Return what was said, with the arguments of calls read."""
    return [
        {**part, "arguments": json.loads(part["arguments"])} if "arguments" in part else part for part in parts(spoken)
    ]


def parts(spoken: Spoken) -> list[Any]:
    return [part for part in spoken.parts() if isinstance(part, dict) and "thinking" not in part]


@pytest.mark.parametrize("dialect", STREAMS)
@given(size=st.integers(1, 400))
def test_a_stream_says_the_same_wherever_it_is_cut(dialect: Dialect, size: int) -> None:
    stream, spoken = STREAMS[dialect], Spoken(dialect, at_most=10_000)
    for start in range(0, len(stream), size):
        spoken.add(stream[start : start + size])
    calls = [{"name": call.name, "arguments": dict(call.arguments)} for call in REPLY.calls]
    assert said(spoken) == [{"text": REPLY.text}, *calls]


@pytest.mark.parametrize("dialect", STREAMS)
def test_no_more_is_kept_than_is_wanted(dialect: Dialect) -> None:
    spoken = Spoken(dialect, at_most=20)
    for _ in range(1_000):
        spoken.add(STREAMS[dialect])
    assert sum(len(text) for part in parts(spoken) for text in part.values()) < 60


@given(st.binary(max_size=300))
def test_what_is_no_stream_says_nothing_and_breaks_nothing(data: bytes) -> None:
    for dialect in (*STREAMS, Dialect.EMBEDDINGS):
        spoken = Spoken(dialect, at_most=100)
        spoken.add(b"data: " + data + b"\n\n")
        spoken.add(b'data: {"choices": [1, {"delta": 3}], "type": [], "index": {}}\n\n')
        assert isinstance(spoken.parts(), list)
