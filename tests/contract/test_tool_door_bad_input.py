"""What nobody should send to the tool door: each is a clear problem, and nothing is written or called."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from aos.kernel.money import Money
from tests.databases import Server, cloned
from tests.doors import Door, open_door
from tests.worlds import agent, make_world, payments, tool

PAY = {"iban": "DE89370400440532013000", "amount": "12.50", "currency": "EUR"}
DEEP = b'{"arguments": {"a": ' + b"[" * 10_000 + b"]" * 10_000 + b"}}"
TEN_MEGABYTES = 10_000_000


@pytest.fixture(scope="module")
def opened(postgres_server: Server) -> Iterator[tuple[Door, str]]:
    """One door for all: what is refused here leaves it as it was."""
    with contextmanager(cloned)(postgres_server) as database:
        world = make_world(
            database,
            agents=[agent("finance", "payments.create", "erp.*")],
            tools=[payments(), tool("erp.read")],
            budgets=[("company", "organization", Money(5_000_000_000, "EUR"))],
        )
        with open_door(world) as door:
            yield door, door.api_key("finance")


@pytest.fixture
def door(opened: tuple[Door, str]) -> Door:
    door, _ = opened
    door.caller.calls.clear()
    return door


@pytest.fixture
def key(opened: tuple[Door, str]) -> str:
    return opened[1]


def problem(answer: Any, status: int, slug: str) -> dict[str, Any]:
    """Return an answer's problem, having checked its form."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document["type"] == f"urn:aos:problem:{slug}"
    assert document["status"] == status
    assert document["title"]
    assert document["detail"]
    return document


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "empty"),
        (b"{", "not valid JSON"),
        (b"{} {}", "trailing characters"),
        (b'{"arguments": {"a": NaN}}', "not valid JSON"),
        (b'{"arguments": {"a": 1e999}}', "out of range"),
        (b'{"arguments": {"a": ' + b"9" * 5_000 + b"}}", "out of range"),
        (b'{"arguments": {"a": "\\ud800"}}', "not valid JSON"),
        (b'{"arguments": {"\xff": 1}}', "not valid UTF-8 at byte 16"),
        (b"[]", "must be a JSON object"),
        (b'"x"', "must be a JSON object"),
        (b'{"arguments": []}', "`arguments` must be a JSON object"),
        (b'{"arguments": null}', "`arguments` must be a JSON object"),
        (b'{"arguments": "{}"}', "`arguments` must be a JSON object"),
        (b'{"args": {}}', "unknown field `args`"),
        (b'{"arguments": {}, "approval_id": "yes"}', "`yes` is not the id of an approval"),
        (b'{"arguments": {}, "approval_id": 7}', "`7` is not the id of an approval"),
        (DEEP, "nests too deeply"),
        (b'{"arguments": {"a": ' + b"[" * 40 + b"]" * 40 + b"}}", "deeper than 32"),
    ],
)
def test_a_body_that_cannot_be_read_is_400_and_leaves_no_trace(door: Door, key: str, body: bytes, said: str) -> None:
    before = door.written()
    answer = door.post("/tools/erp.read/call", body, token=key)
    assert said in problem(answer, 400, "invalid-request")["detail"]
    assert door.written() == before
    assert door.caller.calls == []


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_another_content_type_is_415(door: Door, key: str, kind: str) -> None:
    before = door.written()
    answer = door.post("/tools/erp.read/call", b"{}", token=key, content_type=kind)
    problem(answer, 415, "unsupported-media-type")
    assert door.written() == before


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "application/vnd.larkspur+json"])
def test_every_kind_of_json_is_read(door: Door, key: str, kind: str) -> None:
    assert door.post("/tools/erp.read/call", b"{}", token=key, content_type=kind).status_code == 200


def test_a_body_of_ten_megabytes_is_413_with_and_without_its_length(door: Door, key: str) -> None:
    before = door.written()
    text = b'{"arguments": {"a": "' + b"x" * TEN_MEGABYTES + b'"}}'
    said = problem(door.post("/tools/erp.read/call", text, token=key), 413, "too-large")["detail"]
    assert said == f"the body has {len(text)} bytes, at most 1000000 are read"
    pieces = (text[start : start + 100_000] for start in range(0, len(text), 100_000))
    said = problem(door.post("/tools/erp.read/call", pieces, token=key), 413, "too-large")["detail"]
    assert said == "the body is over 1000000 bytes"
    assert door.written() == before
    assert door.call("erp.read", token=key).status_code == 200


