"""What `/mcp` says to what is no proper request of its revision: the protocol's own error, and nothing is done."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from mcp_types.methods import validate_server_result

from aos.kernel.limits import ARGUMENTS_DEPTH_MAX, BODY_BYTES_MAX, PAGE_ITEMS_MAX
from aos.operations.tokens import token_hash
from tests.contract.mcp_peer import ASK, HANDSHAKE, LARGE, PAY, STATELESS, message, send
from tests.databases import Database, Server, cloned
from tests.doors import Door, open_door, revoke, until
from tests.worlds import World, agent, make_world, payments, tool

BOTH = pytest.mark.parametrize("revision", [STATELESS, HANDSHAKE])
INITIALIZE = {
    "protocolVersion": HANDSHAKE,
    "capabilities": {"elicitation": {"url": {}}},
    "clientInfo": {"name": "by hand", "version": "1"},
}


@pytest.fixture(scope="module")
def world(postgres_server: Server) -> Iterator[World]:
    with contextmanager(cloned)(postgres_server) as database:
        yield make_world(
            database,
            agents=[agent("finance", "payments.create", "erp.*")],
            tools=[payments(), tool("erp.read")],
            rules=[ASK],
        )


@pytest.fixture(scope="module")
def door(world: World) -> Iterator[Door]:
    with open_door(world) as opened:
        yield opened


@pytest.fixture(scope="module")
def key(door: Door) -> str:
    return door.api_key("finance")


@pytest.fixture(autouse=True)
def _nothing_is_done(door: Door) -> Iterator[None]:
    before = len(door.caller.calls)
    yield
    assert len(door.caller.calls) == before


def error_of(response: Any, status: int, code: int, ident: Any = 1) -> dict[str, Any]:
    """Return the error of a response that is one, its message a sentence of ours."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    document = response.json()
    assert set(document) == {"jsonrpc", "id", "error"}
    assert document["jsonrpc"] == "2.0"
    assert document["id"] == ident
    assert document["error"]["code"] == code, document
    said = document["error"]["message"]
    assert said
    assert not said.endswith(".")
    return document["error"]


@BOTH
@pytest.mark.parametrize(
    "body",
    [b"", b"{", b'{"jsonrpc":', b"\xff\xfe", b"[" * 100_000, b'{"a":' * 100_000],
    ids=["empty", "cut", "cut later", "no UTF-8", "deep list", "deep object"],
)
def test_what_is_not_json_is_a_parse_error(door: Door, key: str, revision: str, body: bytes) -> None:
    error_of(send(door, key, body, revision=revision), 400, -32700, None)


