"""A model's server as the far side of the port: answers what the test says, and remembers what it was asked.

models = ScriptedModels([chat("hello", tokens=(12, 3)), Refusal(500, "down")])
async with world.running(models=models) as aos: ...
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from aos.kernel.dialects.values import Dialect
from aos.kernel.errors import UpstreamFailed
from aos.kernel.models.values import Model, Price, Provider
from aos.kernel.ports import UpstreamRequest
from tests.worlds import IDS

URL = "http://127.0.0.1:9/v1"
EURO = 1_000_000_000


def model(name: str, **more: Any) -> Model:
    """Return a model that costs 1 EUR for a million tokens in and 2 EUR for a million out."""
    given: dict[str, Any] = {
        "provider": Provider.COMPATIBLE,
        "upstream": name,
        "base_url": URL,
        "dialects": (Dialect.CHAT,),
        "prices": (Price("EUR", EURO, 2 * EURO),),
        "context_tokens": 8_000,
        "output_tokens_max": 1_000,
        **more,
    }
    return Model(IDS.new(), name, 1, **given)


@dataclass(frozen=True)
class Answer:
    """One whole answer of a server."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    async def parts(self) -> AsyncIterator[bytes]:
        """Yield the body."""
        yield self.body

    async def read(self, *, at_most: int) -> bytes:
        """Return the body."""
        assert len(self.body) <= at_most
        return self.body

    async def close(self) -> None:
        """Do nothing."""


def chat(text: str, *, tokens: tuple[int, int] = (12, 3), finish: str = "stop", model: str = "served") -> Answer:
    """Return an answer of chat/completions."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
    usage = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)}
    said = {"id": "c1", "object": "chat.completion", "created": 1, "model": model, "choices": [choice], "usage": usage}
    return Answer(200, json.dumps(said).encode())


def asks_for(*calls: tuple[str, Any], text: str = "", tokens: tuple[int, int] = (12, 3)) -> Answer:
    """Return an answer of chat/completions that asks for calls: each a tool's name and its arguments, or a text in their place."""
    made = [
        {
            "id": f"call-{place}",
            "type": "function",
            "function": {"name": name, "arguments": given if isinstance(given, str) else json.dumps(given)},
        }
        for place, (name, given) in enumerate(calls)
    ]
    message = {"role": "assistant", "content": text or None, "tool_calls": made}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    usage = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)}
    said = {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "served",
        "choices": [choice],
        "usage": usage,
    }
    return Answer(200, json.dumps(said).encode())


def refusal(status: int, message: str) -> Answer:
    """Return a server's refusal."""
    return Answer(status, json.dumps({"error": {"message": message, "type": "some_error"}}).encode())


@dataclass
class ScriptedModels:
    """The `ModelTransport` of a test; the last answer stays. `UpstreamFailed` among the answers is raised."""

    answers: list[Answer | UpstreamFailed]
    asked: list[UpstreamRequest] = field(default_factory=list)

    @property
    def bodies(self) -> list[Any]:
        """Return what was asked, decoded."""
        return [json.loads(each.body) for each in self.asked]

    async def send(self, request: UpstreamRequest) -> Answer:
        """Note the request and give the next answer."""
        self.asked.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, UpstreamFailed):
            raise answer
        return answer