@pytest.mark.parametrize(
    ("arguments", "pointer"),
    [
        ({**PAY, "amount": "-12.50"}, "/amount"),
        ({**PAY, "amount": 12.5}, "/amount"),
        ({**PAY, "amount": "12,50"}, "/amount"),
        ({**PAY, "amount": "1e3"}, "/amount"),
        ({**PAY, "iban": None}, "/iban"),
        ({**PAY, "currency": ["EUR"]}, "/currency"),
        ({**PAY, "colour": "red"}, "/colour"),
        ({"iban": PAY["iban"]}, "amount"),
    ],
)
def test_arguments_that_do_not_fit_the_schema_are_named_recorded_and_not_called(
    door: Door, key: str, arguments: dict[str, Any], pointer: str
) -> None:
    said = problem(door.call("payments.create", arguments, token=key), 400, "invalid-request")
    assert pointer in said["detail"]
    assert door.world.states()[-1] == ("payments.create", "refused")
    assert door.caller.calls == []


def test_texts_may_hold_any_character_even_nul(door: Door, key: str) -> None:
    arguments = {"memo": "a\x00b \U0001f600 \u202e", "a\x00b": ["\x00"]}
    for more in ({}, {"key": "k"}, {"key": "k"}):
        assert door.call("erp.read", arguments, token=key, **more).status_code == 200
    assert [each for _, each, _ in door.caller.calls] == [arguments, arguments]
    assert door.call("payments.create", {**PAY, "iban": "\x00"}, token=key).status_code == 200


@pytest.mark.parametrize(
    "name",
    ["a%00b", "%00", "a%20b", "%E2%82%AC", "%ff", "a%0Ab", "x" * 201, "x" * 50_000, "%2E%2E%3Fa=b", "a%252Fb"],
)
def test_a_name_that_no_tool_can_have_is_400_and_leaves_no_trace(door: Door, key: str, name: str) -> None:
    before = door.written()
    answer = door.post(f"/tools/{name}/call", b"{}", token=key)
    assert "cannot be the name of a tool" in problem(answer, 400, "invalid-request")["detail"]
    assert door.written() == before


def test_a_name_is_decoded_once_and_its_slashes_are_its_own(door: Door, key: str) -> None:
    answer = door.post("/tools/erp%2Fread/call", b"{}", token=key)
    assert "there is no tool `erp/read`" in problem(answer, 403, "denied")["detail"]
    assert door.post("/tools/erp%2Eread/call", b"{}", token=key).status_code == 200


@pytest.mark.parametrize("path", ["/tools//call", "/tools/erp.read/call/", "/tools/a/b/call", "/tools/erp.read"])
def test_a_path_that_is_no_door_is_left_to_the_control_plane(door: Door, key: str, path: str) -> None:
    problem(door.post(path, b"{}", token=key), 503, "unavailable")


@pytest.mark.parametrize("idempotency_key", [b"", b"x" * 201, b"a\tb", b"a\x80b"])
def test_an_idempotency_key_is_short_and_printable(door: Door, key: str, idempotency_key: bytes) -> None:
    before = door.written()
    headers = {b"authorization": f"Bearer {key}".encode(), b"idempotency-key": idempotency_key}
    answer = door.client.post("/tools/erp.read/call", content=b"{}", headers=headers)
    assert "Idempotency-Key" in problem(answer, 400, "invalid-request")["detail"]
    assert door.written() == before


def test_a_header_with_nul_never_reaches_the_door(door: Door, key: str) -> None:
    before = door.written()
    text = f"POST /tools/erp.read/call HTTP/1.1\r\nhost: aos\r\nauthorization: Bearer {key}\r\n"
    answer = door.raw(f"{text}idempotency-key: a\x00b\r\ncontent-length: 2\r\n\r\n{{}}".encode())
    assert answer.startswith(b"HTTP/1.1 400")
    assert door.written() == before


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_every_method_but_post_is_405_and_says_which_is_possible(door: Door, key: str, method: str) -> None:
    before = door.written()
    answer = door.client.request(method, "/tools/erp.read/call", headers={"Authorization": f"Bearer {key}"})
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    if method != "HEAD":
        problem(answer, 405, "method-not-allowed")
    assert door.written() == before


def test_half_a_body_is_no_call(door: Door, key: str) -> None:
    before = door.written()["action"]
    with door.connect() as connection:
        head = f"POST /tools/erp.read/call HTTP/1.1\r\nhost: aos\r\nauthorization: Bearer {key}\r\n"
        connection.sendall(f"{head}content-length: 100\r\n\r\n{json.dumps({'arguments': {}})[:5]}".encode())
    assert door.call("erp.read", token=key).status_code == 200  # the door is still there
    assert door.written()["action"] == before + 1
