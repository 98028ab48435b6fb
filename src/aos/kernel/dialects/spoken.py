"""What a streamed answer said: the text of its many events, joined by the place in the answer that each belongs to.

It reads what goes to the client, in the client's dialect, and is for people to read later: what it does not know it passes
over. Memory is bounded: past `at_most` characters nothing more is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from aos.kernel.dialects.events import Cutter, EventTooLarge, data_of
from aos.kernel.dialects.values import Dialect
from aos.kernel.json import Json

PLACES_MAX: Final = 2_000
"""Texts and calls that one answer may have; what comes beyond is left out."""

_CHAT: Final = {"content": "text", "refusal": "refusal", "reasoning_content": "thinking", "reasoning": "thinking"}
_MESSAGES: Final = {"text": "text", "thinking": "thinking", "partial_json": "arguments"}
_RESPONSES: Final = {
    "response.output_text.delta": "text",
    "response.refusal.delta": "refusal",
    "response.reasoning_summary_text.delta": "thinking",
    "response.reasoning_text.delta": "thinking",
    "response.function_call_arguments.delta": "arguments",
    "response.custom_tool_call_input.delta": "arguments",
}


class Spoken:
    """Collects what a stream of one dialect says."""

    def __init__(self, dialect: Dialect, *, at_most: int) -> None:
        self._pieces = {Dialect.CHAT: _chat, Dialect.MESSAGES: _messages, Dialect.RESPONSES: _responses}.get(dialect)
        self._cutter = Cutter()
        self._left = at_most
        self._places: dict[tuple[object, ...], dict[str, list[str]]] = {}

    def add(self, data: bytes) -> None:
        """Take bytes of the stream, cut anywhere."""
        if self._pieces is None or self._left <= 0:
            return
        try:
            whole, ends = self._cutter.cut(data)
        except EventTooLarge:
            self._left = 0
            return
        start = 0
        for end in ends:
            self._take(data_of(whole[start:end]))
            start = end

    def parts(self) -> list[Json]:
        """Return what was said so far, in the order in which it began: `{"text": ...}`, `{"name": ..., "arguments": ...}`."""
        return [{name: "".join(texts) for name, texts in place.items()} for place in self._places.values()]

    def _take(self, data: bytes) -> None:
        try:
            event = msgspec.json.decode(data) if data else None
        except (ValueError, RecursionError):
            return
        if not isinstance(event, dict) or self._pieces is None:
            return
        for place, name, text in self._pieces(event):
            if not isinstance(text, str) or not text or self._left <= 0:
                continue
            if place not in self._places and len(self._places) >= PLACES_MAX:
                continue
            self._places.setdefault(place, {}).setdefault(name, []).append(text)
            self._left -= len(text)


_Piece = tuple[tuple[object, ...], str, Any]


def _chat(event: Mapping[str, Any]) -> Iterator[_Piece]:
    for choice in _objects(event.get("choices")):
        delta, index = _object(choice.get("delta")), _index(choice.get("index"))
        yield from (((index, sort), sort, delta.get(name)) for name, sort in _CHAT.items())
        for call in _objects(delta.get("tool_calls")):
            function, place = _object(call.get("function")), (index, "call", _index(call.get("index")))
            yield place, "name", function.get("name")
            yield place, "arguments", function.get("arguments")


def _messages(event: Mapping[str, Any]) -> Iterator[_Piece]:
    place = (_index(event.get("index")),)
    if event.get("type") == "content_block_start":
        block = _object(event.get("content_block"))
        yield place, "name", block.get("name")
        yield place, "text", block.get("text")
    elif event.get("type") == "content_block_delta":
        delta = _object(event.get("delta"))
        yield from ((place, sort, delta.get(name)) for name, sort in _MESSAGES.items())


def _responses(event: Mapping[str, Any]) -> Iterator[_Piece]:
    sort, place = str(event.get("type")), (_index(event.get("output_index")),)
    if sort == "response.output_item.added":
        yield place, "name", _object(event.get("item")).get("name")
    elif sort in _RESPONSES:
        yield place, _RESPONSES[sort], event.get("delta")


def _index(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
