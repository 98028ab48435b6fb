"""OpenAI's own client at the model doors, in front of a server that speaks its dialect: what goes out, comes back, is charged."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from aos.kernel.dialects.values import Tokens
from tests.contract.model_upstream import streamed, whole
from tests.contract.model_wire import Call, Reply
from tests.contract.model_worlds import GPT, HELLO, UPSTREAM_KEY, WEATHER_SCHEMA, ModelDoor, open_models
from tests.databases import Database

REPLY = Reply(
    "Good morning, I am a model.", tokens=Tokens(input=1_031, cached=512, cache_writes=64, output=77, reasoning=40)
)
ASKS = Reply(
    "",
    (Call("call_1", "weather", {"city": "Zürich", "days": 3}), Call("call_2", "weather", {"city": "Bern"})),
    Tokens(input=88, output=31),
)
TOOLS: list[Any] = [
    {"type": "function", "function": {"name": "weather", "description": "The weather", "parameters": WEATHER_SCHEMA}}
]
RESPONSES_TOOLS: list[Any] = [{"type": "function", "name": "weather", "parameters": WEATHER_SCHEMA, "strict": False}]


@pytest.fixture
def at(database: Database) -> Iterator[ModelDoor]:
    with open_models(database, whole(REPLY.chat())) as opened:
        yield opened


def test_a_plain_answer_is_the_servers_own_and_its_usage_is_on_the_ledger(at: ModelDoor) -> None:
    done = at.openai().chat.completions.create(model=GPT, messages=HELLO, max_tokens=200)
    assert done.to_dict() == openai.types.chat.ChatCompletion.model_validate(REPLY.chat()).to_dict()
    assert at.states() == [(GPT, "performed")]
    at.charged(REPLY.tokens)
    assert at.upstream.last.path == "/v1/chat/completions"
    assert at.upstream.last.headers["authorization"] == f"Bearer {UPSTREAM_KEY}"


def test_a_request_goes_on_byte_for_byte_but_for_the_models_name(at: ModelDoor) -> None:
    body = (
        b'{ "temperature" : 1.0e-1,"messages":[ {"content":"Gr\\u00fc\xc3\xbc\xc3\x9fe","role":"user", "model":"gpt"}],\n'
        b'\t"seed":0012345678901234567890 ,"model" :"gpt", "max_tokens": 17,"unknown":{"b":1,"a":[null,1E5]}, "top_p":0.30 }'
    ).replace(b"0012345678901234567890", b"12345678901234567890")
    done = at.post("/v1/chat/completions", body)
    assert done.status_code == 200
    assert at.upstream.last.body == body.replace(b'"model" :"gpt"', b'"model" :"gpt-upstream-1"')
    assert done.content == json.dumps(REPLY.chat()).encode()
    assert done.headers["aos-model"] == GPT
    assert at.world.rows("select id::text from action") == [(done.headers["aos-action-id"],)]


def test_a_request_without_an_output_limit_gets_the_models_own(at: ModelDoor) -> None:
    body = b'{"model":"gpt","messages":[{"role":"user","content":"hi"}]}'
    assert at.post("/v1/chat/completions", body).status_code == 200
    sent = body.replace(b'"gpt"', b'"gpt-upstream-1"')
    assert at.upstream.last.body == sent.replace(b"{", b'{"max_completion_tokens":4096,', 1)


def test_images_and_a_json_schema_go_on_as_they_are(at: ModelDoor) -> None:
    pixel = "data:image/png;base64," + base64.b64encode(b"\x89PNG" + bytes(60)).decode()
    content: list[Any] = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": pixel}}]
    form: Any = {"type": "json_schema", "json_schema": {"name": "seen", "schema": WEATHER_SCHEMA, "strict": True}}
    at.openai().chat.completions.create(
        model=GPT, messages=[{"role": "user", "content": content}], response_format=form, max_tokens=9
    )
    sent = at.upstream.last.json
    assert sent["messages"] == [{"role": "user", "content": content}]
    assert sent["response_format"] == form
    at.charged(REPLY.tokens)


@pytest.mark.parametrize("asked", [True, False, None])
def test_a_stream_carries_usage_only_where_the_client_asked_for_it(at: ModelDoor, asked: bool | None) -> None:
    events = REPLY.chat_events()
    at.upstream.plan(streamed(events))
    options: dict[str, Any] = {} if asked is None else {"stream_options": {"include_usage": asked}}
    done = at.chat(stream=True, **options)
    assert done.status_code == 200
    assert done.headers["content-type"].startswith("text/event-stream")
    assert done.content == b"".join(events if asked else events[:-2] + events[-1:])
    assert at.upstream.last.json["stream_options"] == {"include_usage": True}
    at.charged(REPLY.tokens)


def test_the_clients_stream_ends_with_the_usage_that_is_charged(at: ModelDoor) -> None:
    at.upstream.plan(streamed(REPLY.chat_events()))
    chunks = list(
        at.openai().chat.completions.create(
            model=GPT, messages=HELLO, stream=True, max_tokens=90, stream_options={"include_usage": True}
        )
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == REPLY.text
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    used = chunks[-1].usage
    assert used is not None
    assert used.to_dict() == REPLY.chat_usage()
    at.charged(REPLY.tokens)


def test_a_stream_arrives_whole_however_the_network_cuts_it(at: ModelDoor) -> None:
    text = b"".join(REPLY.chat_events())
    at.upstream.plan(streamed([text[start : start + 7] for start in range(0, len(text), 7)]))
    done = at.chat(stream=True, stream_options={"include_usage": True})
    assert done.content == text
    at.charged(REPLY.tokens)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_calls_of_tools_go_through_over_two_turns(at: ModelDoor, stream: bool) -> None:
    at.upstream.plan(*((streamed(each.chat_events()) if stream else whole(each.chat())) for each in (ASKS, REPLY)))
    client = at.openai()
    messages = list(HELLO)
    first = _said(client, messages, stream=stream)
    assert [(call["id"], call["function"]["name"], json.loads(call["function"]["arguments"])) for call in first["tool_calls"]] == [
        (call.id, call.name, call.arguments) for call in ASKS.calls
    ]  # fmt: skip
    messages.append(first)
    messages += [
        {"role": "tool", "tool_call_id": call.id, "content": f"sunny in {call.arguments['city']}"}
        for call in ASKS.calls
    ]
    assert _said(client, messages, stream=stream)["content"] == REPLY.text
    assert at.upstream.last.json["messages"] == messages
    assert at.upstream.last.json["tools"] == TOOLS
    at.charged(ASKS.tokens, REPLY.tokens)
    assert at.states() == [(GPT, "performed")] * 2


def _said(client: openai.OpenAI, messages: list[Any], *, stream: bool) -> dict[str, Any]:
    """Return the assistant's message, put together by the client where it comes in parts."""
    asked: dict[str, Any] = {"model": GPT, "messages": messages, "tools": TOOLS, "max_tokens": 300}
    if not stream:
        message = client.chat.completions.create(**asked).choices[0].message
    else:
        with client.chat.completions.stream(**asked) as events:
            message = events.get_final_completion().choices[0].message
    said = message.to_dict()
    calls = [{name: call[name] for name in ("id", "type", "function")} for call in said.get("tool_calls") or []]
    for call in calls:
        call["function"] = {name: call["function"][name] for name in ("name", "arguments")}
    return {"role": "assistant", "content": said.get("content"), **({"tool_calls": calls} if calls else {})}