@BOTH
@pytest.mark.parametrize(
    ("body", "ident"),
    [
        ([], None),
        ([message("tools/list")], None),
        ("tools/list", None),
        (7, None),
        ({}, None),
        ({"id": 1, "method": "tools/list"}, 1),
        ({"jsonrpc": "1.0", "id": 1, "method": "tools/list"}, 1),
        ({"jsonrpc": "2.0", "id": 1}, 1),
        ({"jsonrpc": "2.0", "id": 1, "method": 7}, 1),
        ({"jsonrpc": "2.0", "id": 1, "method": ""}, 1),
        ({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": []}, 1),
        ({"jsonrpc": "2.0", "id": None, "method": "tools/list"}, None),
        ({"jsonrpc": "2.0", "id": True, "method": "tools/list"}, None),
        ({"jsonrpc": "2.0", "id": 1.5, "method": "tools/list"}, None),
        ({"jsonrpc": "2.0", "id": {"a": 1}, "method": "tools/list"}, None),
        ({"jsonrpc": "2.0", "id": "x" * 201, "method": "tools/list"}, None),
    ],
)
def test_what_is_no_single_request_is_refused(door: Door, key: str, revision: str, body: Any, ident: Any) -> None:
    error_of(send(door, key, json.dumps(body).encode(), revision=revision), 400, -32600, ident)


@BOTH
@pytest.mark.parametrize(
    "method", ["tools/lists", "prompts/list", "resources/read", "tasks/get", "logging/setLevel", "x" * 5_000]
)
def test_an_unknown_method_is_said_to_be_one(door: Door, key: str, revision: str, method: str) -> None:
    status = 404 if revision == STATELESS else 200
    error_of(send(door, key, message(method, revision=revision), revision=revision), status, -32601)


@pytest.mark.parametrize(
    ("revision", "method"), [(STATELESS, "ping"), (STATELESS, "initialize"), (HANDSHAKE, "server/discover")]
)
def test_a_method_of_the_other_era_is_unknown(door: Door, key: str, revision: str, method: str) -> None:
    status = 404 if revision == STATELESS else 200
    error_of(send(door, key, message(method, INITIALIZE, revision=revision), revision=revision), status, -32601)


@BOTH
@pytest.mark.parametrize(
    ("method", "params", "named"),
    [
        ("tools/call", {}, "name"),
        ("tools/call", {"name": 7}, "name"),
        ("tools/call", {"name": "erp_read", "arguments": []}, "arguments"),
        ("tools/call", {"name": "erp_read", "arguments": "x"}, "arguments"),
        ("tools/list", {"cursor": 7}, "cursor"),
        ("tools/list", {"cursor": "made up"}, "cursor"),
        ("tools/call", {"name": "no tool", "arguments": {}}, "no tool"),
        ("tools/call", {"name": "x" * 300, "arguments": {}}, "x"),
        ("tools/call", {"name": "erp_read", "_meta": {"aos/approval-id": "made up"}}, "made up"),
        ("tools/call", {"name": "erp_read", "_meta": {"aos/idempotency-key": ""}}, "aos/idempotency-key"),
        ("tools/call", {"name": "erp_read", "_meta": {"aos/idempotency-key": 7}}, "aos/idempotency-key"),
    ],
)
def test_parameters_that_do_not_fit_are_named(
    door: Door, key: str, revision: str, method: str, params: dict[str, Any], named: str
) -> None:
    headers = {"Mcp_Name": params["name"]} if isinstance(params.get("name"), str) else {}
    sent = send(door, key, message(method, params, revision=revision), revision=revision, **headers)
    if revision == STATELESS and isinstance(params.get("name"), int):
        error_of(sent, 400, -32020)
        return
    error = error_of(sent, 400 if revision == STATELESS else 200, -32602)
    assert named in error["message"]
    assert len(error["message"]) < 500


@BOTH
def test_arguments_that_nest_too_deeply_are_refused(door: Door, key: str, revision: str) -> None:
    deep: Any = {}
    for _ in range(ARGUMENTS_DEPTH_MAX + 1):
        deep = {"a": deep}
    params = {"name": "erp_read", "arguments": deep}
    status = 400 if revision == STATELESS else 200
    error_of(send(door, key, message("tools/call", params, revision=revision), revision=revision), status, -32602)


@BOTH
def test_a_body_over_the_limit_is_refused(door: Door, key: str, revision: str) -> None:
    params = {"name": "erp_read", "arguments": {"a": "x" * BODY_BYTES_MAX}}
    error = error_of(
        send(door, key, message("tools/call", params, revision=revision), revision=revision), 413, -32600, None
    )
    assert error["data"]["type"] == "urn:aos:problem:too-large"


@BOTH
@pytest.mark.parametrize("token", [None, "aos_test_unknown", "garbage"])
def test_who_is_not_known_is_sent_to_the_resources_metadata(door: Door, revision: str, token: str | None) -> None:
    refused = send(door, token, message("tools/list", revision=revision), revision=revision)
    error_of(refused, 401, -32600, None)
    named = re.fullmatch(
        r'Bearer resource_metadata="([^"]*)"(, error="invalid_token")?', refused.headers["www-authenticate"]
    )
    assert named is not None
    metadata = door.client.get(named[1])
    assert metadata.status_code == 200
    assert metadata.json()["resource"] == f"{door.url}/mcp"


@BOTH
def test_a_key_that_ends_counts_no_more_for_the_very_next_call(world: World, door: Door, revision: str) -> None:
    key = door.api_key("finance")
    assert send(door, key, message("tools/list", revision=revision), revision=revision).status_code == 200
    revoke(world, "update api_key set revoked_at = aos_now() where key_hash = %s", token_hash(key))
    call = message("tools/call", {"name": "erp_read"}, revision=revision)
    error_of(send(door, key, call, revision=revision), 401, -32600)


@BOTH
def test_a_key_that_ends_lists_nothing_after_a_second_without_any_bell(world: World, door: Door, revision: str) -> None:
    key = door.api_key("finance")
    assert send(door, key, message("tools/list", revision=revision), revision=revision).status_code == 200
    revoke(world, "update api_key set revoked_at = aos_now() where key_hash = %s", token_hash(key))
    until(lambda: send(door, key, message("tools/list", revision=revision), revision=revision).status_code == 401)


@pytest.mark.parametrize("version", ["1999-01-01", "2024-11-05", "DRAFT", "2026-07-29"])
def test_a_version_that_is_not_served_is_told_those_that_are(door: Door, key: str, version: str) -> None:
    refused = send(door, key, message("tools/list"), revision=version)
    error = error_of(refused, 400, -32022)
    assert error["data"] == {
        "supported": [STATELESS, HANDSHAKE, "2025-06-18", "2025-03-26"],
        "requested": version,
    }


def test_a_stateless_version_that_is_not_served_is_told_those_that_are(door: Door, key: str) -> None:
    meta = {"io.modelcontextprotocol/protocolVersion": "2030-01-01"}
    body = message("tools/list", {"_meta": meta}, revision=STATELESS)
    refused = send(door, key, body, revision=STATELESS, MCP_Protocol_Version="2030-01-01")
    assert error_of(refused, 400, -32022)["data"]["requested"] == "2030-01-01"


@pytest.mark.parametrize(
    ("headers", "named"),
    [
        ({"MCP_Protocol_Version": ""}, "mcp-protocol-version"),
        ({"Mcp_Method": ""}, "mcp-method"),
        ({"Mcp_Method": "tools/list"}, "mcp-method"),
        ({"Mcp_Name": ""}, "mcp-name"),
        ({"Mcp_Name": "payments_create"}, "mcp-name"),
        ({"Mcp_Name": "=?base64?%%%?="}, "mcp-name"),
    ],
)
def test_headers_that_do_not_repeat_the_body_are_refused(
    door: Door, key: str, headers: dict[str, str], named: str
) -> None:
    body = message("tools/call", {"name": "erp_read", "arguments": {}}, revision=STATELESS)
    assert named in error_of(send(door, key, body, revision=STATELESS, **headers), 400, -32020)["message"]


def test_a_routing_header_that_stands_twice_is_refused(door: Door, key: str) -> None:
    body = json.dumps(message("tools/list", revision=STATELESS)).encode()
    head = (
        f"POST /mcp HTTP/1.1\r\nhost: aos\r\nauthorization: Bearer {key}\r\nmcp-protocol-version: {STATELESS}\r\n"
        "mcp-method: tools/call\r\nmcp-method: tools/list\r\ncontent-type: application/json\r\nconnection: close\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    assert b'"code":-32020' in door.raw(head.encode() + body)


@pytest.mark.parametrize(
    "meta",
    [
        {},
        {"io.modelcontextprotocol/protocolVersion": STATELESS},
        {"io.modelcontextprotocol/clientCapabilities": {}},
        [],
        None,
    ],
)
def test_a_stateless_request_says_all_that_must_be_known(door: Door, key: str, meta: Any) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}}
    error_of(send(door, key, body, revision=STATELESS), 400, -32602)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Accept": "text/html"}, 406),
        ({"Content_Type": "text/plain"}, 415),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1"}, 403),
    ],
)
def test_what_the_transport_forbids_is_refused(door: Door, key: str, headers: dict[str, str], status: int) -> None:
    refused = send(door, key, json.dumps(message("tools/list")).encode(), **headers)
    assert refused.status_code == status
    assert refused.json()["error"]["data"]["status"] == status


