"""What a whole answer tells the ledger, in every dialect."""

from __future__ import annotations

import json

import pytest

from aos.kernel.dialects.tokens import Answered, read_answer
from aos.kernel.dialects.values import Dialect, Tokens

CHAT = {
    "model": "up",
    "choices": [{"message": {"content": "hi", "tool_calls": [{"id": "1"}]}, "finish_reason": "tool_calls"}],
    "usage": {
        "prompt_tokens": 20,
        "completion_tokens": 9,
        "prompt_tokens_details": {"cached_tokens": 5, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 4},
    },
}
RESPONSES = {
    "model": "up",
    "status": "incomplete",
    "incomplete_details": {"reason": "max_output_tokens"},
    "output": [
        {"type": "reasoning", "summary": []},
        {"type": "message", "content": [{"type": "output_text", "text": "hi"}]},
    ],
    "usage": {
        "input_tokens": 20,
        "input_tokens_details": {"cached_tokens": 5},
        "output_tokens": 9,
        "output_tokens_details": {"reasoning_tokens": 4},
    },
}
MESSAGES = {
    "model": "up",
    "content": [
        {"type": "thinking", "thinking": "hm"},
        {"type": "text", "text": "hi"},
        {"type": "tool_use", "id": "1", "name": "x", "input": {}},
    ],
    "stop_reason": "tool_use",
    "usage": {
        "input_tokens": 10,
        "cache_read_input_tokens": 5,
        "cache_creation_input_tokens": 5,
        "output_tokens": 9,
        "output_tokens_details": {"thinking_tokens": 4},
    },
}


@pytest.mark.parametrize(
    ("dialect", "answer", "wanted"),
    [
        (Dialect.CHAT, CHAT, Answered(Tokens(20, 5, 0, 9, 4), "tool_calls", "hi", 1, "up")),
        (Dialect.RESPONSES, RESPONSES, Answered(Tokens(20, 5, 0, 9, 4), "length", "hi", 0, "up")),
        (Dialect.MESSAGES, MESSAGES, Answered(Tokens(20, 5, 5, 9, 4), "tool_calls", "hi", 1, "up")),
        (Dialect.COUNT_TOKENS, {"input_tokens": 33}, Answered(Tokens(input=33), "stop")),
        (
            Dialect.EMBEDDINGS,
            {"model": "up", "data": [{"embedding": [0.5]}], "usage": {"prompt_tokens": 8, "total_tokens": 8}},
            Answered(Tokens(input=8), "stop", model="up"),
        ),
        (Dialect.CHAT, {"choices": []}, Answered()),
    ],
)
def test_an_answer_is_read_in_one_form(dialect: Dialect, answer: dict[str, object], wanted: Answered) -> None:
    assert read_answer(dialect, json.dumps(answer).encode()) == wanted


def test_a_part_is_never_larger_than_its_whole() -> None:
    usage = {"prompt_tokens": 4, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 9}}
    read = read_answer(Dialect.CHAT, json.dumps({"choices": [], "usage": usage}).encode())
    assert read.tokens == Tokens(4, 4, 0, 2, 0)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"usage":{"prompt_tokens":-1}}', b'{"choices":{}}'])
def test_what_is_no_answer_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="not of the form"):
        read_answer(Dialect.CHAT, body)
