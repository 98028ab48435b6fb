"""What a request to the local model may say, and how its answers and errors are written: OpenAI's chat dialect.

Only what is named here reaches the engine, which knows many words more (grammars, slots, files) that are no client's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

MODEL_NAME: Final = "smollm2-135m"
OUTPUT_TOKENS_MAX: Final = 1_024
"""Longest answer, and how long one may get where the request does not say."""
STOPS_MAX: Final = 8
_SCHEMA_BYTES_MAX: Final = 16_384

Json = dict[str, Any]


class Refusal(Exception):
    """A request that is not answered: its status, its code and a sentence."""

    def __init__(self, status: int, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param

    def body(self) -> bytes:
        """Return it in OpenAI's form."""
        kind = {401: "authentication_error", 503: "server_error", 500: "server_error"}.get(
            self.status, "invalid_request_error"
        )
        error = {"message": self.message, "type": kind, "param": self.param, "code": self.code}
        return msgspec.json.encode({"error": error})


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that the engine may be given: as a stream that ends with its usage, whatever the client asked for."""

    body: Json
    stream: bool
    usage_shown: bool


def read_request(content: bytes) -> Asked:
    """Return what a body asks for; raise Refusal with status 400 where that is not to be had."""
    try:
        found = msgspec.json.decode(content)
    except msgspec.DecodeError as error:
        raise Refusal(400, f"the body is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise Refusal(400, "the body is no JSON object")
    for name in ("tools", "functions"):
        if found.get(name):
            raise Refusal(400, "this model calls no tools", code="unsupported_parameter", param=name)
    if found.get("n") not in (None, 1):
        raise Refusal(400, "this model gives one answer: `n` must be 1", code="unsupported_value", param="n")
    body: Json = {
        "messages": _messages(found.get("messages")),
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    for name, is_right in _OPTIONS.items():
        value = found.get(name)
        if value is not None:
            if not is_right(value):
                raise Refusal(400, f"`{name}` has a value that is not possible", code="invalid_value", param=name)
            body[name] = value
    limit = body.pop("max_completion_tokens", None) or body.get("max_tokens") or OUTPUT_TOKENS_MAX
    body["max_tokens"] = min(limit, OUTPUT_TOKENS_MAX)
    options = found.get("stream_options")
    shown = isinstance(options, dict) and options.get("include_usage") is True
    return Asked(body, found.get("stream") is True, shown)


def _messages(found: Any) -> list[Json]:
    if not isinstance(found, list) or not found:
        raise Refusal(400, "`messages` must be a list with at least one message", param="messages")
    messages = []
    for number, each in enumerate(found):
        at = f"messages.{number}"
        if not isinstance(each, dict) or each.get("role") not in ("system", "developer", "user", "assistant"):
            raise Refusal(400, f"`{at}` must be an object whose role is system, user or assistant", param=at)
        role = "system" if each["role"] == "developer" else each["role"]
        messages.append({"role": role, "content": _text(each.get("content"), at=at)})
    return messages


def _text(content: Any, *, at: str) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else [None]
    texts = [part.get("text") for part in parts if isinstance(part, dict) and part.get("type") == "text"]
    if len(texts) != len(parts) or not all(isinstance(text, str) for text in texts):
        raise Refusal(400, f"`{at}.content` must be text: this model reads nothing else", param=f"{at}.content")
    return "\n".join(map(str, texts))


def _number(low: float, high: float) -> Callable[[Any], bool]:
    def is_right(value: Any) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high

    return is_right


def _whole(low: int, high: int) -> Callable[[Any], bool]:
    def is_right(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high

    return is_right


def _is_stop(value: Any) -> bool:
    words = value if isinstance(value, list) else [value]
    return len(words) <= STOPS_MAX and all(isinstance(word, str) and 0 < len(word) <= 100 for word in words)


def _is_format(value: Any) -> bool:
    if not isinstance(value, dict) or value.get("type") not in ("text", "json_object", "json_schema"):
        return False
    return len(msgspec.json.encode(value)) <= _SCHEMA_BYTES_MAX


_OPTIONS: Final[dict[str, Callable[[Any], bool]]] = {
    "frequency_penalty": _number(-2, 2),
    "max_completion_tokens": _whole(1, 2**31 - 1),
    "max_tokens": _whole(1, 2**31 - 1),
    "presence_penalty": _number(-2, 2),
    "response_format": _is_format,
    "seed": _whole(0, 2**31 - 1),
    "stop": _is_stop,
    "temperature": _number(0, 2),
    "top_p": _number(0, 1),
}


def refusal_of(error: Any) -> Refusal:
    """Return the engine's own error as a client reads it."""
    found = error if isinstance(error, dict) else {}
    message = str(found.get("message", "the model failed"))
    if found.get("type") == "exceed_context_size_error":
        return Refusal(400, message, code="context_length_exceeded", param="messages")
    status = found.get("code")
    return Refusal(400 if isinstance(status, int) and 400 <= status < 500 else 500, message)


def shown_chunk(chunk: Json) -> Json:
    """Return a chunk without what says where the model's file lies and how fast this machine is."""
    kept = ("id", "object", "created", "choices", "usage")
    return {"model": MODEL_NAME, **{name: chunk[name] for name in kept if name in chunk}}


def whole_answer(chunks: list[Json]) -> bytes:
    """Return the plain answer that a stream's chunks come to."""
    text: list[str] = []
    finish: str | None = None
    usage: Json = {}
    for chunk in chunks:
        usage = chunk.get("usage") or usage
        for choice in chunk.get("choices", ()):
            text.append(choice.get("delta", {}).get("content") or "")
            finish = choice.get("finish_reason") or finish
    message = {"role": "assistant", "content": "".join(text), "refusal": None}
    answer = {
        **shown_chunk({**chunks[0], "object": "chat.completion"}),
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
        "usage": usage,
    }
    return msgspec.json.encode(answer)
