"""Answers told in another dialect: the stream and the whole answer carry the same, however the bytes are cut."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aos.kernel.dialects.flows import open_flow
from aos.kernel.dialects.tokens import Answered, read_answer
from aos.kernel.dialects.translate.answers import translate_answer
from aos.kernel.dialects.translate.responses_writer import COLLECTED_CHARS_MAX
from aos.kernel.dialects.values import Dialect, Tokens
from aos.kernel.errors import InvalidRequest

PAIRS = [
    (Dialect.CHAT, Dialect.MESSAGES),
    (Dialect.CHAT, Dialect.RESPONSES),
    (Dialect.MESSAGES, Dialect.CHAT),
    (Dialect.MESSAGES, Dialect.RESPONSES),
]
CHAT_STOPS = {"stop": "stop", "length": "length", "tool_calls": "tool_calls", "content_filter": "content_filter"}
MESSAGES_STOPS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}

WORDS = st.text(alphabet=st.characters(codec="utf-8"), min_size=1, max_size=12)
INPUTS = st.dictionaries(
    st.text(max_size=5), st.none() | st.booleans() | st.integers(-9, 9) | WORDS | st.lists(WORDS), max_size=3
)
CALLS = st.lists(st.tuples(st.sampled_from(["payments_create", "lookup"]), INPUTS), max_size=4)
COUNTS = st.integers(0, 10**6)


@st.composite
def answers(draw: st.DrawFn) -> dict[str, Any]:
    calls = draw(CALLS)
    cached, writes, fresh = draw(COUNTS), draw(COUNTS), draw(COUNTS)
    output = draw(COUNTS)
    stops = ["tool_calls"] if calls else ["stop", "length", "content_filter"]
    return {
        "texts": draw(st.lists(WORDS, max_size=4)),
        "thoughts": draw(st.lists(WORDS, max_size=3)),
        "calls": calls,
        "stop": draw(st.sampled_from(stops)),
        "tokens": Tokens(fresh + cached + writes, cached, writes, output, draw(st.integers(0, output))),
    }


def data(fields: object) -> bytes:
    return f"data: {json.dumps(fields)}\n\n".encode()


def pieces(text: str) -> list[str]:
    return [text[place : place + 3] for place in range(0, len(text), 3)]


def chat_usage(tokens: Tokens) -> dict[str, Any]:
    return {
        "prompt_tokens": tokens.input,
        "completion_tokens": tokens.output,
        "prompt_tokens_details": {"cached_tokens": tokens.cached, "cache_write_tokens": tokens.cache_writes},
        "completion_tokens_details": {"reasoning_tokens": tokens.reasoning},
    }


def messages_usage(tokens: Tokens) -> dict[str, Any]:
    return {
        "input_tokens": tokens.input - tokens.cached - tokens.cache_writes,
        "cache_read_input_tokens": tokens.cached,
        "cache_creation_input_tokens": tokens.cache_writes,
        "output_tokens": tokens.output,
        "output_tokens_details": {"thinking_tokens": tokens.reasoning},
    }


def chat_plain(answer: dict[str, Any]) -> bytes:
    calls = [
        {
            "id": f"call_{place}",
            "type": "function",
            "function": {"name": name, "arguments": json.dumps(inputs) if inputs else ""},
        }
        for place, (name, inputs) in enumerate(answer["calls"])
    ]
    message = {"role": "assistant", "content": "".join(answer["texts"]) or None, "tool_calls": calls or None}
    choice = {"index": 0, "message": message, "finish_reason": answer["stop"]}
    return json.dumps({"id": "c1", "created": 7, "choices": [choice], "usage": chat_usage(answer["tokens"])}).encode()


def chat_stream(answer: dict[str, Any]) -> bytes:
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": piece} for text in answer["texts"] for piece in pieces(text)]
    for place, (name, inputs) in enumerate(answer["calls"]):
        function = {"name": name, "arguments": ""}
        deltas.append(
            {"tool_calls": [{"index": place, "id": f"call_{place}", "type": "function", "function": function}]}
        )
        for piece in pieces(json.dumps(inputs) if inputs else ""):
            deltas.append({"tool_calls": [{"index": place, "function": {"arguments": piece}}]})
    chunks: list[dict[str, Any]] = [
        {"id": "c1", "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas
    ]
    chunks.append({"id": "c1", "choices": [{"index": 0, "delta": {}, "finish_reason": answer["stop"]}]})
    chunks.append({"id": "c1", "choices": [], "usage": chat_usage(answer["tokens"])})
    return b"".join(map(data, chunks)) + b"data: [DONE]\n\n"


def blocks_of(answer: dict[str, Any]) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = [
        {"type": "thinking", "thinking": each, "signature": f"sig-{each}"} for each in answer["thoughts"]
    ]
    blocks += [{"type": "text", "text": text} for text in answer["texts"]]
    blocks += [
        {"type": "tool_use", "id": f"call_{place}", "name": name, "input": inputs}
        for place, (name, inputs) in enumerate(answer["calls"])
    ]
    return blocks + [{"type": "text", "text": text} for text in answer["texts"][2:]]


def messages_plain(answer: dict[str, Any]) -> bytes:
    body = {"id": "c1", "content": blocks_of(answer), "stop_reason": MESSAGES_STOPS[answer["stop"]]}
    return json.dumps({**body, "usage": messages_usage(answer["tokens"])}).encode()


def messages_stream(answer: dict[str, Any]) -> bytes:
    usage = messages_usage(answer["tokens"])
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"id": "c1", "usage": {**usage, "output_tokens": 1}}}
    ]
    for index, block in enumerate(blocks_of(answer)):
        kind = block["type"]
        blanks: dict[str, Any] = {
            "text": {"text": ""},
            "thinking": {"thinking": "", "signature": ""},
            "tool_use": {"input": {}},
        }
        empty = blanks[kind]
        events.append({"type": "content_block_start", "index": index, "content_block": {**block, **empty}})
        if kind == "tool_use":
            whole = json.dumps(block["input"]) if block["input"] else ""
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in ["", *pieces(whole)]]
        elif kind == "text":
            deltas = [{"type": "text_delta", "text": piece} for piece in pieces(block["text"])]
        else:
            deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces(block["thinking"])]
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    late = {"output_tokens": usage["output_tokens"], "output_tokens_details": usage["output_tokens_details"]}
    events.append({"type": "message_delta", "delta": {"stop_reason": MESSAGES_STOPS[answer["stop"]]}, "usage": late})
    events.append({"type": "message_stop"})
    return b"".join(f"event: {each['type']}\n".encode() + data(each) for each in events)


PLAIN = {Dialect.CHAT: chat_plain, Dialect.MESSAGES: messages_plain}
STREAM = {Dialect.CHAT: chat_stream, Dialect.MESSAGES: messages_stream}


def events_of(stream: bytes) -> list[dict[str, Any]]:
    found = [line[6:] for line in stream.decode().split("\n") if line.startswith("data: ")]
    return [json.loads(each) for each in found if each != "[DONE]"]


def assemble_chat(stream: bytes) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None}
    whole: dict[str, Any] = {}
    reason = None
    for chunk in events_of(stream):
        whole = {**whole, **chunk, "object": "chat.completion"}
        for choice in chunk["choices"]:
            delta, reason = choice["delta"], choice["finish_reason"]
            message["content"] = (message["content"] or "") + delta.get("content", "") or None
            for call in delta.get("tool_calls", []):
                calls = message.setdefault("tool_calls", [])
                if call["index"] == len(calls):
                    calls.append({"id": call["id"], "type": call["type"], "function": dict(call["function"])})
                else:
                    calls[call["index"]]["function"]["arguments"] += call["function"]["arguments"]
    return {**whole, "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": reason}]}


def assemble_messages(stream: bytes) -> dict[str, Any]:
    whole: dict[str, Any] = {}
    json_texts: dict[int, str] = {}
    opened: list[int] = []
    for event in events_of(stream):
        match event["type"]:
            case "message_start":
                whole = event["message"]
            case "content_block_start":
                assert not opened
                assert event["index"] == len(whole["content"])
                whole["content"].append(event["content_block"])
                opened.append(event["index"])
            case "content_block_delta":
                assert opened == [event["index"]]
                delta = event["delta"]
                if delta["type"] == "text_delta":
                    whole["content"][event["index"]]["text"] += delta["text"]
                else:
                    json_texts[event["index"]] = json_texts.get(event["index"], "") + delta["partial_json"]
            case "content_block_stop":
                assert opened.pop() == event["index"]
            case "message_delta":
                whole |= {**event["delta"], "usage": event["usage"]}
            case _:
                pass
    for index, text in json_texts.items():
        whole["content"][index]["input"] = json.loads(text)
    return whole


def assemble_responses(stream: bytes) -> dict[str, Any]:
    events = events_of(stream)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    items: dict[int, dict[str, Any]] = {}
    said: dict[int, str] = {}
    for event in events:
        sort = event["type"]
        if sort.endswith(".delta"):
            said[event["output_index"]] = said.get(event["output_index"], "") + event["delta"]
        elif sort in ("response.output_text.done", "response.reasoning_summary_text.done"):
            assert said[event["output_index"]] == event["text"]
        elif sort == "response.function_call_arguments.done":
            assert said[event["output_index"]] == event["arguments"]
        elif sort == "response.output_item.done":
            items[event["output_index"]] = event["item"]
    whole = events[-1]["response"]
    assert [items[index] for index in sorted(items)] == whole["output"]
    return whole


def meant(value: Any) -> Any:
    """Return a value with the arguments of calls read: their spelling is free."""
    if isinstance(value, dict):
        return {name: json.loads(each) if name == "arguments" else meant(each) for name, each in value.items()}
    return [meant(each) for each in value] if isinstance(value, list) else value


ASSEMBLE = {
    Dialect.CHAT: assemble_chat,
    Dialect.MESSAGES: assemble_messages,
    Dialect.RESPONSES: assemble_responses,
}


@given(answer=answers(), pair=st.sampled_from(PAIRS), cuts=st.lists(st.integers(0, 10_000), max_size=12))
def test_a_stream_tells_exactly_what_the_whole_answer_tells(
    answer: dict[str, Any], pair: tuple[Dialect, Dialect], cuts: list[int]
) -> None:
    upstream, client = pair
    plain = translate_answer(PLAIN[upstream](answer), upstream, client, model="m", created=7)
    flow = open_flow(upstream, client, drop_usage=False, model="m", created=7)
    stream = STREAM[upstream](answer)
    places = sorted({0, len(stream), *(cut % len(stream) for cut in cuts)})
    sent = b"".join(flow.feed(stream[start:end]) for start, end in itertools.pairwise(places)) + flow.close()
    assert (flow.failed, flow.finished) == ("", True)
    kept = flow.end()
    assert kept.count(b"\n\n") == 1
    assert meant(ASSEMBLE[client](sent + kept)) == meant(json.loads(plain))
    read = read_answer(upstream, PLAIN[upstream](answer))
    assert flow.tokens == read.tokens == answer["tokens"]
    assert flow.stop_reason == read.stop_reason == answer["stop"]
    told = read_answer(client, plain)
    assert (told.tokens, told.text, told.tool_calls) == (read.tokens, read.text, read.tool_calls)
    assert told.stop_reason == answer["stop"]


def test_calls_keep_ids_names_and_arguments() -> None:
    answer = {
        "texts": ["hi"],
        "thoughts": [],
        "calls": [("a", {"x": 1}), ("b", {})],
        "stop": "tool_calls",
        "tokens": Tokens(1),
    }
    told = json.loads(translate_answer(chat_plain(answer), Dialect.CHAT, Dialect.MESSAGES, model="m"))
    assert told["content"] == [
        {"type": "text", "text": "hi"},
        {"type": "tool_use", "id": "call_0", "name": "a", "input": {"x": 1}},
        {"type": "tool_use", "id": "call_1", "name": "b", "input": {}},
    ]
    back = json.loads(translate_answer(messages_plain(answer), Dialect.MESSAGES, Dialect.CHAT, model="m"))
    calls = back["choices"][0]["message"]["tool_calls"]
    assert [(call["id"], call["function"]) for call in calls] == [
        ("call_0", {"name": "a", "arguments": '{"x":1}'}),
        ("call_1", {"name": "b", "arguments": "{}"}),
    ]


def test_a_stop_sequence_is_named_where_messages_is_spoken() -> None:
    body: dict[str, Any] = {
        "id": "c",
        "content": [],
        "stop_reason": "stop_sequence",
        "stop_sequence": "###",
        "usage": None,
    }
    told = json.loads(translate_answer(json.dumps(body).encode(), Dialect.MESSAGES, Dialect.CHAT, model="m"))
    assert told["choices"][0]["finish_reason"] == "stop"


def test_usage_that_was_not_asked_for_is_not_streamed_but_read() -> None:
    answer = {"texts": ["hi"], "thoughts": [], "calls": [], "stop": "stop", "tokens": Tokens(5, 1, 1, 3, 2)}
    flow = open_flow(Dialect.MESSAGES, Dialect.CHAT, drop_usage=True, model="m")
    sent = flow.feed(messages_stream(answer))
    assert b"usage" not in sent
    assert flow.tokens == answer["tokens"]


def test_an_answer_past_its_limit_fails_where_it_must_be_repeated() -> None:
    flow = open_flow(Dialect.CHAT, Dialect.RESPONSES, drop_usage=False, model="m")
    part = data({"id": "c", "choices": [{"delta": {"content": "x" * 100_000}}]})
    for _ in range(COLLECTED_CHARS_MAX // 100_000 + 1):
        flow.feed(part)
    assert "characters" in flow.failed
    assert flow.feed(part) == b""


def test_calls_that_come_interleaved_stay_whole() -> None:
    begun = [{"index": place, "id": str(place), "function": {"name": "x", "arguments": ""}} for place in range(2)]
    bits = [(0, '{"a"'), (1, '{"b"'), (0, ":1}"), (1, ":2}")]
    calls = [*begun, *({"index": place, "function": {"arguments": text}} for place, text in bits)]
    stream = b"".join(data({"id": "c", "choices": [{"delta": {"tool_calls": [call]}}]}) for call in calls)
    stream += data({"id": "c", "choices": [{"delta": {}, "finish_reason": "tool_calls"}]}) + b"data: [DONE]\n\n"
    flow = open_flow(Dialect.CHAT, Dialect.RESPONSES, drop_usage=False, model="m")
    output = assemble_responses(flow.feed(stream) + flow.end())["output"]
    assert [item["arguments"] for item in output] == ['{"a":1}', '{"b":2}']


@pytest.mark.parametrize(("upstream", "client"), PAIRS)
def test_a_call_without_a_whole_object_is_no_answer_unless_it_was_cut(upstream: Dialect, client: Dialect) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "x", "arguments": '{"a": '}}
    for reason in ("tool_calls", "length"):
        message = {"content": "hi", "tool_calls": [call]}
        body = json.dumps({"id": "c", "choices": [{"message": message, "finish_reason": reason}]}).encode()
        if reason == "length":
            told = json.loads(translate_answer(body, Dialect.CHAT, Dialect.MESSAGES, model="m"))
            assert (told["content"], told["stop_reason"]) == ([{"type": "text", "text": "hi"}], "max_tokens")
        else:
            with pytest.raises(ValueError, match="no JSON object"):
                translate_answer(body, Dialect.CHAT, Dialect.MESSAGES, model="m")
    with pytest.raises(ValueError, match="not of the form"):
        translate_answer(b"<html>", upstream, client, model="m")


def test_calls_without_an_index_are_told_apart_by_their_ids() -> None:
    calls = [{"id": str(place), "function": {"name": "x", "arguments": f'{{"a":{place}}}'}} for place in range(2)]
    chunk = {"id": "c", "choices": [{"delta": {"tool_calls": calls}, "finish_reason": "tool_calls"}]}
    flow = open_flow(Dialect.CHAT, Dialect.MESSAGES, drop_usage=False, model="m")
    sent = flow.feed(data(chunk)) + flow.close()
    content = assemble_messages(sent + flow.end())["content"]
    assert [(block["id"], block["input"]) for block in content] == [("0", {"a": 0}), ("1", {"a": 1})]


@pytest.mark.parametrize(("upstream", "client"), PAIRS)
def test_an_error_in_mid_stream_is_told_in_the_client_s_dialect(upstream: Dialect, client: Dialect) -> None:
    flow = open_flow(upstream, client, drop_usage=False, model="m")
    failure = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
    assert flow.feed(data(failure)) == b""
    assert flow.failed == "busy"
    event = events_of(flow.end())[0]
    assert event.get("message") == "busy" or event["error"]["message"] == "busy"


@pytest.mark.parametrize(("upstream", "client"), PAIRS)
def test_a_form_that_breaks_ends_the_stream_with_an_error(upstream: Dialect, client: Dialect) -> None:
    flow = open_flow(upstream, client, drop_usage=False, model="m")
    flow.feed(b"data: <html>\n\n")
    assert "cannot be told" in flow.failed
    assert not flow.finished
    assert b"error" in flow.end()


@pytest.mark.parametrize(("upstream", "client"), PAIRS)
def test_a_stream_that_is_cut_is_not_finished(upstream: Dialect, client: Dialect) -> None:
    answer = {"texts": ["hello there"], "thoughts": [], "calls": [], "stop": "stop", "tokens": Tokens(5)}
    flow = open_flow(upstream, client, drop_usage=False, model="m")
    stream = STREAM[upstream](answer)
    flow.feed(stream[: len(stream) // 3])
    flow.close()
    assert not flow.finished
    assert flow.failed
    assert b"error" in flow.end()


def test_what_nothing_translates_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        open_flow(Dialect.RESPONSES, Dialect.CHAT, drop_usage=False, model="m")
    with pytest.raises(InvalidRequest):
        open_flow(Dialect.EMBEDDINGS, Dialect.EMBEDDINGS, drop_usage=False, model="m")


def test_thoughts_of_a_messages_model_come_back_to_it_from_a_responses_client() -> None:
    answer = {"texts": ["hi"], "thoughts": ["hm"], "calls": [], "stop": "stop", "tokens": Tokens(5)}
    told = json.loads(translate_answer(messages_plain(answer), Dialect.MESSAGES, Dialect.RESPONSES, model="m"))
    reasoning = told["output"][0]
    assert (reasoning["type"], reasoning["summary"][0]["text"]) == ("reasoning", "hm")
    assert reasoning["encrypted_content"] == "aos.thought.sig-hm"


def test_the_answers_of_a_table_read_alike() -> None:
    answer = {"texts": ["hi"], "thoughts": ["hm"], "calls": [], "stop": "length", "tokens": Tokens(9, 2, 1, 4, 3)}
    for upstream, client in PAIRS:
        told = translate_answer(PLAIN[upstream](answer), upstream, client, model="m")
        assert read_answer(client, told) == Answered(Tokens(9, 2, 1, 4, 3), "length", "hi", 0, "m")
