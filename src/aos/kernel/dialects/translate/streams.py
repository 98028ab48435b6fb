"""Streams that are translated: an upstream's events are read, and written again in the client's dialect.

Any cut of the bytes gives the same; nothing but the terminal event waits. The stream and the plain answer carry the same
text, calls, stop reason and usage.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Raw, Struct

from aos.kernel.dialects.errors import error_event, read_error, translate_error_event
from aos.kernel.dialects.events import Cutter, EventTooLarge, data_of
from aos.kernel.dialects.passing import CUT, DONE, later_usage
from aos.kernel.dialects.tokens import Usage, plain_stop, tokens_of
from aos.kernel.dialects.translate.writers import Writer
from aos.kernel.dialects.values import Dialect, Tokens
from aos.kernel.errors import UpstreamFailed

CALLS_MAX: Final = 1_000
"""Calls of tools in one streamed answer; more is a broken form."""

_NOTHING: Final = Raw(b"null")


class _Function(Struct):
    name: str | None = None
    arguments: str | None = None


class _Call(Struct):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Delta(Struct):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(Struct):
    delta: _Delta | None = None
    finish_reason: str | None = None


class _ChatEvent(Struct):
    id: str | None = None
    choices: list[_Choice] | None = None
    usage: Usage | None = None
    error: Raw = _NOTHING
    object: str | None = None


class _Message(Struct):
    id: str = ""
    usage: Usage | None = None


class _Block(Struct):
    type: str = ""
    text: str = ""
    id: str = ""
    name: str = ""
    data: str = ""
    thinking: str = ""
    input: dict[str, Raw] = {}


class _BlockDelta(Struct):
    type: str = ""
    text: str = ""
    partial_json: str = ""
    thinking: str = ""
    signature: str = ""
    stop_reason: str | None = None
    stop_sequence: str | None = None


class _MessagesEvent(Struct):
    type: str = ""
    index: int = 0
    message: _Message | None = None
    content_block: _Block | None = None
    delta: _BlockDelta | None = None
    usage: Usage | None = None


_CHAT: Final = msgspec.json.Decoder(_ChatEvent)
_MESSAGES: Final = msgspec.json.Decoder(_MessagesEvent)
_BROKEN: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError)


class TranslatedFlow:
    """A stream read in one dialect and written in another. A subclass reads one event and tells the writer of it."""

    __slots__ = ("_client", "_cutter", "_kept", "_writer", "failed", "finished", "stop_reason", "tokens")

    def __init__(self, client: Dialect, writer: Writer) -> None:
        self.tokens: Tokens | None = None
        self.finished = False
        self.failed = ""
        self.stop_reason = ""
        self._client = client
        self._writer = writer
        self._cutter = Cutter()
        self._kept = b""

    def feed(self, data: bytes) -> bytes:
        """Translate the events that are whole."""
        if self.finished or self.failed:
            return b""
        try:
            whole, ends = self._cutter.cut(data)
        except EventTooLarge as error:
            self.failed = str(error)
            return b""
        return self._translate(whole, ends)

    def close(self) -> bytes:
        """Translate what is left; an answer that said why it ended is whole without its terminal event."""
        if self.finished or self.failed:
            return b""
        left = self._cutter.rest()
        out = self._translate(left, [len(left)]) if left.strip() else b""
        if self.stop_reason and not self.finished and not self.failed:
            out += self._end_all()
        if not self.finished and not self.failed:
            self.failed = CUT
        return out

    def end(self) -> bytes:
        """Return the terminal event, or the event of the failure."""
        kept, self._kept = self._kept, b""
        if self.failed and not kept:
            return error_event(self._client, UpstreamFailed(self.failed))
        return kept

    def _translate(self, whole: bytes, ends: list[int]) -> bytes:
        out: list[bytes] = []
        start = 0
        for end in ends:
            data = data_of(whole[start:end])
            start = end
            if not data:
                continue
            try:
                out.append(self._read(data))
            except _BROKEN as error:
                self.failed = f"the model's server sent an event that cannot be told: {error}"
            if self.finished or self.failed:
                break
        return b"".join(out)

    def _read(self, data: bytes) -> bytes:
        raise AssertionError("a subclass reads")

    def _fail(self, data: bytes) -> bytes:
        self.failed = read_error(data)[0]
        self._kept = translate_error_event(data, self._client)
        return b""

    def _end_all(self) -> bytes:
        return self._finish(None)

    def _finish(self, stop_sequence: str | None) -> bytes:
        last, self._kept = self._writer.finish(self.stop_reason, stop_sequence=stop_sequence, tokens=self.tokens)
        self.finished = True
        return last


class FromChat(TranslatedFlow):
    """Reads a stream of chat/completions, its first choice."""

    __slots__ = ("_begun", "_filled", "_ids")

    def __init__(self, client: Dialect, writer: Writer) -> None:
        super().__init__(client, writer)
        self._begun = False
        self._ids: list[int] = []
        self._filled: set[int] = set()

    def _read(self, data: bytes) -> bytes:
        if data.startswith(DONE):
            return self._end_all()
        event = _CHAT.decode(data)
        if not event.choices and (bytes(event.error) != b"null" or event.object == "error"):
            return self._fail(data)
        if event.usage is not None:
            self.tokens = tokens_of(Dialect.CHAT, event.usage) or self.tokens
        out: list[bytes] = []
        if not self._begun:
            self._begun = True
            out.append(self._writer.begin(event.id or "unnamed"))
        for choice in event.choices or ():
            if choice.delta is not None:
                out += self._take(choice.delta)
            if choice.finish_reason is not None:
                self.stop_reason = plain_stop(choice.finish_reason)
        return b"".join(out)

    def _take(self, delta: _Delta) -> list[bytes]:
        out = [self._writer.text(text) for text in (delta.content, delta.refusal) if text]
        for call in delta.tool_calls or ():
            out.append(self._begin_call(call))
            place = self._place(call)
            arguments = call.function.arguments if call.function else None
            if arguments:
                self._filled.add(place)
                out.append(self._writer.arguments(place, arguments))
        return out

    def _begin_call(self, call: _Call) -> bytes:
        """Begin a call that is new: by its index, or where the server gives none by its id."""
        known = call.index in self._ids if call.index is not None else not call.id and bool(self._ids)
        if known:
            return b""
        place = len(self._ids)
        if place >= CALLS_MAX:
            raise ValueError(f"the answer has over {CALLS_MAX} calls")
        if call.function is None or not call.function.name:
            raise ValueError("a call has no name")
        self._ids.append(place if call.index is None else call.index)
        return self._writer.call(place, call.id or f"call_{place}", name=call.function.name)

    def _place(self, call: _Call) -> int:
        return len(self._ids) - 1 if call.index is None else self._ids.index(call.index)

    def _end_all(self) -> bytes:
        # In messages a call without arguments is one whose block stayed empty.
        places = range(len(self._ids)) if self._client is not Dialect.MESSAGES else ()
        empty = [place for place in places if place not in self._filled]
        return b"".join(self._writer.arguments(place, "{}") for place in empty) + self._finish(None)


class FromMessages(TranslatedFlow):
    """Reads a stream of messages."""

    __slots__ = ("_calls", "_filled", "_sequence", "_usage")

    def __init__(self, client: Dialect, writer: Writer) -> None:
        super().__init__(client, writer)
        self._usage: Usage | None = None
        self._sequence: str | None = None
        self._calls: dict[int, int] = {}
        self._filled: set[int] = set()

    def _read(self, data: bytes) -> bytes:
        event = _MESSAGES.decode(data)
        match event.type:
            case "message_start":
                message = event.message or _Message()
                self._count(message.usage)
                return self._writer.begin(message.id or "unnamed")
            case "content_block_start":
                return self._start(event.index, event.content_block or _Block())
            case "content_block_delta":
                return self._go_on(event.index, event.delta or _BlockDelta())
            case "content_block_stop":
                place = self._calls.get(event.index)
                return b"" if place is None or place in self._filled else self._fill(place, "{}")
            case "message_delta":
                self._count(event.usage)
                if event.delta and event.delta.stop_reason:
                    self.stop_reason = plain_stop(event.delta.stop_reason)
                    self._sequence = event.delta.stop_sequence
                return b""
            case "message_stop":
                return self._end_all()
            case "error":
                return self._fail(data)
            case _:
                return b""

    def _end_all(self) -> bytes:
        return self._finish(self._sequence)

    def _start(self, index: int, block: _Block) -> bytes:
        match block.type:
            case "text":
                return self._writer.text(block.text)
            case "thinking":
                return self._writer.thought(block.thinking)
            case "redacted_thinking":
                return self._writer.redacted(block.data)
            case "tool_use":
                place = len(self._calls)
                if place >= CALLS_MAX:
                    raise ValueError(f"the answer has over {CALLS_MAX} calls")
                self._calls[index] = place
                begun = self._writer.call(place, block.id, name=block.name)
                return begun + (self._fill(place, msgspec.json.encode(block.input).decode()) if block.input else b"")
            case _:
                return b""

    def _go_on(self, index: int, delta: _BlockDelta) -> bytes:
        match delta.type:
            case "text_delta":
                return self._writer.text(delta.text)
            case "thinking_delta":
                return self._writer.thought(delta.thinking)
            case "signature_delta":
                return self._writer.sign(delta.signature)
            case "input_json_delta" if delta.partial_json and index in self._calls:
                return self._fill(self._calls[index], delta.partial_json)
            case _:
                return b""

    def _fill(self, place: int, text: str) -> bytes:
        self._filled.add(place)
        return self._writer.arguments(place, text)

    def _count(self, usage: Usage | None) -> None:
        self._usage = later_usage(self._usage, usage)
        self.tokens = tokens_of(Dialect.MESSAGES, self._usage)