def test_embeddings_come_back_as_they_are_and_cost_their_input(at: ModelDoor) -> None:
    vectors = [base64.b64encode(struct.pack("<3f", *each)).decode() for each in ((0.5, -1.0, 2.0), (1.0, 0.0, -0.25))]
    at.upstream.plan(whole(REPLY.embeddings(*vectors)))
    done = at.openai().embeddings.create(model=GPT, input=["one", "two"])
    assert [each.embedding for each in done.data] == [[0.5, -1.0, 2.0], [1.0, 0.0, -0.25]]
    assert at.upstream.last.path == "/v1/embeddings"
    assert at.upstream.last.json["input"] == ["one", "two"]
    assert "max_tokens" not in at.upstream.last.json
    at.charged(Tokens(input=REPLY.tokens.input))


def test_a_response_is_the_servers_own_and_its_usage_is_on_the_ledger(at: ModelDoor) -> None:
    at.upstream.plan(whole(REPLY.responses()))
    done = at.openai().responses.create(model=GPT, input="Good morning", max_output_tokens=64)
    assert done.output_text == REPLY.text
    assert at.upstream.last.path == "/v1/responses"
    assert at.upstream.last.json == {"model": "gpt-upstream-1", "input": "Good morning", "max_output_tokens": 64}
    at.charged(REPLY.tokens)


