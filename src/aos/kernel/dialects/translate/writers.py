"""Writing a streamed answer for chat and messages clients, from what an upstream of another dialect says bit by bit.

A writer is told what happens and returns the bytes to send. What it returns at `finish` is what goes at once and the
terminal event, which waits.
"""

from __future__ import annotations

from typing import Protocol

from aos.kernel.dialects.translate.fields import encode
from aos.kernel.dialects.translate.shown import chat_stop, chat_usage, messages_stop, messages_usage
from aos.kernel.dialects.values import Tokens


class Writer(Protocol):
    """What a streamed answer is written with. Calls are named by their place among the calls, from 0."""

    def begin(self, answer_id: str) -> bytes:
        """Begin the answer."""
        ...

    def text(self, text: str) -> bytes:
        """Go on with the text."""
        ...

    def thought(self, text: str) -> bytes:
        """Go on with a thought."""
        ...

    def sign(self, signature: str) -> bytes:
        """End the thought under way with its maker's signature."""
        ...

    def redacted(self, data: str) -> bytes:
        """Add a thought that only its maker can read."""
        ...

    def call(self, place: int, call_id: str, *, name: str) -> bytes:
        """Begin a call of a tool."""
        ...

    def arguments(self, place: int, text: str) -> bytes:
        """Go on with the arguments of a call."""
        ...

    def finish(self, stop: str, *, stop_sequence: str | None, tokens: Tokens | None) -> tuple[bytes, bytes]:
        """End the answer: return what goes at once, and the terminal event."""
        ...


class ChatWriter:
    """Writes chat/completions chunks; thoughts have no place there."""

    __slots__ = ("_created", "_drop_usage", "_id", "_model")

    def __init__(self, *, model: str, created: int, drop_usage: bool) -> None:
        self._model = model
        self._created = created
        self._drop_usage = drop_usage
        self._id = ""

    def begin(self, answer_id: str) -> bytes:
        """Begin with the chunk that names the speaker."""
        self._id = answer_id
        return self._chunk({"role": "assistant", "content": ""})

    def text(self, text: str) -> bytes:
        """Go on with the text."""
        return self._chunk({"content": text}) if text else b""

    def thought(self, text: str) -> bytes:
        """Leave the thought out."""
        return b""

    def sign(self, signature: str) -> bytes:
        """Leave the signature out."""
        return b""

    def redacted(self, data: str) -> bytes:
        """Leave the thought out."""
        return b""

    def call(self, place: int, call_id: str, *, name: str) -> bytes:
        """Begin a call, its arguments empty."""
        function = {"name": name, "arguments": ""}
        return self._chunk({"tool_calls": [{"index": place, "id": call_id, "type": "function", "function": function}]})

    def arguments(self, place: int, text: str) -> bytes:
        """Go on with the arguments."""
        return self._chunk({"tool_calls": [{"index": place, "function": {"arguments": text}}]})

    def finish(self, stop: str, *, stop_sequence: str | None, tokens: Tokens | None) -> tuple[bytes, bytes]:
        """End with the reason, the usage where it is wanted, and `[DONE]`."""
        last = self._chunk({}, chat_stop(stop))
        if tokens and not self._drop_usage:
            last += self._data({"choices": [], "usage": chat_usage(tokens)})
        return last, b"data: [DONE]\n\n"

    def _chunk(self, delta: dict[str, object], reason: str | None = None) -> bytes:
        return self._data({"choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}]})

    def _data(self, more: dict[str, object]) -> bytes:
        head = {"id": self._id, "object": "chat.completion.chunk", "created": self._created, "model": self._model}
        return b"data: %b\n\n" % encode({**head, **more})


class MessagesWriter:
    """Writes messages events: one block after the other, a block ended by the next one's beginning."""

    __slots__ = ("_blocks", "_calls", "_model", "_open")

    def __init__(self, *, model: str) -> None:
        self._model = model
        self._open = ""
        self._blocks = 0
        self._calls: dict[int, int] = {}

    def begin(self, answer_id: str) -> bytes:
        """Begin the message; its usage is not known yet and comes with its end."""
        message: dict[str, object] = {
            "id": answer_id,
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 0, "output_tokens": 0},
        }
        return _event("message_start", {"message": message})

    def text(self, text: str) -> bytes:
        """Go on with the text, in a block of its own."""
        if not text:
            return b""
        start = b"" if self._open == "text" else self._start("text", {"type": "text", "text": ""})
        return start + self._delta(self._blocks - 1, {"type": "text_delta", "text": text})

    def thought(self, text: str) -> bytes:
        """Leave thoughts out: those of another maker are unsigned and could not be sent back."""
        return b""

    def sign(self, signature: str) -> bytes:
        """Leave the signature out with its thought."""
        return b""

    def redacted(self, data: str) -> bytes:
        """Leave the thought out."""
        return b""

    def call(self, place: int, call_id: str, *, name: str) -> bytes:
        """Begin a block for the call."""
        started = self._start("tool_use", {"type": "tool_use", "id": call_id, "name": name, "input": {}})
        self._calls[place] = self._blocks - 1
        return started

    def arguments(self, place: int, text: str) -> bytes:
        """Go on with the arguments, in the call's own block even if another has begun."""
        return self._delta(self._calls[place], {"type": "input_json_delta", "partial_json": text})

    def finish(self, stop: str, *, stop_sequence: str | None, tokens: Tokens | None) -> tuple[bytes, bytes]:
        """End with the reason and all of the usage, then `message_stop`."""
        delta = {"stop_reason": messages_stop(stop, stop_sequence), "stop_sequence": stop_sequence}
        usage = messages_usage(tokens or Tokens())
        last = self._stop() + _event("message_delta", {"delta": delta, "usage": usage})
        return last, _event("message_stop", {})

    def _start(self, sort: str, block: dict[str, object]) -> bytes:
        stopped = self._stop()
        self._open, index = sort, self._blocks
        self._blocks += 1
        return stopped + _event("content_block_start", {"index": index, "content_block": block})

    def _stop(self) -> bytes:
        if not self._open:
            return b""
        self._open = ""
        return _event("content_block_stop", {"index": self._blocks - 1})

    def _delta(self, index: int, delta: dict[str, object]) -> bytes:
        return _event("content_block_delta", {"index": index, "delta": delta})


def _event(name: str, fields: dict[str, object]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode("ascii"), encode({"type": name, **fields}))
