"""A talk with a model through each official client, told in one form: what was said, which tools were asked for, what it used."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aos.kernel.dialects.values import Tokens
from tests.contract.model_worlds import WEATHER_SCHEMA, ModelDoor

Usage = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Seen:
    """One answer as a client's user sees it; `stop` is in the words of chat/completions."""

    text: str
    calls: tuple[tuple[str, str, Mapping[str, Any]], ...]
    stop: str
    tokens: Tokens


class Talk(ABC):
    """One talk through one client; `stream` asks for answers in parts, which the client puts together."""

    def __init__(self, at: ModelDoor, model: str, *, stream: bool) -> None:
        self.at = at
        self.model = model
        self.stream = stream
        self.turns: list[Any] = []

    def say(self, text: str) -> Seen:
        """Say something and return the answer."""
        self.turns.append({"role": "user", "content": text})
        return self.ask()

    @abstractmethod
    def ask(self) -> Seen:
        """Ask for an answer to the turns, which gets a turn of its own."""

    @abstractmethod
    def results(self, results: Mapping[str, str]) -> Seen:
        """Give back what the calls came to, by their ids, and return the answer."""


class ChatTalk(Talk):
    """OpenAI's client, chat/completions."""

    def ask(self) -> Seen:
        function = {"name": "weather", "description": "The weather", "parameters": WEATHER_SCHEMA}
        asked: dict[str, Any] = {"model": self.model, "messages": self.turns, "max_tokens": 300}
        asked["tools"] = [{"type": "function", "function": function}]
        completions = self.at.openai().chat.completions
        if self.stream:
            with completions.stream(**asked, stream_options={"include_usage": True}) as events:
                done: Any = events.get_final_completion()
        else:
            done = completions.create(**asked)
        choice = done.choices[0]
        calls = [(call.id, call.function.name, call.function.arguments) for call in choice.message.tool_calls or []]
        turn: dict[str, Any] = {"role": "assistant", "content": choice.message.content}
        if calls:
            turn["tool_calls"] = [
                {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}
                for id, name, arguments in calls
            ]
        self.turns.append(turn)
        found = tuple((id, name, json.loads(arguments)) for id, name, arguments in calls)
        return Seen(choice.message.content or "", found, choice.finish_reason, openai_tokens(done.usage.to_dict()))

    def results(self, results: Mapping[str, str]) -> Seen:
        self.turns += [{"role": "tool", "tool_call_id": id, "content": text} for id, text in results.items()]
        return self.ask()


class ResponsesTalk(Talk):
    """OpenAI's client, responses."""

    def ask(self) -> Seen:
        tools: list[Any] = [{"type": "function", "name": "weather", "parameters": WEATHER_SCHEMA, "strict": False}]
        asked: dict[str, Any] = {"model": self.model, "input": self.turns, "max_output_tokens": 300, "tools": tools}
        responses = self.at.openai().responses
        if self.stream:
            with responses.stream(**asked) as events:
                done: Any = events.get_final_response()
        else:
            done = responses.create(**asked)
        calls = [item for item in done.output if item.type == "function_call"]
        if done.output_text:
            self.turns.append({"role": "assistant", "content": done.output_text})
        self.turns += [
            {"type": "function_call", "call_id": call.call_id, "name": call.name, "arguments": call.arguments}
            for call in calls
        ]
        found = tuple((call.call_id, call.name, json.loads(call.arguments)) for call in calls)
        stop = {"completed": "tool_calls" if calls else "stop", "incomplete": "length"}[done.status]
        return Seen(done.output_text, found, stop, openai_tokens(done.usage.to_dict()))

    def results(self, results: Mapping[str, str]) -> Seen:
        self.turns += [{"type": "function_call_output", "call_id": id, "output": text} for id, text in results.items()]
        return self.ask()


class MessagesTalk(Talk):
    """Anthropic's client, messages."""

    def ask(self) -> Seen:
        tools: list[Any] = [{"name": "weather", "description": "The weather", "input_schema": WEATHER_SCHEMA}]
        asked: dict[str, Any] = {"model": self.model, "messages": self.turns, "max_tokens": 300, "tools": tools}
        messages = self.at.anthropic().messages
        if self.stream:
            with messages.stream(**asked) as events:
                done: Any = events.get_final_message()
        else:
            done = messages.create(**asked)
        fields = {"text": ("type", "text"), "tool_use": ("type", "id", "name", "input")}
        blocks = [block.to_dict() for block in done.content]
        self.turns.append(
            {
                "role": "assistant",
                "content": [{name: block[name] for name in fields[block["type"]]} for block in blocks],
            }
        )
        calls = tuple((each["id"], each["name"], each["input"]) for each in blocks if each["type"] == "tool_use")
        text = "".join(each["text"] for each in blocks if each["type"] == "text")
        stop = {"end_turn": "stop", "tool_use": "tool_calls", "max_tokens": "length"}[done.stop_reason]
        return Seen(text, calls, stop, anthropic_tokens(done.usage.to_dict()))

    def results(self, results: Mapping[str, str]) -> Seen:
        blocks = [{"type": "tool_result", "tool_use_id": id, "content": text} for id, text in results.items()]
        self.turns.append({"role": "user", "content": blocks})
        return self.ask()


def openai_tokens(usage: Usage) -> Tokens:
    """Return what a client of OpenAI's reads of usage, in either of its dialects."""
    inside = usage.get("prompt_tokens_details") or usage.get("input_tokens_details") or {}
    outside = usage.get("completion_tokens_details") or usage.get("output_tokens_details") or {}
    return Tokens(
        usage["prompt_tokens"] if "prompt_tokens" in usage else usage["input_tokens"],
        inside.get("cached_tokens") or 0,
        inside.get("cache_write_tokens") or 0,
        usage["completion_tokens"] if "completion_tokens" in usage else usage["output_tokens"],
        outside.get("reasoning_tokens") or 0,
    )


def anthropic_tokens(usage: Usage) -> Tokens:
    """Return what a client of Anthropic's reads of usage."""
    cached, writes = usage.get("cache_read_input_tokens") or 0, usage.get("cache_creation_input_tokens") or 0
    thought = (usage.get("output_tokens_details") or {}).get("thinking_tokens") or 0
    return Tokens(usage["input_tokens"] + cached + writes, cached, writes, usage["output_tokens"], thought)
