"""Every pair of client dialect and upstream dialect, with the official clients: the same words, calls, stop reasons and usage."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest

from aos.kernel.dialects.values import Dialect, Tokens
from aos.kernel.models.values import Provider
from tests.contract.model_talks import ChatTalk, MessagesTalk, ResponsesTalk, Talk
from tests.contract.model_upstream import Answering, cut_after, streamed, whole
from tests.contract.model_wire import Call, Reply
from tests.contract.model_worlds import HELLO, WEATHER_SCHEMA, ModelDoor, open_models
from tests.databases import Database

REPLY = Reply("It is sunny in both.", tokens=Tokens(input=231, cached=96, cache_writes=30, output=44, reasoning=12))
ASKS = Reply(
    "I look it up.",
    (Call("call_1", "weather", {"city": "Zürich", "days": 3}), Call("call_2", "weather", {"city": 'B"e\\rn\n'})),
    Tokens(input=88, cached=3, output=31),
)
TALKS: dict[Dialect, type[Talk]] = {
    Dialect.CHAT: ChatTalk,
    Dialect.RESPONSES: ResponsesTalk,
    Dialect.MESSAGES: MessagesTalk,
}
PAIRS = [(client, upstream) for client in TALKS for upstream in (Dialect.CHAT, Dialect.MESSAGES)]
PAIRS.append((Dialect.RESPONSES, Dialect.RESPONSES))
MODELS: dict[str, Any] = {
    "model": {"dialects": (Dialect.CHAT,)},
    "messages": {"dialects": (Dialect.MESSAGES,), "provider": Provider.ANTHROPIC},
    "responses": {"dialects": (Dialect.RESPONSES,)},
}
NAMES = {Dialect.CHAT: "model", Dialect.MESSAGES: "messages", Dialect.RESPONSES: "responses"}
both_ways = pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
every_pair = pytest.mark.parametrize(
    ("client", "upstream"), PAIRS, ids=[f"{client}-on-{upstream}" for client, upstream in PAIRS]
)


@pytest.fixture
def at(database: Database) -> Iterator[ModelDoor]:
    with open_models(database, whole({}), models=MODELS) as opened:
        yield opened


def said(reply: Reply, upstream: Dialect, *, stream: bool) -> Answering:
    """Return the answer of a server that speaks `upstream`."""
    match upstream:
        case Dialect.CHAT:
            return streamed(reply.chat_events()) if stream else whole(reply.chat())
        case Dialect.MESSAGES:
            return streamed(reply.messages_events()) if stream else whole(reply.messages())
        case _:
            return streamed(reply.responses_events()) if stream else whole(reply.responses())


def results_seen(upstream: Dialect, body: Any) -> list[tuple[str, str]]:
    """Return the results of tools in a request, by their calls' ids."""
    match upstream:
        case Dialect.CHAT:
            return [
                (each["tool_call_id"], _text(each["content"])) for each in body["messages"] if each["role"] == "tool"
            ]
        case Dialect.MESSAGES:
            blocks = [
                block for each in body["messages"] if isinstance(each["content"], list) for block in each["content"]
            ]
            return [
                (block["tool_use_id"], _text(block["content"])) for block in blocks if block["type"] == "tool_result"
            ]
        case _:
            outputs = [each for each in body["input"] if each.get("type") == "function_call_output"]
            return [(each["call_id"], each["output"]) for each in outputs]


def calls_seen(upstream: Dialect, body: Any) -> list[tuple[str, str, Any]]:
    """Return the calls of tools in a request."""
    match upstream:
        case Dialect.CHAT:
            calls = [call for each in body["messages"] for call in each.get("tool_calls") or []]
            return [(call["id"], call["function"]["name"], json.loads(call["function"]["arguments"])) for call in calls]
        case Dialect.MESSAGES:
            blocks = [
                block for each in body["messages"] if isinstance(each["content"], list) for block in each["content"]
            ]
            return [(block["id"], block["name"], block["input"]) for block in blocks if block["type"] == "tool_use"]
        case _:
            items = [each for each in body["input"] if each.get("type") == "function_call"]
            return [(each["call_id"], each["name"], json.loads(each["arguments"])) for each in items]


def tool_seen(upstream: Dialect, body: Any) -> tuple[str, Any]:
    """Return name and schema of the one tool of a request."""
    (tool,) = body["tools"]
    match upstream:
        case Dialect.CHAT:
            return tool["function"]["name"], tool["function"]["parameters"]
        case Dialect.MESSAGES:
            return tool["name"], tool["input_schema"]
        case _:
            return tool["name"], tool["parameters"]


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


