"""Streams whose bytes stay as they are, because client and upstream speak one dialect.

Every event is decoded as far as the ledger needs it and no further, so that a form that breaks is noticed at once.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from aos.kernel.dialects.errors import error_event, read_error
from aos.kernel.dialects.events import Cutter, EventTooLarge, data_of
from aos.kernel.dialects.tokens import Usage, plain_stop, responses_stop, tokens_of
from aos.kernel.dialects.values import Dialect, Tokens
from aos.kernel.errors import UpstreamFailed

AFTER_END_BYTES_MAX: Final = 65_536
"""What may come after the terminal event; more is a broken form."""

DONE: Final = b"[DONE]"
CUT: Final = "the model's server ended its answer before its last event"


class _Choice(Struct):
    finish_reason: str | None = None


class _ChatEvent(Struct):
    choices: list[_Choice] | None = None
    usage: Usage | None = None
    error: msgspec.Raw = msgspec.Raw(b"null")
    object: str | None = None


class _Stop(Struct):
    stop_reason: str | None = None


class _Begun(Struct):
    usage: Usage | None = None


class _MessagesEvent(Struct):
    type: str = ""
    message: _Begun | None = None
    delta: _Stop | None = None
    usage: Usage | None = None


class _Item(Struct):
    type: str = ""


class _Reason(Struct):
    reason: str | None = None


class _Response(Struct):
    status: str | None = None
    output: list[_Item] = []
    usage: Usage | None = None
    incomplete_details: _Reason | None = None
    error: msgspec.Raw = msgspec.Raw(b"null")


class _ResponsesEvent(Struct):
    type: str = ""


class _ResponsesEnd(Struct):
    response: _Response


_CHAT: Final = msgspec.json.Decoder(_ChatEvent)
_MESSAGES: Final = msgspec.json.Decoder(_MessagesEvent)
_RESPONSES: Final = msgspec.json.Decoder(_ResponsesEvent)
_RESPONSES_END: Final = msgspec.json.Decoder(_ResponsesEnd)
_LAST: Final = frozenset({"response.completed", "response.incomplete", "response.failed"})
_BROKEN: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class PassedFlow:
    """A stream whose bytes stay as they are: client and upstream speak one dialect.

    A subclass says of each event whether it goes on, is dropped, or is the last one, which is kept with all that follows.
    """

    __slots__ = ("_cutter", "_dialect", "_kept", "failed", "finished", "stop_reason", "tokens")

    GO: Final = 0
    DROP: Final = 1
    KEEP: Final = 2

    def __init__(self, dialect: Dialect) -> None:
        self.tokens: Tokens | None = None
        self.finished = False
        self.failed = ""
        self.stop_reason = ""
        self._dialect = dialect
        self._cutter = Cutter()
        self._kept = b""

    def feed(self, data: bytes) -> bytes:
        """Let whole events go, the terminal one excepted."""
        if self.finished or self.failed:
            self._keep_more(data)
            return b""
        try:
            whole, ends = self._cutter.cut(data)
        except EventTooLarge as error:
            return self._break(str(error))
        return self._pass(whole, ends)

    def close(self) -> bytes:
        """Take what is left as the last event; without a terminal event the answer was cut."""
        if self.finished or self.failed:
            return b""
        left = self._cutter.rest()
        out = self._pass(left, [len(left)]) if left.strip() else b""
        self.finished = self.finished or (self._is_whole() and not self.failed)
        if not self.finished and not self.failed:
            self.failed = CUT
        return out

    def end(self) -> bytes:
        """Return what was kept back, or the event of the failure where the upstream sent none."""
        kept, self._kept = self._kept, b""
        if self.failed and not kept:
            return error_event(self._dialect, UpstreamFailed(self.failed))
        return kept

    def _pass(self, whole: bytes, ends: list[int]) -> bytes:
        start, sent = 0, 0
        out: list[bytes] = []
        for end in ends:
            try:
                verdict = self._judge(data_of(whole[start:end] if len(ends) > 1 else whole))
            except _BROKEN as error:
                out.append(whole[sent:start])
                self._break(f"the model's server sent an event that is not of the form `{self._dialect}`: {error}")
                return b"".join(out)
            if verdict:
                out.append(whole[sent:start])
                sent = end
                if verdict == self.KEEP:
                    self._kept = whole[start:] + self._cutter.rest()
                    return b"".join(out)
            start = end
        return whole if not sent else b"".join((*out, whole[sent:]))

    def _judge(self, data: bytes) -> int:
        raise AssertionError("a subclass judges")

    def _is_whole(self) -> bool:
        """Tell whether the answer is whole although no terminal event came."""
        return False

    def _break(self, why: str) -> bytes:
        self.failed = why
        return b""

    def _keep_more(self, data: bytes) -> None:
        if self.finished and len(self._kept) + len(data) <= AFTER_END_BYTES_MAX:
            self._kept += data


class ChatFlow(PassedFlow):
    """A stream of chat/completions. A chunk that only carries usage is dropped where the client did not ask for it."""

    __slots__ = ("_drop_usage",)

    def __init__(self, *, drop_usage: bool) -> None:
        super().__init__(Dialect.CHAT)
        self._drop_usage = drop_usage

    def _is_whole(self) -> bool:
        """Tell whether the answer said why it ended: some servers send no `[DONE]`."""
        return bool(self.stop_reason)

    def _judge(self, data: bytes) -> int:
        if not data:
            return self.GO
        if data.startswith(DONE):
            self.finished = True
            return self.KEEP
        event = _CHAT.decode(data)
        if event.usage is not None:
            self.tokens = tokens_of(Dialect.CHAT, event.usage) or self.tokens
            if self._drop_usage and not event.choices:
                return self.DROP
        if event.choices:
            for choice in event.choices:
                if choice.finish_reason is not None:
                    self.stop_reason = plain_stop(choice.finish_reason)
        elif bytes(event.error) != b"null" or event.object == "error":
            self.failed = read_error(data)[0]
            return self.KEEP
        return self.GO


class MessagesFlow(PassedFlow):
    """A stream of messages: input is reported at its beginning, output at its end, counts that come later hold."""

    __slots__ = ("_usage",)

    def __init__(self) -> None:
        super().__init__(Dialect.MESSAGES)
        self._usage: Usage | None = None

    def _judge(self, data: bytes) -> int:
        if not data:
            return self.GO
        event = _MESSAGES.decode(data)
        match event.type:
            case "message_start":
                self._count(event.message.usage if event.message else None)
            case "message_delta":
                self._count(event.usage)
                if event.delta and event.delta.stop_reason:
                    self.stop_reason = plain_stop(event.delta.stop_reason)
            case "message_stop":
                self.finished = True
                return self.KEEP
            case "error":
                self.failed = read_error(data)[0]
                return self.KEEP
            case _:
                pass
        return self.GO

    def _count(self, usage: Usage | None) -> None:
        self._usage = later_usage(self._usage, usage)
        self.tokens = tokens_of(Dialect.MESSAGES, self._usage)


class ResponsesFlow(PassedFlow):
    """A stream of responses: all that counts stands in its terminal event."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(Dialect.RESPONSES)

    def _judge(self, data: bytes) -> int:
        if not data or data.startswith(DONE):
            return self.GO
        sort = _RESPONSES.decode(data).type
        if sort == "error":
            self.failed = read_error(data)[0]
            return self.KEEP
        if sort not in _LAST:
            return self.GO
        read = _RESPONSES_END.decode(data).response
        self.tokens = tokens_of(Dialect.RESPONSES, read.usage)
        calls = any(item.type in ("function_call", "custom_tool_call") for item in read.output)
        reason = read.incomplete_details.reason if read.incomplete_details else None
        self.stop_reason = responses_stop(sort.removeprefix("response."), reason, calls=calls)
        self.finished = True
        if sort == "response.failed":
            self.failed = read_error(bytes(read.error))[0]
        return self.KEEP


def later_usage(former: Usage | None, usage: Usage | None) -> Usage | None:
    """Return two reports of usage as one: a count that came later holds, one that did not come stays."""
    if former is None or usage is None:
        return usage or former
    merged = {name: getattr(usage, name) for name in Usage.__struct_fields__}
    kept = {name: getattr(former, name) for name, value in merged.items() if value is None}
    return Usage(**{**merged, **kept})
