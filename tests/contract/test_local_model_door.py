"""The door of the local model: the chat dialect, a bounded queue, and nothing for who has no key; the engine is scripted."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn

from aos.boot.ports import listen_near
from aos.data_plane.connections import Limits, serving_config
from aos.drivers.local_model.door import Door
from aos.drivers.local_model.requests import OUTPUT_TOKENS_MAX
from aos.drivers.model_http import ModelHttp
from aos.kernel.errors import UpstreamFailed
from aos.kernel.ports import UpstreamAnswer, UpstreamRequest
from tests.worlds import THIS_MACHINE

KEY = "the-key"
HELLO: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}


def chunk(content: str | None = None, *, finish: str | None = None) -> dict[str, Any]:
    delta = {} if content is None else {"content": content}
    return {
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "/secret/path.gguf",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }  # fmt: skip


USAGE = {
    **chunk(),
    "choices": [],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    "timings": {"a": 1},
}
ANSWER = [chunk("Good "), chunk("day"), chunk(finish="stop"), USAGE]


@dataclass
class Scripted:
    """An engine that says chunks; each waits for `go` where it is not set."""

    chunks: list[dict[str, Any]] = field(default_factory=lambda: list(ANSWER))
    failure: Exception | None = None
    bodies: list[dict[str, Any]] = field(default_factory=list)
    stopped: int = 0
    under_way: int = 0
    most: int = 0
    go: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, body: dict[str, Any], say: Callable[[dict[str, Any]], bool]) -> None:
        with self.lock:
            self.bodies.append(body)
            self.under_way += 1
            self.most = max(self.most, self.under_way)
        try:
            if self.failure is not None:
                raise self.failure
            for each in self.chunks:
                assert self.go.wait(30)
                if say(each):
                    self.stopped += 1
                    return
        finally:
            with self.lock:
                self.under_way -= 1


@dataclass
class Client:
    """Asks the door over a real socket."""

    port: int
    http: ModelHttp
    door: Door

    async def ask(self, body: Any = HELLO, *, key: str = KEY, path: str = "/v1/chat/completions") -> UpstreamAnswer:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = ((b"authorization", f"Bearer {key}".encode()), (b"content-type", b"application/json"))
        url = f"http://127.0.0.1:{self.port}{path}"
        return await self.http.send(UpstreamRequest(url, headers, content, ("127.0.0.1",)))

    async def error(self, body: Any = HELLO, **more: str) -> tuple[int, dict[str, Any]]:
        answer = await self.ask(body, **more)
        return answer.status, json.loads(await answer.read(at_most=100_000))["error"]


class Server(uvicorn.Server):
    """Uvicorn that leaves signals to pytest."""

    def capture_signals(self) -> Any:
        return contextlib.nullcontext()


@asynccontextmanager
async def opened(engine: Any, *, slots: int = 2, waiting_max: int = 3) -> AsyncIterator[Client]:
    door = Door(engine, KEY, slots=slots, waiting_max=waiting_max)
    server = Server(serving_config(door, limits=Limits(), drain_seconds=1))
    listening = listen_near()
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    http = ModelHttp(private=THIS_MACHINE)
    try:
        while not server.started:
            await asyncio.sleep(0.01)
        yield Client(listening.getsockname()[1], http, door)
    finally:
        await http.close()
        server.should_exit = True
        await serving
        door.close()


def with_door(
    test: Callable[[Client, Scripted], Coroutine[Any, Any, None]], engine: Scripted | None = None, **more: int
) -> None:
    scripted = engine or Scripted()

    async def run() -> None:
        try:
            async with asyncio.timeout(30), opened(scripted, **more) as client:
                await test(client, scripted)
        finally:
            scripted.go.set()

    asyncio.run(run())


def playing(*chunks: dict[str, Any], failure: Exception | None = None) -> Scripted:
    """Return an engine that waits for nothing."""
    engine = Scripted(list(chunks) or list(ANSWER), failure)
    engine.go.set()
    return engine


def test_a_plain_answer_is_what_the_stream_comes_to() -> None:
    async def test(client: Client, engine: Scripted) -> None:
        answer = await client.ask()
        assert answer.status == 200
        assert json.loads(await answer.read(at_most=10_000)) == {
            "id": "chatcmpl-1", "object": "chat.completion", "created": 7, "model": "smollm2-135m",
            "choices": [{
                "index": 0, "finish_reason": "stop", "logprobs": None,
                "message": {"role": "assistant", "content": "Good day", "refusal": None},
            }],
            "usage": USAGE["usage"],
        }  # fmt: skip

    with_door(test, playing())


@pytest.mark.parametrize("usage", [False, True])
def test_a_stream_shows_usage_to_who_asks_for_it_and_never_where_the_file_lies(usage: bool) -> None:
    async def test(client: Client, engine: Scripted) -> None:
        answer = await client.ask({**HELLO, "stream": True, "stream_options": {"include_usage": usage}})
        assert answer.headers["content-type"] == "text/event-stream"
        events = (await answer.read(at_most=10_000)).decode().split("\n\n")
        assert events[-2:] == ["data: [DONE]", ""]
        chunks = [json.loads(event.removeprefix("data: ")) for event in events[:-2]]
        assert (
            "".join(each["choices"][0]["delta"].get("content", "") for each in chunks if each["choices"]) == "Good day"
        )
        assert [each["usage"] for each in chunks if "usage" in each] == ([USAGE["usage"]] if usage else [])
        assert {each["model"] for each in chunks} == {"smollm2-135m"}
        assert all("timings" not in each for each in chunks)

    with_door(test, playing())


def test_a_stream_flows_while_the_engine_works() -> None:
    async def test(client: Client, engine: Scripted) -> None:
        parts = (await asyncio.gather(client.ask({**HELLO, "stream": True}), released(engine)))[0].parts()
        assert b"Good " in await anext(parts)

    async def released(engine: Scripted) -> None:
        engine.go.set()

    with_door(test)


def test_only_named_options_reach_the_engine_and_the_output_is_bounded() -> None:
    async def test(client: Client, engine: Scripted) -> None:
        more = {
            "grammar": "x",
            "id_slot": 1,
            "user": "u",
            "temperature": 0.5,
            "stop": ["\n"],
            "max_completion_tokens": 10**6,
        }
        parts = [{"type": "text", "text": "be"}, {"type": "text", "text": "brief"}]
        messages = [{"role": "developer", "content": parts, "name": "x"}, *HELLO["messages"]]
        await (await client.ask({**HELLO, **more, "messages": messages})).read(at_most=10_000)
        await (await client.ask({**HELLO, "max_tokens": 5})).read(at_most=10_000)
        first, second = engine.bodies
        assert first == {
            "messages": [{"role": "system", "content": "be\nbrief"}, {"role": "user", "content": "hello"}],
            "stream": True, "stream_options": {"include_usage": True},
            "temperature": 0.5, "stop": ["\n"], "max_tokens": OUTPUT_TOKENS_MAX,
        }  # fmt: skip
        assert second["max_tokens"] == 5

    with_door(test, playing())


WRONG: list[tuple[Any, str | None]] = [
    (b"{", None),
    (b"[]", None),
    ({}, "messages"),
    ({"messages": []}, "messages"),
    ({"messages": "x"}, "messages"),
    ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0"),
    ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content"),
    (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
        "messages.0.content",
    ),
    ({**HELLO, "max_tokens": -1}, "max_tokens"),
    ({**HELLO, "max_tokens": True}, "max_tokens"),
    ({**HELLO, "temperature": "hot"}, "temperature"),
    ({**HELLO, "n": 2}, "n"),
    ({**HELLO, "tools": [{"type": "function"}]}, "tools"),
    ({**HELLO, "stop": [""]}, "stop"),
    ({**HELLO, "response_format": {"type": "grammar"}}, "response_format"),
]


@pytest.mark.parametrize(("body", "param"), WRONG)
def test_what_cannot_be_answered_is_refused_before_the_engine_sees_it(body: Any, param: str | None) -> None:
    async def test(client: Client, engine: Scripted) -> None:
        status, error = await client.error(body)
        assert (status, error["type"], error["param"]) == (400, "invalid_request_error", param)
        assert engine.bodies == []

    with_door(test, playing())


def test_nothing_is_answered_without_the_key_and_nothing_else_than_the_model() -> None:
    async def test(client: Client, engine: Scripted) -> None:
        for key in ("", "the-ke", "the-key2"):
            assert (await client.error(key=key))[0] == 401
        for path in ("/", "/slots", "/v1/completions", "/v1/models"):
            assert (await client.error(path=path))[0] == 404
        assert (await client.error({**HELLO, "user": "x" * 1_000_000}))[0] == 413
        assert engine.bodies == []

    with_door(test, playing())


TOO_LONG = {"error": {"code": 400, "type": "exceed_context_size_error", "message": "too long"}}


@pytest.mark.parametrize("stream", [False, True])
def test_errors_of_the_engine_have_the_dialects_form_and_leave_the_place_free(stream: bool) -> None:
    async def test(client: Client, engine: Scripted) -> None:
        for _ in range(3):
            engine.failure, engine.chunks = None, [TOO_LONG]
            status, error = await client.error({**HELLO, "stream": stream})
            assert (status, error["code"]) == (400, "context_length_exceeded")
            engine.failure = UpstreamFailed("no image", sent=False)
            assert await client.error({**HELLO, "stream": stream}) == (
                400, {"message": "no image", "type": "invalid_request_error", "param": None, "code": None},
            )  # fmt: skip
            engine.failure = OSError("broken")
            assert (await client.error({**HELLO, "stream": stream}))[0] == 500
        engine.failure, engine.chunks = None, list(ANSWER)
        assert (await client.ask()).status == 200

    with_door(test, playing(), slots=1, waiting_max=0)


def test_an_error_within_a_stream_is_its_last_event() -> None:
    async def test(client: Client, engine: Scripted) -> None:
        answer = await client.ask({**HELLO, "stream": True})
        *_, last, end = (await answer.read(at_most=10_000)).split(b"\n\n")
        assert end == b""
        assert json.loads(last.removeprefix(b"data: "))["error"]["message"] == "lost"

    with_door(test, playing(chunk("a"), {"error": {"code": 500, "message": "lost"}}))


def test_the_queue_is_bounded_and_as_many_answers_are_made_as_there_are_slots() -> None:
    async def test(client: Client, engine: Scripted) -> None:
        asked = [asyncio.create_task(client.ask()) for _ in range(5)]
        while client.door._taken < 5:
            await asyncio.sleep(0.01)
        refused = await client.ask()
        assert (refused.status, refused.headers["retry-after"]) == (503, "5")
        engine.go.set()
        for task in asked:
            assert (await task).status == 200
        assert (engine.most, len(engine.bodies)) == (2, 5)
        assert (await client.ask()).status == 200

    with_door(test, slots=2, waiting_max=3)


def test_a_client_who_goes_away_stops_the_engine_or_leaves_the_queue() -> None:
    async def test(client: Client, engine: Scripted) -> None:
        working = asyncio.create_task(client.ask())
        while not engine.bodies:
            await asyncio.sleep(0.01)
        waiting = asyncio.create_task(client.ask())
        while client.door._taken < 2:
            await asyncio.sleep(0.01)
        for task in (waiting, working):
            task.cancel()
        await asyncio.gather(waiting, working, return_exceptions=True)
        while client.door._taken > 1:
            await asyncio.sleep(0.01)
        assert len(engine.bodies) == 1
        await asyncio.sleep(0.1)
        engine.go.set()
        while client.door._taken:
            await asyncio.sleep(0.01)
        assert engine.stopped == 1
        assert (await client.ask()).status == 200

    with_door(test, slots=1, waiting_max=1)
