"""Putting what the gate owns into a request, all else byte for byte as the client wrote it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aos.kernel.dialects.read import read_ask
from aos.kernel.dialects.splice import splice
from aos.kernel.dialects.values import Dialect

USER = '"messages": [{"role": "user", "content": "\\u00e4 \\"model\\": ü"}]'


def spliced(body: str, dialect: Dialect = Dialect.CHAT, **changes: Any) -> str:
    raw = body.encode()
    return splice(raw, read_ask(dialect, raw), **{"model": "up", **changes}).decode()


def test_the_model_alone_is_replaced() -> None:
    body = '{ "temperature":1.0e0 ,\n"model" : "gpt",\t' + USER + "}\n"
    assert spliced(body) == body.replace('"gpt"', '"up"')


def test_a_name_that_is_spelled_with_escapes_is_found() -> None:
    assert spliced('{"mod\\u0065l":"gpt",' + USER + "}") == '{"mod\\u0065l":"up",' + USER + "}"


@pytest.mark.parametrize(
    ("fields", "changes", "wanted"),
    [
        ('"max_tokens":5', {"output_limit": 3}, '"max_tokens":3'),
        ('"max_completion_tokens" : 5', {"output_limit": 3}, '"max_completion_tokens" : 3'),
        ('"max_tokens":null', {"output_limit": 3}, '"max_tokens":3'),
        ('"max_tokens":5', {"output_limit": 3, "limit_field": "max_completion_tokens"}, '"max_completion_tokens":3'),
        ('"max_completion_tokens":5', {"output_limit": 3, "limit_field": "max_tokens"}, '"max_tokens":3'),
        ('"max_tokens":5', {}, '"max_tokens":5'),
        ('"stream_options":{ }', {"include_usage": True}, '"stream_options":{"include_usage":true }'),
        ('"stream_options":null', {"include_usage": True}, '"stream_options":{"include_usage":true}'),
        (
            '"stream_options":{"include_usage": false, "x":1}',
            {"include_usage": True},
            '"stream_options":{"include_usage": true, "x":1}',
        ),
        (
            '"stream_options":{"include_obfuscation":false}',
            {"include_usage": True},
            '"stream_options":{"include_usage":true,"include_obfuscation":false}',
        ),
        ('"stream_options":{"include_usage":true}', {"include_usage": True}, '"stream_options":{"include_usage":true}'),
    ],
)
def test_a_field_of_the_gate_is_set_where_it_stands(fields: str, changes: dict[str, Any], wanted: str) -> None:
    body = '{"model":"gpt",%s,' + USER + "}"
    assert spliced(body % fields, Dialect.CHAT, **changes) == body.replace('"gpt"', '"up"') % wanted


def test_what_the_client_did_not_say_is_put_before_the_rest() -> None:
    body = '{ "model":"gpt",' + USER + "}"
    assert spliced(body, output_limit=9, include_usage=True, limit_field="max_tokens") == (
        '{ "max_tokens":9,"stream_options":{"include_usage":true},"model":"up",' + USER + "}"
    )


@pytest.mark.parametrize(
    ("dialect", "body", "wanted"),
    [
        (Dialect.RESPONSES, '{"model":"g","input":"x"}', '{"max_output_tokens":4,"model":"up","input":"x"}'),
        (Dialect.MESSAGES, '{"model":"g",%s}', '{"max_tokens":4,"model":"up",%s}'),
        (Dialect.COUNT_TOKENS, '{"model":"g",%s}', '{"model":"up",%s}'),
        (Dialect.EMBEDDINGS, '{"model":"g","input":"x"}', '{"model":"up","input":"x"}'),
    ],
)
def test_each_dialect_has_its_own_limit_and_no_usage_option(dialect: Dialect, body: str, wanted: str) -> None:
    message = '"messages":[{"role":"user","content":"x"}]'
    body, wanted = body.replace("%s", message), wanted.replace("%s", message)
    assert spliced(body, dialect, output_limit=4, include_usage=True) == wanted


NAMES = st.sampled_from(["temperature", "metadata", "x", "modell", "max_token", "ä"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


@given(
    others=st.dictionaries(NAMES, VALUES),
    limit=st.none() | st.integers(1, 10**6),
    options=st.none() | st.dictionaries(st.sampled_from(["include_usage", "include_obfuscation"]), st.booleans()),
    new_limit=st.none() | st.integers(1, 10**6),
    usage=st.booleans(),
    order=st.randoms(use_true_random=False),
    indent=st.none() | st.integers(0, 2),
)
def test_the_result_means_the_same_but_for_what_was_set(
    others: dict[str, object],
    limit: int | None,
    options: dict[str, bool] | None,
    new_limit: int | None,
    usage: bool,
    order,
    indent: int | None,
) -> None:
    members = {**others, "model": "gpt", "messages": [{"role": "user", "content": "x"}]}
    if limit is not None:
        members["max_tokens"] = limit
    if options is not None:
        members["stream_options"] = options
    pairs = list(members.items())
    order.shuffle(pairs)
    read = json.loads(spliced(json.dumps(dict(pairs), indent=indent), output_limit=new_limit, include_usage=usage))
    wanted = {**members, "model": "up"}
    if new_limit is not None:
        wanted["max_tokens" if limit is not None else "max_completion_tokens"] = new_limit
    if usage:
        wanted["stream_options"] = {**(options or {}), "include_usage": True}
    assert read == wanted