@pytest.mark.parametrize("headers", [{"Accept": ""}, {"Accept": "*/*"}, {"Accept": "application/json;q=0.9"}])
def test_what_json_answers_is_accepted(door: Door, key: str, headers: dict[str, str]) -> None:
    assert send(door, key, message("tools/list"), **headers).status_code == 200


def test_a_page_of_this_address_may_speak_here(door: Door, key: str) -> None:
    assert send(door, key, message("tools/list"), Origin=door.url).status_code == 200


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "PATCH", "OPTIONS"])
def test_there_is_no_stream_to_open_and_no_session_to_end(door: Door, key: str, method: str) -> None:
    refused = door.client.request(method, "/mcp", headers={"Authorization": f"Bearer {key}"})
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")


@BOTH
@pytest.mark.parametrize("method", ["notifications/initialized", "notifications/cancelled", "notifications/made_up"])
def test_a_notification_is_taken_and_answered_with_nothing(door: Door, key: str, revision: str, method: str) -> None:
    body = {"jsonrpc": "2.0", "method": method, "params": {"requestId": 1}}
    taken = send(door, key, body, revision=revision)
    assert (taken.status_code, taken.content) == (202, b"")


@pytest.mark.parametrize(("revision", "status"), [(STATELESS, 400), (HANDSHAKE, 202)])
def test_an_answer_to_nothing_is_taken_only_where_servers_could_ask(
    door: Door, key: str, revision: str, status: int
) -> None:
    assert send(door, key, {"jsonrpc": "2.0", "id": 9, "result": {}}, revision=revision).status_code == status


