"""Requests put into another dialect: everything both can say is carried, everything else is refused with its pointer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aos.kernel.dialects.read import read_ask
from aos.kernel.dialects.translate.requests import can_speak, translate_request
from aos.kernel.dialects.values import Dialect
from aos.kernel.errors import InvalidRequest

USER = {"role": "user", "content": "hi"}
SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"], "additionalProperties": False}


def put(client: Dialect, upstream: Dialect, fields: dict[str, Any], **changes: Any) -> dict[str, Any]:
    body = json.dumps({"model": "m", **fields}).encode()
    return json.loads(translate_request(body, read_ask(client, body), upstream, model="up", **changes))


CHAT_TALK = {
    "messages": [
        {"role": "system", "content": "be brief"},
        {"role": "developer", "content": [{"type": "text", "text": "be kind"}]},
        {
            "role": "user",
            "name": "maria",
            "content": [
                {"type": "text", "text": "what is this?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD", "detail": "low"}},
                {"type": "image_url", "image_url": {"url": "https://pictures.example/1.png"}},
            ],
        },
        {
            "role": "assistant",
            "content": "I look",
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "payments_create", "arguments": '{"x": 1}'}},
                {"id": "b", "type": "function", "function": {"name": "lookup", "arguments": ""}},
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": "done"},
        {
            "role": "tool",
            "tool_call_id": "b",
            "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}],
        },
        {"role": "user", "content": "go on"},
    ],
}
MESSAGES_TALK = {
    "system": "be brief\nbe kind",
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "what is this?"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUJD"}},
                {"type": "image", "source": {"type": "url", "url": "https://pictures.example/1.png"}},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "I look"},
                {"type": "tool_use", "id": "a", "name": "payments_create", "input": {"x": 1}},
                {"type": "tool_use", "id": "b", "name": "lookup", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "a", "content": "done"},
                {
                    "type": "tool_result",
                    "tool_use_id": "b",
                    "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}],
                },
                {"type": "text", "text": "go on"},
            ],
        },
    ],
}
RESPONSES_TALK = {
    "instructions": "be brief",
    "input": [
        {"role": "developer", "content": "be kind"},
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "what is this?"},
                {"type": "input_image", "image_url": "data:image/png;base64,QUJD", "detail": "auto"},
                {"type": "input_image", "image_url": "https://pictures.example/1.png", "detail": "auto"},
            ],
        },
        {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "of another maker"},
        {
            "type": "message",
            "id": "msg",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "I look", "annotations": []}],
        },
        {"type": "function_call", "id": "fc", "call_id": "a", "name": "payments_create", "arguments": '{"x": 1}'},
        {"type": "function_call", "call_id": "b", "name": "lookup", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "a", "output": "done"},
        {
            "type": "function_call_output",
            "call_id": "b",
            "output": [{"type": "input_text", "text": "one"}, {"type": "input_text", "text": "two"}],
        },
        {"role": "user", "content": "go on"},
    ],
}


@pytest.mark.parametrize(
    ("client", "talk"), [(Dialect.CHAT, CHAT_TALK), (Dialect.RESPONSES, RESPONSES_TALK)], ids=["chat", "responses"]
)
def test_a_talk_with_pictures_and_parallel_calls_reaches_a_messages_model(
    client: Dialect, talk: dict[str, Any]
) -> None:
    told = put(client, Dialect.MESSAGES, talk, output_limit=50)
    assert told == {"model": "up", "max_tokens": 50, **MESSAGES_TALK}


@pytest.mark.parametrize(
    ("client", "talk"),
    [(Dialect.MESSAGES, MESSAGES_TALK), (Dialect.RESPONSES, RESPONSES_TALK)],
    ids=["messages", "responses"],
)
def test_a_talk_with_pictures_and_parallel_calls_reaches_a_chat_model(client: Dialect, talk: dict[str, Any]) -> None:
    told = put(client, Dialect.CHAT, talk)
    system = [each["content"] for each in told["messages"] if each["role"] == "system"]
    assert "\n".join(system) == "be brief\nbe kind"
    rest = [each for each in told["messages"] if each["role"] != "system"]
    assert rest == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "what is this?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}},
                {"type": "image_url", "image_url": {"url": "https://pictures.example/1.png"}},
            ],
        },
        {
            "role": "assistant",
            "content": "I look",
            "tool_calls": [
                {
                    "id": "a",
                    "type": "function",
                    "function": {
                        "name": "payments_create",
                        "arguments": rest[1]["tool_calls"][0]["function"]["arguments"],
                    },
                },
                {"id": "b", "type": "function", "function": {"name": "lookup", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": "done"},
        {"role": "tool", "tool_call_id": "b", "content": "one\ntwo"},
        {"role": "user", "content": "go on"},
    ]
    assert json.loads(rest[1]["tool_calls"][0]["function"]["arguments"]) == {"x": 1}


CHAT_TOOL = {"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA, "strict": True}}
FLAT_TOOL = {"type": "function", "name": "f", "description": "d", "parameters": SCHEMA, "strict": True}
MESSAGES_TOOL = {"name": "f", "description": "d", "input_schema": SCHEMA, "strict": True}
ONE = {"type": "function", "function": {"name": "f"}}


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"tools": [CHAT_TOOL]}, {"tools": [MESSAGES_TOOL]}),
        ({"tools": [CHAT_TOOL], "tool_choice": "auto"}, {"tools": [MESSAGES_TOOL], "tool_choice": {"type": "auto"}}),
        ({"tools": [CHAT_TOOL], "tool_choice": "none"}, {"tools": [MESSAGES_TOOL], "tool_choice": {"type": "none"}}),
        (
            {"tools": [CHAT_TOOL], "tool_choice": "required", "parallel_tool_calls": False},
            {"tools": [MESSAGES_TOOL], "tool_choice": {"type": "any", "disable_parallel_tool_use": True}},
        ),
        (
            {"tools": [CHAT_TOOL], "tool_choice": ONE},
            {"tools": [MESSAGES_TOOL], "tool_choice": {"type": "tool", "name": "f"}},
        ),
        (
            {"tools": [CHAT_TOOL], "parallel_tool_calls": False},
            {"tools": [MESSAGES_TOOL], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
        ),
        (
            {"temperature": 0.5, "top_p": 0.25, "stop": "END"},
            {"temperature": 0.5, "top_p": 0.25, "stop_sequences": ["END"]},
        ),
        ({"stop": ["a", "b"], "user": "u1"}, {"stop_sequences": ["a", "b"], "metadata": {"user_id": "u1"}}),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}},
            {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
        ),
        ({"reasoning_effort": "high"}, {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}),
        ({"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}),
        (
            {"reasoning_effort": "low", "tools": [CHAT_TOOL], "tool_choice": "required"},
            {"output_config": {"effort": "low"}, "tools": [MESSAGES_TOOL], "tool_choice": {"type": "any"}},
        ),
        ({"stream": True, "stream_options": {"include_usage": True}}, {"stream": True}),
        ({"n": 1, "logprobs": False, "store": False, "seed": None, "metadata": {"a": "b"}}, {}),
        ({"max_tokens": 12}, {"max_tokens": 12}),
    ],
)
def test_settings_of_chat_reach_a_messages_model(fields: dict[str, Any], wanted: dict[str, Any]) -> None:
    told = put(Dialect.CHAT, Dialect.MESSAGES, {"messages": [USER], **fields})
    assert told == {"model": "up", "max_tokens": 4096, "messages": [USER], **wanted}


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"tools": [MESSAGES_TOOL]}, {"tools": [CHAT_TOOL]}),
        (
            {"tools": [MESSAGES_TOOL], "tool_choice": {"type": "any", "disable_parallel_tool_use": True}},
            {"tools": [CHAT_TOOL], "tool_choice": "required", "parallel_tool_calls": False},
        ),
        (
            {"tools": [MESSAGES_TOOL], "tool_choice": {"type": "tool", "name": "f"}},
            {"tools": [CHAT_TOOL], "tool_choice": ONE},
        ),
        (
            {"temperature": 1, "top_p": 0.5, "stop_sequences": ["a"], "metadata": {"user_id": "u"}},
            {"temperature": 1, "top_p": 0.5, "stop": ["a"], "user": "u"},
        ),
        ({"thinking": {"type": "enabled", "budget_tokens": 4000}}, {"reasoning_effort": "medium"}),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, {"reasoning_effort": "max"}),
        ({"thinking": {"type": "disabled"}}, {}),
        (
            {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True},
                }
            },
        ),
        ({"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}),
        ({"cache_control": {"type": "ephemeral"}, "service_tier": "auto"}, {}),
    ],
)
def test_settings_of_messages_reach_a_chat_model(fields: dict[str, Any], wanted: dict[str, Any]) -> None:
    fields = {"messages": [USER], "max_tokens": 9, **fields}
    told = put(Dialect.MESSAGES, Dialect.CHAT, fields, include_usage=True, limit_field="max_tokens")
    assert told == {"model": "up", "max_tokens": 9, "messages": [USER], **wanted}


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        (
            {"tools": [FLAT_TOOL], "tool_choice": {"type": "function", "name": "f"}},
            {"tools": [CHAT_TOOL], "tool_choice": ONE},
        ),
        (
            {
                "text": {
                    "format": {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": True},
                    "verbosity": "low",
                }
            },
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "n", "schema": SCHEMA, "strict": True},
                },
                "verbosity": "low",
            },
        ),
        ({"text": {"format": {"type": "json_object"}}}, {"response_format": {"type": "json_object"}}),
        ({"reasoning": {"effort": "low", "summary": "auto"}}, {"reasoning_effort": "low"}),
        ({"max_output_tokens": 8}, {"max_completion_tokens": 8}),
        ({"store": True, "include": ["reasoning.encrypted_content"], "truncation": "disabled"}, {}),
    ],
)
def test_settings_of_responses_reach_a_chat_model(fields: dict[str, Any], wanted: dict[str, Any]) -> None:
    told = put(Dialect.RESPONSES, Dialect.CHAT, {"input": "hi", **fields})
    assert told == {"model": "up", "messages": [USER], **wanted}


def test_thoughts_are_kept_where_both_know_them_and_left_out_elsewhere() -> None:
    signed = {"type": "thinking", "thinking": "hm", "signature": "s"}
    talk = {
        "max_tokens": 5,
        "messages": [USER, {"role": "assistant", "content": [signed, {"type": "text", "text": "yes"}]}, USER],
    }
    told = put(Dialect.MESSAGES, Dialect.CHAT, talk)
    assert told["messages"][1] == {"role": "assistant", "content": "yes"}
    items = [
        {
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": "hm"}],
            "encrypted_content": "aos.thought.s",
        },
        {"type": "reasoning", "summary": [], "encrypted_content": "aos.redacted.r"},
        {"role": "assistant", "content": "yes"},
    ]
    told = put(Dialect.RESPONSES, Dialect.MESSAGES, {"input": [USER, *items, USER]})
    redacted = {"type": "redacted_thinking", "data": "r"}
    assert told["messages"][1]["content"] == [signed, redacted, {"type": "text", "text": "yes"}]


IMAGE = {"type": "image", "source": {"type": "url", "url": "https://pictures.example/1.png"}}
CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "[1"}}
TO_MESSAGES: list[tuple[Dialect, dict[str, Any], str]] = [
    (Dialect.CHAT, {"n": 2}, "/n"),
    (Dialect.CHAT, {"logprobs": True}, "/logprobs"),
    (Dialect.CHAT, {"seed": 5}, "/seed"),
    (Dialect.CHAT, {"frequency_penalty": 0.5}, "/frequency_penalty"),
    (Dialect.CHAT, {"modalities": ["text", "audio"]}, "/modalities"),
    (Dialect.CHAT, {"audio": {"voice": "x"}}, "/audio"),
    (Dialect.CHAT, {"functions": [{"name": "f"}]}, "/functions"),
    (Dialect.CHAT, {"web_search_options": {}}, "/web_search_options"),
    (Dialect.CHAT, {"temperature": 1.5}, "/temperature"),
    (Dialect.CHAT, {"temperature": "hot"}, "/temperature"),
    (Dialect.CHAT, {"stop": [1]}, "/stop/0"),
    (Dialect.CHAT, {"unheard_of": 1}, "/unheard_of"),
    (Dialect.CHAT, {"response_format": {"type": "json_object"}}, "/response_format"),
    (Dialect.CHAT, {"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "/tools/0/type"),
    (Dialect.CHAT, {"tool_choice": {"type": "allowed_tools"}}, "/tool_choice"),
    (Dialect.CHAT, {"messages": [{"role": "function", "name": "f", "content": "x"}]}, "/messages/0/role"),
    (
        Dialect.CHAT,
        {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]},
        "/messages/0/content/0/type",
    ),
    (
        Dialect.CHAT,
        {"messages": [USER, {"role": "assistant", "tool_calls": [CALL]}]},
        "/messages/1/tool_calls/0/function/arguments",
    ),
    (Dialect.CHAT, {"messages": [{"role": "tool", "content": "x"}]}, "/messages/0/tool_call_id"),
    (Dialect.CHAT, {"messages": [{"role": "system", "content": "x"}]}, "/messages"),
    (Dialect.RESPONSES, {"input": [{"role": "system", "content": "x"}]}, "/input"),
    (Dialect.RESPONSES, {"previous_response_id": "r"}, "/previous_response_id"),
    (Dialect.RESPONSES, {"conversation": "c"}, "/conversation"),
    (Dialect.RESPONSES, {"prompt": {"id": "p"}}, "/prompt"),
    (Dialect.RESPONSES, {"truncation": "auto"}, "/truncation"),
    (Dialect.RESPONSES, {"tools": [{"type": "web_search"}]}, "/tools/0/type"),
    (Dialect.RESPONSES, {"include": ["message.output_text.logprobs"]}, "/include/0"),
    (Dialect.RESPONSES, {"input": [{"type": "item_reference", "id": "i"}]}, "/input/0/type"),
    (
        Dialect.RESPONSES,
        {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
        "/input/0/content/0/type",
    ),
    (Dialect.RESPONSES, {"text": {"verbosity": "high"}}, "/text/verbosity"),
    (Dialect.RESPONSES, {"text": {"format": {"type": "json_object"}}}, "/text/format"),
]
TO_CHAT: list[tuple[dict[str, Any], str]] = [
    ({"top_k": 5}, "/top_k"),
    ({"container": "c"}, "/container"),
    ({"inference_geo": "eu"}, "/inference_geo"),
    ({"mcp_servers": [{"url": "x"}]}, "/mcp_servers"),
    ({"stop_sequences": ["a", "b", "c", "d", "e"]}, "/stop_sequences"),
    ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "/tools/0/type"),
    ({"thinking": {"type": "deep"}}, "/thinking"),
    (
        {"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": [IMAGE]}]}]},
        "/messages/0/content/0/content",
    ),
    ({"messages": [{"role": "user", "content": [{"type": "document"}]}]}, "/messages/0/content/0/type"),
]


@pytest.mark.parametrize(("client", "fields", "pointer"), TO_MESSAGES)
def test_what_a_messages_model_cannot_be_told_is_refused(client: Dialect, fields: dict[str, Any], pointer: str) -> None:
    base: dict[str, Any] = {"input": "hi"} if client is Dialect.RESPONSES else {"messages": [USER]}
    with pytest.raises(InvalidRequest) as refused:
        put(client, Dialect.MESSAGES, {**base, **fields})
    assert [error.pointer for error in refused.value.errors] == [pointer]


@pytest.mark.parametrize(("fields", "pointer"), TO_CHAT)
def test_what_a_chat_model_cannot_be_told_is_refused(fields: dict[str, Any], pointer: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        put(Dialect.MESSAGES, Dialect.CHAT, {"max_tokens": 5, "messages": [USER], **fields})
    assert [error.pointer for error in refused.value.errors] == [pointer]


def test_only_what_can_be_translated_is() -> None:
    able = {(client, upstream) for client in Dialect for upstream in Dialect if can_speak(client, upstream)}
    assert {pair for pair in able if pair[0] is not pair[1]} == {
        (Dialect.CHAT, Dialect.MESSAGES),
        (Dialect.RESPONSES, Dialect.CHAT),
        (Dialect.RESPONSES, Dialect.MESSAGES),
        (Dialect.MESSAGES, Dialect.CHAT),
    }
    with pytest.raises(InvalidRequest):
        put(Dialect.CHAT, Dialect.RESPONSES, {"messages": [USER]})
