"""Requests of `http:` tools: what each argument becomes, and what a manifest must say of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aos.kernel.errors import InvalidManifest, InvalidRequest
from aos.kernel.http_tools import fill
from aos.kernel.manifest.parse import parse_manifest
from aos.kernel.scrubbing import scrub_json, spellings

URL = "https://api.larkspur.example/orders/{id}/lines"
SECRET = "s3cret value"


def filled(options: Any, arguments: Any, **more: Any) -> Any:
    return fill({"method": "GET", "url": URL, **options}, arguments, secret=lambda name: f"{name}-{SECRET}", **more)


@pytest.mark.parametrize(
    ("options", "arguments", "url", "body"),
    [
        ({}, {"id": "7"}, "/orders/7/lines", b""),
        ({}, {"id": 7.5}, "/orders/7.5/lines", b""),
        ({}, {"id": "a/b"}, "/orders/a%2Fb/lines", b""),
        ({}, {"id": "%2e%2e"}, "/orders/%252e%252e/lines", b""),
        ({}, {"id": "é {x}"}, "/orders/%C3%A9%20%7Bx%7D/lines", b""),
        ({"query": ["a", "b"]}, {"id": "7", "a": [1, True], "b": "x y&"}, "/orders/7/lines?a=1&a=true&b=x%20y%26", b""),
        ({"query": ["a"]}, {"id": "7", "a": None}, "/orders/7/lines", b""),
        ({"url": "https://api.larkspur.example?v=1", "query": ["a"]}, {"a": "b"}, "/?v=1&a=b", b""),
        ({"method": "POST"}, {"id": "7", "a": {"b": 1}}, "/orders/7/lines", b'{"a":{"b":1}}'),
        ({"method": "POST", "body": {"argument": "a"}}, {"id": "7", "a": [1]}, "/orders/7/lines", b"[1]"),
        ({"method": "PUT", "body": "none"}, {"id": "7"}, "/orders/7/lines", b""),
        ({"method": "DELETE"}, {"id": "7"}, "/orders/7/lines", b""),
    ],
)
def test_each_argument_goes_to_its_place(options: Any, arguments: Any, url: str, body: bytes) -> None:
    request = filled(options, arguments)
    assert (request.url, request.body) == ("https://api.larkspur.example" + url, body)


@pytest.mark.parametrize(
    "id", ["", ".", "..", "../x", "x/..", "a\\..\\b", "a\nb", "a\x00", None, ["a"], {"a": 1}, "\ud800"]
)
def test_what_cannot_stand_in_a_path_is_refused(id: Any) -> None:
    with pytest.raises(InvalidRequest, match="argument `id`"):
        filled({}, {"id": id})


@given(st.text(), st.text())
def test_no_text_leaves_its_place(id: str, note: str) -> None:
    try:
        request = filled({"query": ["note"]}, {"id": id, "note": note})
    except InvalidRequest:
        return
    path, _, query = request.url.removeprefix("https://api.larkspur.example").partition("?")
    assert path.startswith("/orders/")
    assert path.endswith("/lines")
    assert path.count("/") == 3
    assert query.startswith("note=")
    assert all("!" <= sign <= "~" and sign not in "#&?" for sign in query + path)


def test_secrets_stand_in_headers_alone_and_are_named_for_scrubbing() -> None:
    headers = {
        "Authorization": {"secret": "key", "prefix": "Bearer "},
        "X-Tag": {"argument": "tag"},
        "Accept": "text/csv",
    }
    request = filled({"headers": headers}, {"id": "7", "tag": "v"}, key="k-1")
    sent = dict(request.headers)
    assert sent[b"authorization"] == f"Bearer key-{SECRET}".encode()
    assert (sent[b"x-tag"], sent[b"accept"], sent[b"idempotency-key"]) == (b"v", b"text/csv", b"k-1")
    assert request.secrets == (f"key-{SECRET}",)
    assert SECRET not in repr(request)


@pytest.mark.parametrize("tag", ["a\r\nx: y", "a\nb", "a\x00", "é", ["a"], {}])
def test_what_cannot_stand_in_a_header_is_refused(tag: Any) -> None:
    with pytest.raises(InvalidRequest):
        filled({"headers": {"X-Tag": {"argument": "tag"}}}, {"id": "7", "tag": tag})


@pytest.mark.parametrize("spelled", [SECRET, "s3cret%20value", "czNjcmV0IHZhbHVl"])
def test_a_secret_is_found_however_it_is_spelled(spelled: str) -> None:
    value = scrub_json({"a": [f"<{spelled}>"], spelled: 1}, spellings([SECRET]))
    assert value == {"a": ["<[secret]>"], "[secret]": 1}


def test_a_number_that_is_a_secret_is_taken_out_and_other_numbers_stay() -> None:
    assert scrub_json([4711_2222, 3, True, None], spellings(["47112222"])) == ["[secret]", 3, True, None]


ARGS: Any = {"properties": {"id": {"type": "string"}, "a": {"type": "string"}}, "required": ["id"]}


@pytest.mark.parametrize(
    ("http", "more", "where", "said"),
    [
        ({"query": ["b"]}, {}, "/query/0", "`b` is not an argument"),
        ({"url": "https://x.example/{b}", "query": ["id", "a"]}, {}, "/url", "`b` is not an argument"),
        ({"url": "https://x.example/{a}", "query": ["id"]}, {}, "/url", "must be `required`"),
        ({"url": "https://x.example/{id", "query": ["a"]}, {}, "/url", "a `{` and a `}`"),
        ({"url": "https://{id}.example/", "query": ["a"]}, {}, "/url", "does not match the pattern"),
        ({"url": "https://u:p@x.example/"}, {}, "/url", "does not match the pattern"),
        ({}, {}, "", "the argument `a` has no place"),
        ({"query": ["a", "id"]}, {}, "", "`id` has two places"),
        ({"query": ["a"], "body": "json"}, {}, "/body", "a GET has no body"),
        ({"query": ["a"], "headers": {"Host": "x"}}, {}, "/headers/Host", "written by AOS itself"),
        (
            {"query": ["a"], "headers": {"Idempotency-Key": "x"}},
            {},
            "/headers/Idempotency-Key",
            "written by AOS itself",
        ),
        ({"query": ["a"], "headers": {"X": "a", "x": "b"}}, {}, "/headers/X", "stands here twice"),
        ({"query": ["a"], "headers": {"X": "a\nb"}}, {}, "/headers/X", "one line"),
        ({"query": ["a"], "headers": {"X": {"argument": "b"}}}, {}, "/headers/X/argument", "`b` is not an argument"),
        ({"query": ["a"]}, {"args": {**ARGS, "additionalProperties": True}}, "", "nobody named"),
    ],
)
def test_a_form_that_cannot_be_filled_is_refused_where_it_stands(http: Any, more: Any, where: str, said: str) -> None:
    tool = {"http": {"method": "GET", "url": URL, **http}, "effect": "read", "args": ARGS, **more}
    with pytest.raises(InvalidManifest) as caught:
        parse_manifest({"aos": 1, "tools": {"a.b": tool}})
    found = [(each.pointer.removeprefix("/tools/a.b/http"), each.detail) for each in caught.value.errors]
    assert any(at == where and said in detail for at, detail in found), found


@pytest.mark.parametrize(
    ("sql", "more", "said"),
    [
        ({}, {"effect": "write"}, "its effect is `read`"),
        ({"query": "select %(b)s, %(id)s, %(a)s"}, {}, "`b` is not an argument"),
        ({"query": "select %(id)s"}, {}, "`a` does not stand in the statement"),
        ({"query": "select %(id)s, %(a)s where x like 'a%'"}, {}, "write `%%`"),
        ({"query": "select %s, %(id)s, %(a)s"}, {}, "write `%%`"),
        ({"rows": 100_000}, {}, "must be at most"),
    ],
)
def test_a_statement_that_cannot_be_filled_is_refused(sql: Any, more: Any, said: str) -> None:
    form = {"dsn": {"secret": "db"}, "query": "select %(id)s, %(a)s", **sql}
    with pytest.raises(InvalidManifest) as caught:
        parse_manifest({"aos": 1, "tools": {"a.b": {"sql": form, "effect": "read", "args": ARGS, **more}}})
    assert any(said in each.detail for each in caught.value.errors), caught.value.errors


@pytest.mark.parametrize(
    ("email", "more", "said"),
    [
        ({}, {"effect": "write"}, "its effect is `send`"),
        ({"from": "Clerk <c@x.example>"}, {}, "address"),
        ({"server": "smtp.x.example"}, {}, "does not match"),
        ({"password": {"secret": "p"}}, {}, "without `username`"),
        ({}, {"args": {"properties": {"to": {"type": "string"}, "bcc": {"type": "string"}}}}, "has no `bcc`"),
        ({}, {"args": {"properties": {"to": {"type": "string"}}}}, "needs `subject`"),
    ],
)
def test_an_email_that_cannot_be_sent_is_refused(email: Any, more: Any, said: str) -> None:
    form = {"server": "smtp.x.example:587", "from": "c@x.example", **email}
    with pytest.raises(InvalidManifest) as caught:
        parse_manifest({"aos": 1, "tools": {"a.b": {"email": form, "effect": "send", **more}}})
    assert any(said in each.detail for each in caught.value.errors), caught.value.errors