@every_pair
@both_ways
def test_tools_are_asked_for_and_answered_over_two_turns(
    at: ModelDoor, client: Dialect, upstream: Dialect, stream: bool
) -> None:
    at.upstream.plan(said(ASKS, upstream, stream=stream), said(REPLY, upstream, stream=stream))
    talk = TALKS[client](at, NAMES[upstream], stream=stream)
    first = talk.say("How is the weather in Zürich and Bern?")
    calls = [(call.id, call.name, call.arguments) for call in ASKS.calls]
    assert (first.text, list(first.calls), first.stop) == (ASKS.text, calls, "tool_calls")
    assert first.tokens == ASKS.tokens
    results = {call.id: f"sunny in {call.arguments['city']}" for call in ASKS.calls}
    last = talk.results(results)
    assert (last.text, last.calls, last.stop) == (REPLY.text, (), "stop")
    assert last.tokens == REPLY.tokens
    sent = at.upstream.last.json
    assert tool_seen(upstream, sent) == ("weather", WEATHER_SCHEMA)
    assert calls_seen(upstream, sent) == calls
    assert results_seen(upstream, sent) == list(results.items())
    assert sent["model"] == f"{NAMES[upstream]}-upstream-1"
    assert bool(sent.get("stream")) is stream
    at.charged(ASKS.tokens, REPLY.tokens)
    assert [state for _, state in at.states()] == ["performed"] * 2


@every_pair
def test_an_error_of_the_server_reaches_the_client_in_its_dialect_with_its_status(
    at: ModelDoor, client: Dialect, upstream: Dialect
) -> None:
    theirs: Any = {"message": "the prompt is too long", "type": "invalid_request_error"}
    document = {"type": "error", "error": theirs} if upstream is Dialect.MESSAGES else {"error": theirs}
    raised = (openai.BadRequestError, anthropic.BadRequestError)
    for stream in (False, True):
        at.upstream.plan(whole(document, status="400 Bad Request"))
        with pytest.raises(raised, match="the prompt is too long"):
            TALKS[client](at, NAMES[upstream], stream=stream).say("hello")
    assert at.cost_nanos() == 0


@every_pair
def test_a_cut_stream_raises_in_the_client_and_is_charged_by_estimate(
    at: ModelDoor, client: Dialect, upstream: Dialect
) -> None:
    events = {
        Dialect.CHAT: REPLY.chat_events()[:4],
        Dialect.MESSAGES: REPLY.messages_events()[:5],
        Dialect.RESPONSES: REPLY.responses_events()[:6],
    }
    at.upstream.plan(cut_after(events[upstream]))
    with pytest.raises((openai.OpenAIError, anthropic.AnthropicError, RuntimeError)):
        TALKS[client](at, NAMES[upstream], stream=True).say("hello")
    assert [state for _, state in at.states()] == ["failed"]
    assert at.estimated() == {True}
    assert at.held() == 0


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        ("/v1/chat/completions", {"messages": HELLO, "n": 2}, "/n"),
        ("/v1/chat/completions", {"messages": HELLO, "logprobs": True}, "/logprobs"),
        ("/v1/chat/completions", {"messages": HELLO, "modalities": ["text", "audio"]}, "/modalities"),
        ("/v1/responses", {"input": "hi", "previous_response_id": "resp_1"}, "/previous_response_id"),
        ("/v1/responses", {"input": "hi", "tools": [{"type": "web_search"}]}, "/tools/0"),
    ],
)
def test_what_the_server_cannot_be_asked_for_is_refused_before_anything_is_sent(
    at: ModelDoor, path: str, body: dict[str, Any], pointer: str
) -> None:
    done = at.post(path, {"model": "messages", **body})
    assert done.status_code == 400
    assert done.json()["error"]["type"] == "invalid_request_error"
    (error,) = done.json()["error"]["aos"]["errors"]
    assert error["pointer"].startswith(pointer)
    assert (at.upstream.received, at.cost_nanos(), at.held()) == ([], 0, 0)


def test_system_images_and_a_schema_are_carried_over(at: ModelDoor) -> None:
    at.upstream.plan(whole(Reply('{"city": "Bern"}').messages()))
    pixel = "iVBORw0KGgo="
    content: list[Any] = [
        {"type": "text", "text": "Which city?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{pixel}"}},
    ]
    form: Any = {"type": "json_schema", "json_schema": {"name": "place", "schema": WEATHER_SCHEMA, "strict": True}}
    done = at.openai().chat.completions.create(
        model="messages",
        messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": content}],
        response_format=form,
        max_tokens=50,
        stop=["END"],
    )
    assert done.choices[0].message.content == '{"city": "Bern"}'
    sent = at.upstream.last.json
    assert "Be brief." in json.dumps(sent["system"])
    assert {"type": "base64", "media_type": "image/png", "data": pixel} in [
        block.get("source") for block in sent["messages"][0]["content"]
    ]
    assert sent["stop_sequences"] == ["END"]
    assert "days" in json.dumps(sent)