def test_a_streamed_response_is_the_servers_own_to_the_byte(at: ModelDoor) -> None:
    events = REPLY.responses_events()
    at.upstream.plan(streamed(events))
    done = at.post("/v1/responses", {"model": GPT, "input": "Good morning", "stream": True})
    assert done.content == b"".join(events)
    assert at.upstream.last.json["max_output_tokens"] == 4096
    at.charged(REPLY.tokens)


def test_a_response_asks_for_tools_over_two_turns(at: ModelDoor) -> None:
    at.upstream.plan(streamed(ASKS.responses_events()), streamed(REPLY.responses_events()))
    client = at.openai()
    turns: list[Any] = [{"role": "user", "content": "How is the weather?"}]
    with client.responses.stream(model=GPT, input=turns, tools=RESPONSES_TOOLS) as events:
        deltas = [event.delta for event in events if event.type == "response.function_call_arguments.delta"]
        first = events.get_final_response()
    assert "".join(deltas) == "".join(call.text for call in ASKS.calls)
    calls = [item for item in first.output if item.type == "function_call"]
    assert [(call.call_id, json.loads(call.arguments)) for call in calls] == [
        (call.id, call.arguments) for call in ASKS.calls
    ]
    for call in calls:
        turns.append({"type": "function_call", "call_id": call.call_id, "name": call.name, "arguments": call.arguments})
        turns.append({"type": "function_call_output", "call_id": call.call_id, "output": "sunny"})
    with client.responses.stream(model=GPT, input=turns, tools=RESPONSES_TOOLS) as events:
        assert events.get_final_response().output_text == REPLY.text
    assert at.upstream.last.json["input"] == turns
    at.charged(ASKS.tokens, REPLY.tokens)


def test_the_list_of_models_holds_what_the_agent_may_ask(database: Database) -> None:
    named: dict[str, Any] = {"gpt": {}, "gpt-large": {}, "other": {}}
    with open_models(database, whole(REPLY.chat()), models=named, may=["gpt", "gpt-large"]) as at:
        client = at.openai()
        assert [each.id for each in client.models.list()] == ["gpt", "gpt-large", "auto"]
        assert client.models.retrieve("gpt-large").id == "gpt-large"
        with pytest.raises(openai.NotFoundError) as caught:
            client.models.retrieve("other")
        assert caught.value.code == "model_not_found"
        assert at.door.written()["action"] == 0
        assert at.upstream.received == []


def test_usage_that_a_server_does_not_report_is_estimated_and_said_to_be(at: ModelDoor) -> None:
    document = REPLY.chat()
    del document["usage"]
    at.upstream.plan(whole(document), streamed(REPLY.chat_events(usage=False)))
    assert at.chat().status_code == 200
    assert at.chat(stream=True).status_code == 200
    assert at.estimated() == {True}
    assert at.tokens().input > 0
    assert at.tokens().output > 0


def test_several_calls_at_once_are_each_charged_to_the_token(at: ModelDoor) -> None:
    used = [Tokens(input=100 + number, output=10 + number) for number in range(4)]
    at.upstream.plan(*(whole(Reply(tokens=each).chat()) for each in used))
    assert [at.chat(n=2).status_code for _ in used] == [200] * 4
    at.charged(*used)
