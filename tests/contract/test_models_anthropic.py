"""Anthropic's own client at the model doors, in front of a server that speaks its dialect."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

from aos.kernel.dialects.values import Tokens
from tests.contract.model_upstream import streamed, whole
from tests.contract.model_wire import Call, Reply
from tests.contract.model_worlds import CLAUDE, HELLO, UPSTREAM_KEY, WEATHER_SCHEMA, ModelDoor, open_models
from tests.databases import Database

REPLY = Reply(
    "Good morning, I am a model.", tokens=Tokens(input=1_031, cached=512, cache_writes=64, output=77, reasoning=40)
)
ASKS = Reply(
    "I look it up.",
    (Call("toolu_1", "weather", {"city": "Zürich", "days": 3}), Call("toolu_2", "weather", {"city": "Bern"})),
    Tokens(input=88, cached=3, output=31),
)
TOOLS: list[Any] = [{"name": "weather", "description": "The weather", "input_schema": WEATHER_SCHEMA}]


@pytest.fixture
def at(database: Database) -> Iterator[ModelDoor]:
    with open_models(database, whole(REPLY.messages())) as opened:
        yield opened


def test_a_plain_answer_is_the_servers_own_and_its_usage_is_on_the_ledger(at: ModelDoor) -> None:
    done = at.anthropic().messages.create(model=CLAUDE, messages=HELLO, max_tokens=200)
    assert done.to_dict() == anthropic.types.Message.model_validate(REPLY.messages()).to_dict()
    assert at.states() == [(CLAUDE, "performed")]
    at.charged(REPLY.tokens)
    sent = at.upstream.last
    assert (sent.path, sent.headers["x-api-key"]) == ("/v1/messages", UPSTREAM_KEY)
    assert sent.headers["anthropic-version"] == "2023-06-01"
    assert "authorization" not in sent.headers


def test_a_request_goes_on_byte_for_byte_but_for_the_models_name(at: ModelDoor) -> None:
    body = (
        b'{"max_tokens" : 64, "system":[{"type":"text","text":"be\\u0020brief","cache_control":{"type":"ephemeral"}}],'
        b'"messages":[{"role":"user","content":[{"type":"text","text":"claude"}]}],"model": "claude","top_k":5.0 }\n'
    )
    done = at.post("/v1/messages", body, anthropic_version="2023-06-01")
    assert done.status_code == 200
    assert at.upstream.last.body == body.replace(b'"model": "claude"', b'"model": "claude-upstream-1"')
    assert done.content == json.dumps(REPLY.messages()).encode()


@pytest.mark.parametrize("input_again", [True, False])
def test_a_stream_is_the_servers_own_to_the_byte(at: ModelDoor, input_again: bool) -> None:
    events = REPLY.messages_events(input_again=input_again)
    at.upstream.plan(streamed(events))
    done = at.post("/v1/messages", {"model": CLAUDE, "messages": HELLO, "max_tokens": 64, "stream": True})
    assert done.content == b"".join(events)
    at.charged(REPLY.tokens)


def test_the_clients_stream_ends_with_the_usage_that_is_charged(at: ModelDoor) -> None:
    at.upstream.plan(streamed(REPLY.messages_events()))
    with at.anthropic().messages.stream(model=CLAUDE, messages=HELLO, max_tokens=64) as stream:
        assert "".join(stream.text_stream) == REPLY.text
        message = stream.get_final_message()
    assert (message.stop_reason, message.usage.output_tokens) == ("end_turn", REPLY.tokens.output)
    assert message.usage.cache_read_input_tokens == REPLY.tokens.cached
    at.charged(REPLY.tokens)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_calls_of_tools_go_through_over_two_turns(at: ModelDoor, stream: bool) -> None:
    at.upstream.plan(
        *((streamed(each.messages_events()) if stream else whole(each.messages())) for each in (ASKS, REPLY))
    )
    client = at.anthropic()
    messages = list(HELLO)
    first = _said(client, messages, stream=stream)
    assert [(block["id"], block["name"], block["input"]) for block in first if block["type"] == "tool_use"] == [
        (call.id, call.name, call.arguments) for call in ASKS.calls
    ]
    results = [{"type": "tool_result", "tool_use_id": call.id, "content": "sunny"} for call in ASKS.calls]
    messages += [{"role": "assistant", "content": first}, {"role": "user", "content": results}]
    assert _said(client, messages, stream=stream)[0]["text"] == REPLY.text
    assert at.upstream.last.json["messages"] == messages
    assert at.upstream.last.json["tools"] == TOOLS
    at.charged(ASKS.tokens, REPLY.tokens)


def _said(client: anthropic.Anthropic, messages: list[Any], *, stream: bool) -> list[dict[str, Any]]:
    """Return the assistant's blocks, put together by the client where they come in parts."""
    asked: dict[str, Any] = {"model": CLAUDE, "messages": messages, "tools": TOOLS, "max_tokens": 300}
    if not stream:
        message = client.messages.create(**asked)
    else:
        with client.messages.stream(**asked) as events:
            message = events.get_final_message()
    fields = {"text": ("type", "text"), "tool_use": ("type", "id", "name", "input")}
    blocks = [block.to_dict() for block in message.content]
    return [{name: block[name] for name in fields[str(block["type"])]} for block in blocks]


def test_tokens_are_counted_without_being_charged(at: ModelDoor) -> None:
    at.upstream.plan(whole({"input_tokens": 2_095}))
    done = at.anthropic().messages.count_tokens(model=CLAUDE, messages=HELLO)
    assert done.input_tokens == 2_095
    assert at.upstream.last.path == "/v1/messages/count_tokens"
    assert at.states() == [(CLAUDE, "performed")]
    assert (at.cost_nanos(), at.held(), at.settled()) == (0, 0, 0)


def test_the_list_of_models_has_anthropics_form(at: ModelDoor) -> None:
    client = at.anthropic()
    assert [each.id for each in client.models.list()] == ["claude", "gpt", "auto"]
    assert client.models.retrieve(CLAUDE).type == "model"
    with pytest.raises(anthropic.NotFoundError) as caught:
        client.models.retrieve("opus")
    assert caught.value.body["error"]["type"] == "not_found_error"  # type: ignore[index]


def test_a_key_may_be_sent_as_either_client_sends_it(at: ModelDoor) -> None:
    for client in (at.anthropic(), at.anthropic(api_key=None, auth_token=at.key)):
        assert client.messages.create(model=CLAUDE, messages=HELLO, max_tokens=9).content
    assert at.key not in b"".join(each.raw for each in at.upstream.received).decode("latin-1")
