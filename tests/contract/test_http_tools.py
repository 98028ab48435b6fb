"""Tools that are HTTP requests, through the gate to a real server: what is sent, what comes back, and what is refused."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from aos.kernel.acts import ActionState
from tests.contract.model_http_peer import Line, Peer
from tests.contract.outside_peer import at_server, kept, outside_world, perform
from tests.databases import Database
from tests.doors import open_door
from tests.worlds import Running, World

TOKEN = "tok-4711-very-secret"
TEXT: Any = {"type": "string"}


def order(port: int, **more: Any) -> dict[str, Any]:
    """Return tools of one server of orders."""
    base = f"http://127.0.0.1:{port}"
    headers = {"Authorization": {"secret": "orders", "prefix": "Bearer "}}
    args = {"type": "object", "properties": {"id": TEXT, "note": TEXT, "tags": {"type": "array", "items": TEXT}}}
    return {
        "orders.read": {
            "http": {
                "method": "GET",
                "url": f"{base}/orders/{{id}}?v=1",
                "query": ["note", "tags"],
                "headers": headers,
            },
            "effect": "read",
            "timeout": "2s",
            "args": {**args, "required": ["id"]},
            **more,
        },
        "orders.write": {
            "http": {"method": "POST", "url": f"{base}/orders/{{id}}", "headers": headers},
            "effect": "write",
            "timeout": "2s",
            "args": {**args, "required": ["id"]},
            **more,
        },
    }


def says(body: bytes, *, status: str = "200 OK", kind: bytes = b"application/json") -> Any:
    async def answer(line: Line) -> None:
        await line.say_whole(body, status=status, head=b"content-type: %b\r\n" % kind)

    return answer


def call(database: Database, tool: str, arguments: Any, *, answer: Any, **more: Any) -> tuple[Any, Peer, World]:
    async def work(world: World, aos: Running, served: Peer) -> Any:
        return await perform(world, aos, tool, arguments), served, world

    return at_server(database, order, work, answer=answer, secrets={"orders": TOKEN}, **more)


def test_arguments_fill_path_and_query_and_the_answer_is_the_value(database: Database) -> None:
    arguments = {"id": "a b/c?d#é", "note": "x&y=z", "tags": ["1", "2"]}
    recorded, served, world = call(database, "orders.read", arguments, answer=says(b'{"total": "12.30"}'))
    assert (recorded.state, recorded.value) == (ActionState.PERFORMED, {"total": "12.30"})
    head = served.requests[0].decode()
    assert head.startswith("GET /orders/a%20b%2Fc%3Fd%23%C3%A9?v=1&note=x%26y%3Dz&tags=1&tags=2 HTTP/1.1\r\n")
    assert f"authorization: Bearer {TOKEN}" in head
    assert TOKEN not in kept(world)


def test_what_has_no_other_place_is_the_body_and_a_key_is_sent_only_where_it_is_read(database: Database) -> None:
    recorded, served, _ = call(
        database, "orders.write", {"id": "7", "note": "n"}, answer=says(b"done", kind=b"text/plain")
    )
    assert (recorded.state, recorded.value) == (ActionState.PERFORMED, "done")
    head, _, body = served.requests[0].decode().partition("\r\n\r\n")
    assert json.loads(body) == {"note": "n"}
    assert "content-type: application/json" in head
    assert "idempotency-key" not in head


def test_a_keyed_tool_sends_one_key_for_one_act(database: Database) -> None:
    async def work(world: World, aos: Running, served: Peer) -> None:
        for key in ("k1", "k2"):
            await perform(world, aos, "orders.write", {"id": "7"}, idempotency_key=key)
        keys = [
            line
            for each in served.requests
            for line in each.decode().split("\r\n")
            if line.startswith("idempotency-key")
        ]
        assert len(set(keys)) == 2

    at_server(database, lambda port: order(port, repeat="keyed"), work, secrets={"orders": TOKEN})


@pytest.mark.parametrize("id", ["..", ".", "a/../../admin", "..\\x", "", "a\r\nHost: evil"])
def test_an_argument_cannot_lead_to_another_path(database: Database, id: str) -> None:
    recorded, served, _ = call(database, "orders.read", {"id": id}, answer=says(b"{}"))
    assert recorded.state is ActionState.FAILED
    assert served.requests == []


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("404 Not Found", "failed"),
        ("500 Oh", "failed"),
        ("503 Busy", "failed"),
        ("502 Gone", "unknown"),
        ("302 Found", "failed"),
    ],
)
def test_a_refusal_is_a_failure_with_its_status_and_what_it_says(database: Database, status: str, state: str) -> None:
    said = b'{"why": "' + TOKEN.encode() + b" is no token " + b"x" * 5_000 + b'"}'
    recorded, served, world = call(database, "orders.write", {"id": "7"}, answer=says(said, status=status))
    assert recorded.state == state
    assert status[:3] in recorded.detail
    assert len(recorded.detail) < 2_500
    assert TOKEN not in recorded.detail + kept(world)
    assert len(served.requests) == 1


def test_a_redirect_is_not_followed(database: Database) -> None:
    async def answer(line: Line) -> None:
        await line.say_whole(b"", status="307 Here", head=b"location: http://127.0.0.1:%d/elsewhere\r\n" % port[0])

    port = [1]

    async def work(world: World, aos: Running, served: Peer) -> None:
        port[0] = served.port
        recorded = await perform(world, aos, "orders.read", {"id": "7"})
        assert recorded.state is ActionState.FAILED
        assert "redirect" in recorded.detail
        assert len(served.requests) == 1

    at_server(database, order, work, answer=answer, secrets={"orders": TOKEN})


def test_a_secret_that_the_server_repeats_reaches_nobody(database: Database) -> None:
    said = (
        json.dumps({"echo": f"Bearer {TOKEN}", TOKEN: [TOKEN, {"b": TOKEN.upper()}]})
        .replace("tok", "\\u0074ok")
        .encode()
    )
    recorded, _, world = call(database, "orders.read", {"id": "7"}, answer=says(said))
    assert recorded.value == {"echo": "Bearer [secret]", "[secret]": ["[secret]", {"b": TOKEN.upper()}]}
    assert TOKEN not in kept(world)


def test_a_connection_that_is_lost_after_sending_leaves_a_write_unknown_and_is_made_once(database: Database) -> None:
    async def answer(line: Line) -> None:
        line.cut()

    recorded, served, _ = call(database, "orders.write", {"id": "7"}, answer=answer)
    assert (recorded.state, len(served.requests)) == (ActionState.UNKNOWN, 1)


def test_a_write_is_never_sent_twice_over_a_connection_that_was_kept(database: Database) -> None:
    async def answer(line: Line) -> None:
        await line.say_whole() if line.asked == 1 else line.cut()

    async def work(world: World, aos: Running, served: Peer) -> None:
        await perform(world, aos, "orders.write", {"id": "7"})
        again = await perform(world, aos, "orders.write", {"id": "8"})
        assert again.state is ActionState.UNKNOWN
        assert len(served.requests) == 2

    at_server(database, order, work, answer=answer, secrets={"orders": TOKEN})


def test_a_deadline_that_passes_leaves_a_write_unknown(database: Database) -> None:
    async def answer(line: Line) -> None:
        await asyncio.Event().wait()

    recorded, _, _ = call(database, "orders.write", {"id": "7"}, answer=answer)
    assert recorded.state is ActionState.UNKNOWN


def test_an_answer_that_is_too_long_fails_a_reading_and_not_what_was_done(database: Database) -> None:
    answer = says(b'"' + b"x" * 1_100_000 + b'"')
    recorded, _, _ = call(database, "orders.read", {"id": "7"}, answer=answer)
    assert (recorded.state, "longer than" in recorded.detail) == (ActionState.FAILED, True)


def test_a_write_whose_answer_cannot_be_read_counts_as_done(database: Database) -> None:
    recorded, _, _ = call(database, "orders.write", {"id": "7"}, answer=says(b"\xff\xfe", kind=b"image/png"))
    assert (recorded.state, recorded.value["done"]) == (ActionState.PERFORMED, True)


@pytest.mark.parametrize("hosts", [(), ("*",), ("*.example",), ("localhost",), ("127.0.0.1:1",)])
def test_an_address_that_is_not_permitted_is_not_asked(database: Database, hosts: tuple[str, ...]) -> None:
    recorded, served, _ = call(database, "orders.write", {"id": "7"}, answer=says(b"{}"), hosts=lambda port: hosts)
    assert recorded.state is ActionState.FAILED
    assert "127.0.0.1" in recorded.detail
    assert (served.requests, served.connections) == ([], 0)


def test_a_host_with_its_port_is_permitted(database: Database) -> None:
    recorded, _, _ = call(
        database, "orders.read", {"id": "7"}, answer=says(b"{}"), hosts=lambda port: (f"127.0.0.1:{port}",)
    )
    assert recorded.state is ActionState.PERFORMED


def test_a_secret_that_is_not_set_sends_nothing(database: Database) -> None:
    async def work(world: World, aos: Running, served: Peer) -> None:
        recorded = await perform(world, aos, "orders.write", {"id": "7"})
        assert (recorded.state, served.requests) == (ActionState.FAILED, [])
        assert "aos secrets set orders" in recorded.detail

    at_server(database, order, work)


def test_a_header_takes_an_argument_of_one_line(database: Database) -> None:
    def tools(port: int) -> dict[str, Any]:
        http = {"method": "GET", "url": f"http://127.0.0.1:{port}/", "headers": {"If-Match": {"argument": "tag"}}}
        return {"a.b": {"http": http, "effect": "read", "args": {"properties": {"tag": TEXT}}}}

    async def work(world: World, aos: Running, served: Peer) -> None:
        assert (await perform(world, aos, "a.b", {"tag": "v1"})).state is ActionState.PERFORMED
        assert b"\r\nif-match: v1\r\n" in served.requests[0]
        for bad in ("v1\r\nX-Evil: 1", "v1\nx", "é"):
            assert (await perform(world, aos, "a.b", {"tag": bad})).state is ActionState.FAILED
        assert len(served.requests) == 1

    at_server(database, tools, work)


def test_the_tool_door_answers_with_the_servers_words(database: Database) -> None:
    world = outside_world(database, order(9), hosts=("127.0.0.1:9",), secrets={"orders": TOKEN})
    with open_door(world) as door:
        answer = door.call("orders.write", {"id": "7"}, token=door.api_key("clerk"))
        assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (502, "tool-failed")
        assert "127.0.0.1:9" in answer.json()["detail"]
        assert door.call("orders.write", {"id": 7}, token=door.api_key("clerk")).status_code in (400, 422)