def test_a_notification_in_a_version_that_is_not_served_is_refused(door: Door, key: str) -> None:
    body = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    error_of(send(door, key, body, revision="1999-01-01"), 400, -32022, None)


def test_a_session_that_was_never_begun_is_unknown(door: Door, key: str) -> None:
    error_of(send(door, key, message("tools/list"), Mcp_Session_Id="made-up"), 404, -32600)


@pytest.mark.parametrize("asked", [HANDSHAKE, "2025-06-18", "2025-03-26", "2024-11-05", "2030-01-01"])
def test_initialize_agrees_on_a_revision_and_gives_a_session_that_any_process_knows(
    world: World, door: Door, key: str, asked: str
) -> None:
    body = message("initialize", {**INITIALIZE, "protocolVersion": asked})
    begun = send(door, key, body, MCP_Protocol_Version="")
    result = begun.json()["result"]
    validate_server_result("initialize", HANDSHAKE, result)
    served = asked if asked in (HANDSHAKE, "2025-06-18", "2025-03-26") else HANDSHAKE
    assert result["protocolVersion"] == served
    session = begun.headers["mcp-session-id"]
    call = message("tools/call", {"name": "payments_create", "arguments": LARGE})
    with open_door(world) as other:
        waits = send(other, key, call, revision=served, Mcp_Session_Id=session).json()
    if served == HANDSHAKE:
        assert waits["error"]["code"] == -32042
    else:
        assert waits["result"]["structuredContent"]["type"] == "urn:aos:problem:approval-pending"


def test_a_request_without_a_version_is_one_of_the_first_that_had_the_header(door: Door, key: str) -> None:
    listed = send(door, key, message("tools/list"), MCP_Protocol_Version="").json()["result"]
    validate_server_result("tools/list", "2025-03-26", listed)


@BOTH
def test_what_is_answered_fits_the_official_schema(database: Database, revision: str) -> None:
    world = make_world(database, agents=[agent("finance", "payments.create", "erp.*")], tools=[payments()], rules=[ASK])
    with open_door(world) as door:
        token = door.api_key("finance")
        asked: list[tuple[str, dict[str, Any]]] = [
            ("tools/list", {}),
            ("tools/call", {"name": "payments_create", "arguments": PAY}),
            ("tools/call", {"name": "payments_create", "arguments": LARGE}),
            ("tools/call", {"name": "payments_create", "arguments": {}}),
        ]
        asked.append(("server/discover", {}) if revision == STATELESS else ("ping", {}))
        if revision == STATELESS:
            meta: Any = {"io.modelcontextprotocol/clientCapabilities": {"elicitation": {"url": {}}}}
            asked.append(("tools/call", {"name": "payments_create", "arguments": LARGE, "_meta": meta}))
        for method, params in asked:
            said = send(door, token, message(method, params, revision=revision), revision=revision).json()
            validate_server_result(method, revision, said["result"])


def test_a_long_list_comes_in_pages(database: Database) -> None:
    names = [f"erp.t{n:03}" for n in range(PAGE_ITEMS_MAX + 50)]
    world = make_world(database, agents=[agent("finance", "erp.*")], tools=[tool(name) for name in names])
    with open_door(world) as door:
        key = door.api_key("finance")
        first = send(door, key, message("tools/list")).json()["result"]
        last = send(door, key, message("tools/list", {"cursor": first["nextCursor"]})).json()["result"]
    assert [each["title"] for each in first["tools"] + last["tools"]] == names
    assert "nextCursor" not in last


@pytest.mark.parametrize(("path", "resource"), [("", ""), ("/mcp", "/mcp")])
def test_the_metadata_names_this_server_as_the_caller_reaches_it(door: Door, path: str, resource: str) -> None:
    address = "/.well-known/oauth-protected-resource" + path
    found = door.client.get(address)
    assert found.json()["resource"] == door.url + resource
    assert found.json()["bearer_methods_supported"] == ["header"]
    behind = {"Host": "aos.internal", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "aos.example"}
    assert door.client.get(address, headers=behind).json()["resource"] == "https://aos.example" + resource
    odd = {"Host": 'x"><script>'}
    assert door.client.get(address, headers=odd).json()["resource"] == door.url + resource
    assert door.client.post(address).status_code == 405


def test_other_paths_beside_the_door_are_not_it(door: Door, key: str) -> None:
    assert door.client.post("/mcpx", headers={"Authorization": f"Bearer {key}"}).status_code == 503
