"""One answer of a model in every dialect, whole and as the events of a stream: what a scripted server says.

The forms are those of the makers' own references; a `Reply` says what is in all of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aos.kernel.dialects.values import Tokens

DONE = b"data: [DONE]\n\n"
USED = Tokens(input=31, cached=8, output=12, reasoning=5)
_NOTHING_YET: Mapping[str, Mapping[str, Any]] = {"message": {"content": []}, "function_call": {"arguments": ""}}
_ANTHROPIC_STOPS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a tool that a model asks for."""

    id: str
    name: str
    arguments: Mapping[str, Any]

    @property
    def text(self) -> str:
        return json.dumps(self.arguments)

    def deltas(self) -> list[str]:
        """Return the arguments in three pieces that are no JSON by themselves."""
        third = max(1, len(self.text) // 3)
        return [self.text[:third], self.text[third : 2 * third], self.text[2 * third :]]


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model answers: text, calls of tools, why it ended and what it used."""

    text: str = "Good morning."
    calls: tuple[Call, ...] = ()
    tokens: Tokens = USED
    model: str = "upstream-model-2024"

    @property
    def stop(self) -> str:
        return "tool_calls" if self.calls else "stop"

    @property
    def words(self) -> list[str]:
        """Return the text in pieces, as a stream brings it."""
        return [word + " " for word in self.text.split(" ")[:-1]] + [self.text.split(" ")[-1]] if self.text else []

    # --- chat/completions ----------------------------------------------------------------------------------------

    def chat_usage(self) -> dict[str, Any]:
        used = self.tokens
        return {
            "prompt_tokens": used.input,
            "completion_tokens": used.output,
            "total_tokens": used.input + used.output,
            "prompt_tokens_details": {"cached_tokens": used.cached, "cache_write_tokens": used.cache_writes},
            "completion_tokens_details": {"reasoning_tokens": used.reasoning},
        }

    def chat(self) -> dict[str, Any]:
        """Return the whole answer of chat/completions."""
        message: dict[str, Any] = {"role": "assistant", "content": self.text or None, "refusal": None}
        if self.calls:
            message["tool_calls"] = [
                {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.text}}
                for call in self.calls
            ]
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self.stop}
        return {**self._chat_head("chat.completion"), "choices": [choice], "usage": self.chat_usage()}

    def chat_events(self, *, usage: bool = True) -> list[bytes]:
        """Return the stream of chat/completions."""
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        deltas += [{"content": word} for word in self.words]
        for index, call in enumerate(self.calls):
            function = {"name": call.name, "arguments": ""}
            deltas.append({"tool_calls": [{"index": index, "id": call.id, "type": "function", "function": function}]})
            deltas += [{"tool_calls": [{"index": index, "function": {"arguments": piece}}]} for piece in call.deltas()]
        events = [self._chat_chunk(delta, None) for delta in deltas]
        events.append(self._chat_chunk({}, self.stop))
        if usage:
            events.append(
                _data({**self._chat_head("chat.completion.chunk"), "choices": [], "usage": self.chat_usage()})
            )
        return [*events, DONE]

    def _chat_chunk(self, delta: dict[str, Any], stop: str | None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": stop}
        return _data({**self._chat_head("chat.completion.chunk"), "choices": [choice]})

    def _chat_head(self, kind: str) -> dict[str, Any]:
        return {"id": "chatcmpl-7", "object": kind, "created": 1_700_000_000, "model": self.model}

    # --- messages ------------------------------------------------------------------------------------------------

    def messages_usage(self) -> dict[str, Any]:
        used = self.tokens
        return {
            "input_tokens": used.input - used.cached - used.cache_writes,
            "cache_read_input_tokens": used.cached,
            "cache_creation_input_tokens": used.cache_writes,
            "output_tokens": used.output,
            "output_tokens_details": {"thinking_tokens": used.reasoning},
        }

    def messages(self) -> dict[str, Any]:
        """Return the whole answer of messages."""
        content: list[dict[str, Any]] = [{"type": "text", "text": self.text}] if self.text else []
        content += [
            {"type": "tool_use", "id": call.id, "name": call.name, "input": dict(call.arguments)} for call in self.calls
        ]
        return {
            **self._messages_head(),
            "content": content,
            "stop_reason": _ANTHROPIC_STOPS[self.stop],
            "usage": self.messages_usage(),
        }

    def messages_events(self, *, input_again: bool = True) -> list[bytes]:
        """Return the stream of messages; older servers tell the input at its beginning only."""
        return [_event(document["type"], document) for document in self._messages_documents(input_again)]

    def _messages_documents(self, input_again: bool) -> Iterator[dict[str, Any]]:
        begun = {**self.messages_usage(), "output_tokens": 1}
        yield {"type": "message_start", "message": {**self._messages_head(), "content": [], "usage": begun}}
        yield {"type": "ping"}
        index = 0
        if self.text:
            yield {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
            for word in self.words:
                yield {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}}
            yield {"type": "content_block_stop", "index": 0}
            index = 1
        for position, call in enumerate(self.calls, index):
            block = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
            yield {"type": "content_block_start", "index": position, "content_block": block}
            for piece in call.deltas():
                delta = {"type": "input_json_delta", "partial_json": piece}
                yield {"type": "content_block_delta", "index": position, "delta": delta}
            yield {"type": "content_block_stop", "index": position}
        ended = {"stop_reason": _ANTHROPIC_STOPS[self.stop], "stop_sequence": None}
        used = self.messages_usage()
        if not input_again:
            used = {name: used[name] for name in ("output_tokens", "output_tokens_details")}
        yield {"type": "message_delta", "delta": ended, "usage": used}
        yield {"type": "message_stop"}

    def _messages_head(self) -> dict[str, Any]:
        return {
            "id": "msg_7",
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "stop_reason": None,
            "stop_sequence": None,
        }

    # --- responses -----------------------------------------------------------------------------------------------

    def responses_usage(self) -> dict[str, Any]:
        used = self.tokens
        return {
            "input_tokens": used.input,
            "input_tokens_details": {"cached_tokens": used.cached, "cache_write_tokens": used.cache_writes},
            "output_tokens": used.output,
            "output_tokens_details": {"reasoning_tokens": used.reasoning},
            "total_tokens": used.input + used.output,
        }

    def responses(self) -> dict[str, Any]:
        """Return the whole answer of responses."""
        return {
            "id": "resp_7",
            "object": "response",
            "created_at": 1_700_000_000,
            "status": "completed",
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "metadata": {},
            "model": self.model,
            "output": self._items(),
            "parallel_tool_calls": True,
            "temperature": 1.0,
            "tool_choice": "auto",
            "tools": [],
            "top_p": 1.0,
            "usage": self.responses_usage(),
        }

    def responses_events(self) -> list[bytes]:
        """Return the stream of responses."""
        documents = list(self._responses_documents())
        return [
            _event(document["type"], {**document, "sequence_number": number})
            for number, document in enumerate(documents)
        ]

    def _responses_documents(self) -> Iterator[dict[str, Any]]:
        open_response = {**self.responses(), "status": "in_progress", "output": [], "usage": None}
        yield {"type": "response.created", "response": open_response}
        yield {"type": "response.in_progress", "response": open_response}
        for index, item in enumerate(self._items()):
            at: dict[str, Any] = {"output_index": index, "item_id": item["id"]}
            begun = {**item, "status": "in_progress", **_NOTHING_YET[item["type"]]}
            yield {"type": "response.output_item.added", "output_index": index, "item": begun}
            if item["type"] == "message":
                at["content_index"] = 0
                part = {"type": "output_text", "text": "", "annotations": []}
                yield {"type": "response.content_part.added", **at, "part": part}
                for word in self.words:
                    yield {"type": "response.output_text.delta", **at, "delta": word, "logprobs": []}
                yield {"type": "response.output_text.done", **at, "text": self.text, "logprobs": []}
                yield {"type": "response.content_part.done", **at, "part": {**part, "text": self.text}}
            else:
                call = next(call for call in self.calls if call.id == item["call_id"])
                for piece in call.deltas():
                    yield {"type": "response.function_call_arguments.delta", **at, "delta": piece}
                yield {"type": "response.function_call_arguments.done", **at, "arguments": call.text}
            yield {"type": "response.output_item.done", "output_index": index, "item": item}
        yield {"type": "response.completed", "response": self.responses()}

    def _items(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        if self.text:
            part = {"type": "output_text", "text": self.text, "annotations": []}
            items.append(
                {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]}
            )
        items += [
            {
                "type": "function_call",
                "id": f"fc_{call.id}",
                "call_id": call.id,
                "name": call.name,
                "arguments": call.text,
                "status": "completed",
            }
            for call in self.calls
        ]
        return items

    # --- embeddings ----------------------------------------------------------------------------------------------

    def embeddings(self, *vectors: str) -> dict[str, Any]:
        """Return the answer of embeddings, whose vectors are base64 as clients ask for them."""
        data = [{"object": "embedding", "index": index, "embedding": each} for index, each in enumerate(vectors)]
        used = {"prompt_tokens": self.tokens.input, "total_tokens": self.tokens.input}
        return {"object": "list", "data": data, "model": self.model, "usage": used}


def _data(document: Any) -> bytes:
    return b"data: " + json.dumps(document).encode() + b"\n\n"


def _event(name: str, document: Any) -> bytes:
    return b"event: " + name.encode() + b"\n" + _data(document)
