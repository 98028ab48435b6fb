"""Reading a model request: what it asks for, and how one that cannot be read is refused."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aos.kernel.dialects.members import find_members
from aos.kernel.dialects.read import IMAGE_TOKENS_ANTHROPIC, IMAGE_TOKENS_OPENAI, bound_input, read_ask
from aos.kernel.dialects.values import Dialect
from aos.kernel.errors import InvalidRequest
from aos.kernel.limits import MODEL_BODY_VALUES_MAX

USER = [{"role": "user", "content": "How do you do"}]
PICTURE = base64.b64encode(b"p" * 30_000).decode()


def ask(dialect: Dialect, **fields: object):
    return read_ask(dialect, json.dumps({"model": "m", **fields}).encode())


def test_a_chat_request_is_read_whole() -> None:
    asked = ask(
        Dialect.CHAT,
        messages=USER,
        stream=True,
        n=3,
        max_tokens=7,
        stream_options={"include_usage": True},
        tools=[{"type": "function", "function": {"name": "payments_create", "parameters": {}}}],
        response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": {}}},
        reasoning_effort="high",
    )
    assert (asked.model, asked.stream, asked.choices, asked.output_limit) == ("m", True, 3, 7)
    assert (asked.includes_usage, asked.tools, asked.json_schema) == (True, ("payments_create",), True)
    assert (asked.reasoning, asked.words, asked.images, asked.beyond_body) == (True, 4, 0, False)


def test_a_responses_request_is_read_whole() -> None:
    asked = ask(
        Dialect.RESPONSES,
        input=[{"role": "user", "content": [{"type": "input_text", "text": "one two"}]}],
        max_output_tokens=9,
        tools=[{"type": "function", "name": "lookup", "parameters": {}, "strict": True}],
        text={"format": {"type": "json_schema", "name": "x", "schema": {}}},
        reasoning={"effort": "low"},
    )
    assert (asked.output_limit, asked.tools, asked.json_schema, asked.reasoning) == (9, ("lookup",), True, True)
    assert (asked.words, asked.stream) == (2, False)


def test_a_messages_request_is_read_whole() -> None:
    asked = ask(
        Dialect.MESSAGES,
        messages=[{"role": "user", "content": [{"type": "text", "text": "one two three"}]}],
        max_tokens=0,
        tools=[{"name": "lookup", "input_schema": {}}],
        thinking={"type": "enabled", "budget_tokens": 2000},
        output_config={"format": {"type": "json_schema", "schema": {}}},
    )
    assert (asked.output_limit, asked.tools, asked.json_schema, asked.reasoning) == (0, ("lookup",), True, True)
    assert asked.words == 3


@pytest.mark.parametrize("given_input", ["text", ["a", "b"], [1, 2, 3], [[1], [2, 3]]])
def test_embeddings_take_texts_and_tokens(given_input: object) -> None:
    body = json.dumps({"model": "m", "input": given_input}).encode()
    assert read_ask(Dialect.EMBEDDINGS, body).input_tokens_max >= len(body)


CHAT_PICTURE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}}
RESPONSES_PICTURE = {"type": "input_image", "image_url": f"data:image/png;base64,{PICTURE}"}
MESSAGES_PICTURE = {"type": "image", "source": {"data": PICTURE, "media_type": "image/png", "type": "base64"}}
RESULT = {"type": "tool_result", "tool_use_id": "t", "content": [MESSAGES_PICTURE]}


@pytest.mark.parametrize(
    ("dialect", "fields"),
    [
        (Dialect.CHAT, {"messages": [{"role": "user", "content": [CHAT_PICTURE]}]}),
        (Dialect.RESPONSES, {"input": [{"role": "user", "content": [RESPONSES_PICTURE]}]}),
        (
            Dialect.RESPONSES,
            {"input": [{"type": "function_call_output", "call_id": "c", "output": [RESPONSES_PICTURE]}]},
        ),
        (Dialect.MESSAGES, {"messages": [{"role": "user", "content": [MESSAGES_PICTURE]}]}),
        (Dialect.MESSAGES, {"messages": [{"role": "user", "content": [RESULT]}]}),
    ],
)
def test_an_inline_image_counts_by_its_rule_and_not_by_its_bytes(dialect: Dialect, fields: dict[str, object]) -> None:
    asked = ask(dialect, **fields)
    assert asked.images == 1
    assert asked.text_tokens_max < 1_000
    assert bound_input(asked, Dialect.MESSAGES) == asked.text_tokens_max + IMAGE_TOKENS_ANTHROPIC
    assert asked.input_tokens_max == bound_input(asked, Dialect.CHAT) == asked.text_tokens_max + IMAGE_TOKENS_OPENAI


def test_an_image_by_address_counts_as_an_image_and_its_address_as_text() -> None:
    part = {"type": "image_url", "image_url": {"url": "https://x.example/" + "a" * 500}}
    asked = ask(Dialect.CHAT, messages=[{"role": "user", "content": [part]}])
    assert asked.images == 1
    assert asked.text_tokens_max > 500


@pytest.mark.parametrize(
    ("dialect", "fields"),
    [
        (Dialect.RESPONSES, {"previous_response_id": "resp_1", "input": "x"}),
        (Dialect.RESPONSES, {"input": "x", "tools": [{"type": "web_search"}]}),
        (Dialect.RESPONSES, {"input": [{"type": "item_reference", "id": "i"}]}),
        (Dialect.CHAT, {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}]}),
        (
            Dialect.CHAT,
            {"messages": [{"role": "user", "content": [{"type": "document_url", "document_url": "https://x"}]}]},
        ),
        (
            Dialect.CHAT,
            {"messages": [{"role": "user", "content": [{"type": "video_url", "video_url": {"url": "https://x"}}]}]},
        ),
        (Dialect.CHAT, {"messages": USER, "tools": [{"type": "web_search"}]}),
        (Dialect.MESSAGES, {"messages": USER, "mcp_servers": [{"type": "url", "url": "https://x", "name": "x"}]}),
        (Dialect.CHAT, {"messages": USER, "web_search_options": {}}),
        (Dialect.MESSAGES, {"messages": USER, "tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
    ],
)
def test_input_that_is_not_in_the_body_is_noticed(dialect: Dialect, fields: dict[str, object]) -> None:
    assert ask(dialect, **fields).beyond_body


@pytest.mark.parametrize(
    ("dialect", "fields", "pointer"),
    [
        (Dialect.CHAT, {}, "/messages"),
        (Dialect.CHAT, {"messages": "hello"}, "/messages"),
        (Dialect.CHAT, {"messages": []}, "/messages"),
        (Dialect.CHAT, {"messages": [{"content": "x"}]}, "/messages/0/role"),
        (Dialect.CHAT, {"messages": [*USER, {"role": "user", "content": 5}]}, "/messages/1/content"),
        (Dialect.CHAT, {"messages": ["hello"]}, "/messages/0"),
        (Dialect.CHAT, {"messages": USER, "model": ""}, "/model"),
        (Dialect.CHAT, {"messages": USER, "model": 5}, "/model"),
        (Dialect.CHAT, {"messages": USER, "max_tokens": -1}, "/max_tokens"),
        (Dialect.CHAT, {"messages": USER, "max_completion_tokens": "many"}, "/max_completion_tokens"),
        (Dialect.CHAT, {"messages": USER, "n": 0}, "/n"),
        (Dialect.CHAT, {"messages": USER, "stream": "yes"}, "/stream"),
        (Dialect.RESPONSES, {"input": 5}, "/input"),
        (Dialect.RESPONSES, {"input": "x", "max_output_tokens": -5}, "/max_output_tokens"),
        (Dialect.RESPONSES, {"input": "x", "background": True}, "/background"),
        (Dialect.MESSAGES, {"messages": USER, "max_tokens": -1}, "/max_tokens"),
        (Dialect.MESSAGES, {"messages": {"role": "user"}}, "/messages"),
        (Dialect.COUNT_TOKENS, {"messages": None}, "/messages"),
        (Dialect.EMBEDDINGS, {"input": {"a": 1}}, "/input"),
        (Dialect.EMBEDDINGS, {}, "/input"),
    ],
)
def test_a_wrong_field_is_refused_with_its_pointer(dialect: Dialect, fields: dict[str, object], pointer: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        ask(dialect, **fields)
    assert [error.pointer for error in refused.value.errors] == [pointer]


def test_a_missing_model_is_named() -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_ask(Dialect.CHAT, json.dumps({"messages": USER}).encode())
    assert refused.value.errors[0].pointer == "/model"


DEEP = b'{"model":"m","messages":[{"role":"user","content":"x"}],"metadata":' + b"[" * 50_000 + b"]" * 50_000 + b"}"


@pytest.mark.parametrize("body", [b"", b"hello", b"[]", b'"x"', b"{", b'{"model":"m",}', b"\xff\xfe{}", b"null", DEEP])
def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    for dialect in Dialect:
        with pytest.raises(InvalidRequest):
            read_ask(dialect, body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"cheap","messages":[{"role":"user","content":"x"}],"model":"dear"}',
        b'{"model":"cheap","messages":[{"role":"user","content":"x"}],"mod\\u0065l":"cheap"}',
        b'{"n":1,"model":"m","n":12,"messages":[{"role":"user","content":"x"}]}',
        b'{"n":12,"model":"m","n":1,"messages":[{"role":"user","content":"x"}]}',
    ],
)
def test_a_member_that_stands_twice_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest, match="twice"):
        read_ask(Dialect.CHAT, body)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
BLANKS = st.text(alphabet=" \t\r\n", max_size=3)


@given(
    members=st.dictionaries(st.text(max_size=8), JSON, max_size=6),
    blanks=st.lists(BLANKS, min_size=5, max_size=5),
    ascii_only=st.booleans(),
)
def test_members_are_found_exactly_where_they_stand(
    members: dict[str, object], blanks: list[str], ascii_only: bool
) -> None:
    before, after_name, before_value, after, tail = blanks
    text = ",".join(
        f"{before}{json.dumps(name, ensure_ascii=ascii_only)}{after_name}:{before_value}"
        f"{json.dumps(value, ensure_ascii=ascii_only)}{after}"
        for name, value in members.items()
    )
    body = f"{tail}{{{text or tail}}}{tail}".encode("utf-8", "surrogatepass")
    found = find_members(body)
    assert list(found) == list(members)
    for name, (start, value, end) in found.items():
        assert json.loads(body[value:end]) == members[name]
        assert json.loads(body[start:value].rstrip().removesuffix(b":")) == name


@pytest.mark.parametrize(
    "name",
    [
        "Model",
        "MAX_TOKENS",
        "max_to\u212aens",
        "N",
        "Stream",
        "Tool\u017f",
        "models",
        "Models",
        "fallbacks",
        "n_predict",
    ],
)
def test_a_member_that_a_server_could_read_in_place_of_what_was_decided_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        ask(Dialect.CHAT, messages=USER, max_tokens=5, **{name: 1_000})
    assert [each.pointer for each in refused.value.errors] == [f"/{name}"]


def test_a_member_that_overrules_nothing_since_it_is_null_is_passed_on() -> None:
    assert ask(Dialect.CHAT, messages=USER, best_of=None, Temperature=1).model == "m"


def test_what_a_provider_runs_itself_is_named_among_the_tools() -> None:
    assert ask(Dialect.CHAT, messages=USER, tools=[{"type": "mcp"}]).tools == ("mcp",)
    assert ask(Dialect.RESPONSES, input="x", tools=[{"type": "mcp", "server_url": "https://x"}]).tools == ("mcp",)
    assert ask(Dialect.MESSAGES, messages=USER, mcp_servers=[{"url": "https://x"}]).tools == ("mcp_servers",)


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_an_output_limit_that_no_ledger_could_hold_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        ask(Dialect.CHAT, messages=USER, **{name: 10**15})
    assert [each.pointer for each in refused.value.errors] == [f"/{name}"]


@pytest.mark.parametrize("value", [b"{}", b"[]"])
def test_a_body_of_too_many_values_is_refused_before_they_are_made(value: bytes) -> None:
    many = b",".join([value] * (MODEL_BODY_VALUES_MAX + 1))
    with pytest.raises(InvalidRequest, match="objects, lists and members"):
        read_ask(Dialect.EMBEDDINGS, b'{"model":"m","input":[%b]}' % many)
    with pytest.raises(InvalidRequest, match="objects, lists and members"):
        read_ask(Dialect.CHAT, b'{"model":"m","messages":[{"role":"user","content":[%b]}]}' % many)


def test_a_long_text_is_no_body_of_many_values() -> None:
    assert ask(Dialect.CHAT, messages=[{"role": "user", "content": "word " * 400_000}]).words > 400_000


@pytest.mark.parametrize(
    ("dialect", "fields", "pointer"),
    [
        (Dialect.CHAT, {"messages": USER, "service_tier": "priority"}, "/service_tier"),
        (Dialect.RESPONSES, {"input": "x", "service_tier": "priority"}, "/service_tier"),
        (Dialect.MESSAGES, {"messages": USER, "speed": "fast"}, "/speed"),
    ],
)
def test_what_makes_tokens_dearer_than_their_price_is_refused(
    dialect: Dialect, fields: dict[str, object], pointer: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        ask(dialect, **fields)
    assert [each.pointer for each in refused.value.errors] == [pointer]


def test_the_usual_tier_is_passed_on() -> None:
    assert ask(Dialect.CHAT, messages=USER, service_tier="auto").model == "m"
    assert ask(Dialect.MESSAGES, messages=USER, service_tier="standard_only", speed="standard").model == "m"
