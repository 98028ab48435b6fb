"""What is not A2A, or not well-formed, at the A2A door: each by the binding's own error, nothing written, nobody disturbed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from a2a.utils.errors import A2AError
from hypothesis import given
from hypothesis import strategies as st

from aos.data_plane.a2a.routes import VERBS, read_asked
from aos.kernel.errors import AosError
from aos.kernel.limits import BODY_BYTES_MAX
from aos.operations.a2a_messages import read_incoming
from tests.contract.a2a_peer import Served, run_agent, serving
from tests.databases import Server, cloned
from tests.worlds import agent, make_world

GOOD = {"message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"data": {"n": 1}}]}}


@pytest.fixture(scope="module")
def served(postgres_server: Server) -> Iterator[Served]:
    with contextmanager(cloned)(postgres_server) as database:
        agents = [run_agent("echo"), agent("caller", delegates=("echo",), runtime=None)]
        with serving(make_world(database, agents=agents)) as found:
            yield found


NAMES = [
    "id", "message", "metadata", "configuration", "taskId", "messageId", "contextId", "role", "parts", "data", "text",
    "url", "raw", "token", "authentication", "taskPushNotificationConfig", "pageSize", "pageToken", "historyLength",
    "status", "statusTimestampAfter", "includeArtifacts", "aos/budget-left", "traceparent", "amount", "currency",
]  # fmt: skip


def nested(depth: int) -> str:
    return '{"a":' * depth + "1" + "}" * depth


def message(**more: Any) -> dict[str, Any]:
    return {"message": {**GOOD["message"], **more}}


BODIES = [
    (b"", -32700),
    (b"{", -32700),
    (b"\xff\xfe", -32700),
    (nested(100_000).encode(), -32700),
    (b"[]", -32600),
    (b'[{"jsonrpc":"2.0","id":1,"method":"GetTask"}]', -32600),
    (b"null", -32600),
    (b'{"id":1,"method":"GetTask"}', -32600),
    (b'{"jsonrpc":"1.0","id":1,"method":"GetTask"}', -32600),
    (b'{"jsonrpc":"2.0","method":"GetTask"}', -32600),
    (b'{"jsonrpc":"2.0","id":true,"method":"GetTask"}', -32600),
    (b'{"jsonrpc":"2.0","id":{},"method":"GetTask"}', -32600),
    (b'{"jsonrpc":"2.0","id":1}', -32600),
    (b'{"jsonrpc":"2.0","id":1,"method":7}', -32600),
    (b'{"jsonrpc":"2.0","id":1,"method":"message/send","params":{}}', -32601),
    (b'{"jsonrpc":"2.0","id":1,"method":"DropTables"}', -32601),
    (b'{"jsonrpc":"2.0","id":1,"method":"GetTask","params":[1]}', -32602),
    (b'{"jsonrpc":"2.0","id":1,"method":"GetTask","params":{"id":{"a":1}}}', -32602),
    (b'{"jsonrpc":"2.0","id":1,"method":"GetTask","params":' + nested(200).encode() + b"}", -32602),
]


@pytest.mark.parametrize(("body", "code"), BODIES)
def test_a_body_that_is_no_request_is_answered_by_json_rpcs_own_code(served: Served, body: bytes, code: int) -> None:
    answer = served.send("POST", "/a2a/echo", content=body, headers={"Content-Type": "application/json"})
    assert answer.json()["error"]["code"] == code, answer.text
    assert answer.status_code == 200


PARAMS: list[tuple[str, Any, int]] = [
    ("SendMessage", {}, -32602),
    ("SendMessage", {"message": {}}, -32602),
    ("SendMessage", {"message": "hello"}, -32602),
    ("SendMessage", message(messageId=""), -32602),
    ("SendMessage", message(messageId="x" * 201), -32602),
    ("SendMessage", message(parts=[]), -32602),
    ("SendMessage", message(parts=[{}]), -32602),
    ("SendMessage", message(parts=[{"data": 1}] * 101), -32602),
    ("SendMessage", message(role="ROLE_AGENT"), -32602),
    ("SendMessage", message(contextId="x" * 201), -32602),
    ("SendMessage", message(parts=[{"raw": "AAAA"}]), -32005),
    ("SendMessage", message(taskId="no-such-task"), -32001),
    ("SendMessage", {**GOOD, "metadata": {"aos/budget-left": "all of it"}}, -32602),
    ("SendMessage", {**GOOD, "configuration": {"taskPushNotificationConfig": {"url": "ftp://x"}}}, -32602),
    ("GetTask", {}, -32602),
    ("GetTask", {"id": "no-such-task"}, -32001),
    ("GetTask", {"id": "00000000-0000-0000-0000-000000000000", "historyLength": "many"}, -32602),
    ("CancelTask", {"id": "no-such-task"}, -32001),
    ("SubscribeToTask", {"id": "no-such-task"}, -32001),
    ("ListTasks", {"pageSize": 101}, -32602),
    ("ListTasks", {"pageSize": 0}, -32602),
    ("ListTasks", {"pageToken": "mine"}, -32602),
    ("ListTasks", {"statusTimestampAfter": "yesterday"}, -32602),
    ("CreateTaskPushNotificationConfig", {"taskId": "no-such-task", "url": "http://x"}, -32001),
    ("GetTaskPushNotificationConfig", {"taskId": "no-such-task", "id": "x"}, -32001),
]


@pytest.mark.parametrize(("method", "params", "code"), PARAMS)
def test_parameters_that_do_not_fit_are_answered_by_the_protocols_own_code(
    served: Served, method: str, params: Any, code: int
) -> None:
    before = served.door.written()
    answer = served.rpc("echo", method, params)
    assert (answer.json()["error"]["code"], answer.json()["id"]) == (code, 1), answer.text
    details = answer.json()["error"]["data"]
    assert details[0]["domain"] == "a2a-protocol.org"
    assert served.door.written() == before


@pytest.mark.parametrize("version", ["0.3", "2.0", "", "one"])
def test_another_version_of_the_protocol_is_refused(served: Served, version: str) -> None:
    by_rpc = served.rpc("echo", "SendMessage", GOOD, headers={"A2A-Version": version})
    assert by_rpc.json()["error"]["code"] == -32009
    by_rest = served.send("POST", "/a2a/echo/message:send", json=GOOD, headers={"A2A-Version": version})
    assert by_rest.status_code == 400
    assert by_rest.json()["error"]["details"][0]["reason"] == "VERSION_NOT_SUPPORTED"


@pytest.mark.parametrize("version", ["1.0", "1.0.1", "1"])
def test_every_patch_of_version_1_is_spoken(served: Served, version: str) -> None:
    answer = served.rpc("echo", "ListTasks", headers={"A2A-Version": version})
    assert "result" in answer.json()


PATHS: list[tuple[str, str, int, str]] = [
    ("GET", "/a2a/echo/tasks/no-such-task", 404, "TASK_NOT_FOUND"),
    ("POST", "/a2a/echo/tasks/no-such-task:cancel", 404, "TASK_NOT_FOUND"),
    ("POST", "/a2a/echo/tasks/no-such-task:subscribe", 404, "TASK_NOT_FOUND"),
    ("GET", "/a2a/echo/tasks?pageSize=1000", 400, "INVALID_PARAMS"),
    ("GET", "/a2a/echo/tasks?pageSize=many", 400, "INVALID_PARAMS"),
    ("GET", "/a2a/echo/nothing/here", 404, "METHOD_NOT_FOUND"),
    ("GET", "/a2a/echo/message:send", 405, "METHOD_NOT_ALLOWED"),
    ("DELETE", "/a2a/echo/tasks/x", 405, "METHOD_NOT_ALLOWED"),
    ("GET", "/a2a/nobody/tasks", 404, "NOT_FOUND"),
    ("GET", "/a2a/caller/tasks", 404, "NOT_FOUND"),
]


@pytest.mark.parametrize(("method", "path", "status", "reason"), PATHS)
def test_a_path_that_names_nothing_is_answered_in_the_form_of_http_json(
    served: Served, method: str, path: str, status: int, reason: str
) -> None:
    answer = served.send(method, path)
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert (error["code"], error["details"][0]["reason"]) == (status, reason)


def test_a_body_that_is_no_json_is_answered_in_the_form_of_http_json(served: Served) -> None:
    for body in (b"{", b"[]", b"", nested(100_000).encode()):
        answer = served.send("POST", "/a2a/echo/message:send", content=body)
        assert answer.status_code == 400
        assert answer.json()["error"]["status"] == "INVALID_ARGUMENT"


def test_a_body_over_the_limit_is_refused_before_it_is_read_whole(served: Served) -> None:
    answer = served.send("POST", "/a2a/echo", content=b" " * (BODY_BYTES_MAX + 1))
    assert answer.status_code == 413
    assert answer.json()["error"]["data"][1]["type"] == "urn:aos:problem:too-large"


def test_who_is_not_known_is_told_how_to_sign_in_and_nothing_of_the_agents(served: Served) -> None:
    for agent_name in ("echo", "nobody"):
        answer = served.send("POST", f"/a2a/{agent_name}", json={}, caller=None)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        rest = served.send("GET", f"/a2a/{agent_name}/tasks", caller=None)
        assert (rest.status_code, rest.json()["error"]["status"]) == (401, "UNAUTHENTICATED")


def test_a_get_at_the_rpc_address_is_no_method(served: Served) -> None:
    answer = served.send("GET", "/a2a/echo")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.sampled_from(NAMES) | st.text(), below, max_size=5),
    max_leaves=15,
)


@given(st.sampled_from(sorted(VERBS)), st.dictionaries(st.sampled_from(NAMES), JSON, max_size=6))
def test_no_parameters_whatever_end_in_anything_but_the_protocols_errors(verb: str, params: dict[str, Any]) -> None:
    try:
        read_asked(verb, params)
        incoming = read_incoming(params)
        assert incoming.message_id
    except (A2AError, AosError):
        pass


def test_after_all_of_that_a_good_message_is_answered(served: Served) -> None:
    answer = served.rpc("echo", "SendMessage", message(messageId="at last"))
    assert answer.json()["result"]["task"]["status"]["state"] == "TASK_STATE_COMPLETED"
