"""Writing a streamed answer for responses clients, whose last events repeat all that was said before.

So the answer is collected while it streams, up to a named limit; past it the stream fails rather than grow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from aos.kernel.dialects.translate.fields import encode
from aos.kernel.dialects.translate.neutral import Block, Call, Redacted, Text, Thought
from aos.kernel.dialects.translate.shown import item_of, response_id, response_of, response_status, responses_usage
from aos.kernel.dialects.values import Tokens

COLLECTED_CHARS_MAX: Final = 4 * 1_048_576
"""Most characters of one streamed answer that are kept to be repeated at its end."""


@dataclass(slots=True)
class _Item:
    """One item of the output under way."""

    index: int
    sort: str
    call_id: str = ""
    name: str = ""
    texts: list[str] = field(default_factory=list)
    signature: str = ""
    done: bool = False

    def block(self) -> Block:
        """Return the item as it stands."""
        text = "".join(self.texts)
        match self.sort:
            case "text":
                return Text(text)
            case "call":
                return Call(self.call_id, self.name, text)
            case "redacted":
                return Redacted(self.signature)
            case _:
                return Thought(text, self.signature)


class ResponsesWriter:
    """Writes responses events. Calls are ended all at the end, since their arguments may come interleaved."""

    __slots__ = ("_calls", "_collected", "_created", "_id", "_items", "_model", "_number")

    def __init__(self, *, model: str, created: int) -> None:
        self._model = model
        self._created = created
        self._id = ""
        self._number = 0
        self._items: list[_Item] = []
        self._calls: dict[int, _Item] = {}
        self._collected = 0

    def begin(self, answer_id: str) -> bytes:
        """Begin the response."""
        self._id = response_id(answer_id)
        shown = {"response": self._response("in_progress", [])}
        return self._event("response.created", shown) + self._event("response.in_progress", shown)

    def text(self, text: str) -> bytes:
        """Go on with the text, in an item of its own."""
        if not text:
            return b""
        item, started = self._current("text")
        if started:
            started += self._part(item, "response.content_part.added", "")
        self._collect(item, text)
        where = {**self._where(item), "content_index": 0}
        return started + self._event("response.output_text.delta", {**where, "delta": text, "logprobs": []})

    def thought(self, text: str) -> bytes:
        """Go on with a thought, shown as the summary of reasoning."""
        if not text:
            return b""
        item, started = self._current("thought")
        if not item.texts:
            started += self._summary(item, "response.reasoning_summary_part.added", "")
        self._collect(item, text)
        where = {**self._where(item), "summary_index": 0}
        return started + self._event("response.reasoning_summary_text.delta", {**where, "delta": text})

    def sign(self, signature: str) -> bytes:
        """End the thought under way; its signature is kept as encrypted content."""
        item, started = self._current("thought")
        item.signature = signature
        return started + self._end(item)

    def redacted(self, data: str) -> bytes:
        """Add a thought that only its maker can read."""
        item, started = self._current("redacted")
        item.signature = data
        return started + self._end(item)

    def call(self, place: int, call_id: str, *, name: str) -> bytes:
        """Begin a call."""
        ended = self._end_last()
        item = _Item(len(self._items), "call", call_id=call_id, name=name)
        self._items.append(item)
        self._calls[place] = item
        return ended + self._added(item)

    def arguments(self, place: int, text: str) -> bytes:
        """Go on with the arguments of a call."""
        item = self._calls[place]
        self._collect(item, text)
        return self._event("response.function_call_arguments.delta", {**self._where(item), "delta": text})

    def finish(self, stop: str, *, stop_sequence: str | None, tokens: Tokens | None) -> tuple[bytes, bytes]:
        """End every item, then the response with all of its output."""
        status = response_status(stop)
        state = status.partition(":")[0]
        # What was cut short is the last item; those before it were whole.
        states = ["completed"] * (len(self._items) - 1) + [state]
        pairs = list(zip(self._items, states, strict=False))
        last = b"".join(self._end(item, each) for item, each in pairs)
        output = [self._shown(item, each) for item, each in pairs]
        usage = responses_usage(tokens) if tokens else None
        return last, self._event(f"response.{state}", {"response": self._response(status, output, usage)})

    def _current(self, sort: str) -> tuple[_Item, bytes]:
        """Return the item of a sort that is under way, and the events that begin it where there was none."""
        if self._items and self._items[-1].sort == sort and not self._items[-1].done:
            return self._items[-1], b""
        ended = self._end_last()
        item = _Item(len(self._items), sort)
        self._items.append(item)
        return item, ended + self._added(item)

    def _added(self, item: _Item) -> bytes:
        shown: dict[str, object] = {**self._shown(item, "in_progress")}
        if item.sort == "text":
            shown["content"] = []
        if item.sort in ("thought", "redacted"):
            shown["encrypted_content"] = None
        return self._event("response.output_item.added", {"output_index": item.index, "item": shown})

    def _end_last(self) -> bytes:
        return self._end(self._items[-1]) if self._items and self._items[-1].sort != "call" else b""

    def _end(self, item: _Item, status: str = "completed") -> bytes:
        if item.done:
            return b""
        item.done = True
        text = "".join(item.texts)
        out = b""
        if item.sort == "text":
            where = {**self._where(item), "content_index": 0}
            out = self._event("response.output_text.done", {**where, "text": text, "logprobs": []})
            out += self._part(item, "response.content_part.done", text)
        elif item.sort == "call":
            shown = {**self._where(item), "name": item.name, "arguments": text}
            out = self._event("response.function_call_arguments.done", shown)
        elif text:
            where = {**self._where(item), "summary_index": 0}
            out = self._event("response.reasoning_summary_text.done", {**where, "text": text})
            out += self._summary(item, "response.reasoning_summary_part.done", text)
        shown = {"output_index": item.index, "item": self._shown(item, status)}
        return out + self._event("response.output_item.done", shown)

    def _part(self, item: _Item, name: str, text: str) -> bytes:
        part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
        return self._event(name, {**self._where(item), "content_index": 0, "part": part})

    def _summary(self, item: _Item, name: str, text: str) -> bytes:
        part = {"type": "summary_text", "text": text}
        return self._event(name, {**self._where(item), "summary_index": 0, "part": part})

    def _shown(self, item: _Item, status: str) -> dict[str, object]:
        return item_of(item.block(), response=self._id, index=item.index, status=status)

    def _where(self, item: _Item) -> dict[str, object]:
        prefix = {"text": "msg", "call": "fc"}.get(item.sort, "rs")
        return {"item_id": f"{prefix}_{self._id}_{item.index}", "output_index": item.index}

    def _collect(self, item: _Item, text: str) -> None:
        self._collected += len(text)
        if self._collected > COLLECTED_CHARS_MAX:
            raise ValueError(f"the answer is over {COLLECTED_CHARS_MAX} characters")
        item.texts.append(text)

    def _response(self, status: str, output: list[dict[str, object]], usage: object = None) -> dict[str, object]:
        return response_of(
            response=self._id, model=self._model, created=self._created, status=status, output=output, usage=usage
        )

    def _event(self, name: str, fields: Mapping[str, object]) -> bytes:
        body = {"type": name, **fields, "sequence_number": self._number}
        self._number += 1
        return b"event: %b\ndata: %b\n\n" % (name.encode("ascii"), encode(body))
