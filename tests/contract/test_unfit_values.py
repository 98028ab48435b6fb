"""Values that no column holds (NUL in texts, numbers and times past every range) are the caller's fault at every door: never a 500."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from aos.control_plane.binding import Services, bind
from tests.contract.test_rest_runs_write import bridge_of
from tests.databases import Database
from tests.doors import open_door
from tests.planes import Plane
from tests.worlds import agent, make_world, payments

NUL = "a\0b"
TEXTS = (NUL, "\0", "99999-12-31T00:00:00Z", "0000-00-00", "9" * 40, "1e400")
NUMBERS: tuple[Any, ...] = (10**30, -(10**30), 2**31, 2**63, 1e308)

BODIES: dict[str, dict[str, Any]] = {
    "/departments": {"name": "ops", "cost_center": "CC-1"},
    "/people": {"email": "a@larkspur.example", "name": "A", "roles": ["viewer"]},
    "/agents": {"name": "books", "type": "functional", "goal": "g", "objectives": [{"name": "n", "kpi": "k", "target": "t"}]},
    "/tools": {
        "name": "notes.read",
        "description": "d",
        "http": {"url": "https://x.example/{id}"},
        "effect": "read",
        "args": {"type": "object", "properties": {"id": {"type": "string"}}},
    },
    "/models": {
        "name": "m", "provider": "openai", "upstream": "gpt", "price": "free", "context": 8192, "output": 1024,
    },
    "/policies": {"id": "p", "actions": ["tool:*"], "outcome": "deny", "reason": "r", "when": "args.x > 1"},
    "/budgets": {"id": "b", "scope": "organization", "limit": {"amount": "1", "currency": "EUR"}, "per": "month"},
    "/workflows": {"name": "w", "tasks": {"t": {"agent": "finance", "input": {"a": "b"}}}},
    "/schedules": {"name": "s", "agent": "finance", "cron": "0 0 * * *", "input": {"a": "b"}},
    "/hooks": {"name": "h", "agent": "finance"},
    "/mcp-servers": {"name": "x", "command": ["x", "y"], "env": {"A": "b"}},
    "/secrets": {"name": "s", "value": "v"},
    "/organizations": {"name": "Other", "currency": "EUR", "timezone": "UTC"},
    "/runs": {"agent": "finance", "input": {"a": "b"}, "goal": "g", "thread": "t", "labels": {"a": "b"}},
    "/people/link": {"link": "aosl_abc"},
    "/agents/finance/api-keys": {"label": "l", "expires_days": 5},
    "/tokens": {"label": "l", "expires_days": 5},
}  # fmt: skip


def unfit(value: Any) -> Iterator[Any]:
    """Yield a document once for each of its values, names included, with one that no column holds."""
    match value:
        case dict():
            for name, part in value.items():
                yield from ({**value, name: each} for each in unfit(part))
                yield {**{k: v for k, v in value.items() if k != name}, f"{name}\0": part}
        case list():
            for place, part in enumerate(value):
                yield from ([*value[:place], each, *value[place + 1 :]] for each in unfit(part))
        case str():
            yield from (value + NUL, *TEXTS)
        case _:
            yield from NUMBERS


@pytest.fixture
def bridged(plane: Plane) -> Iterator[Plane]:
    """A control plane with its bridge to what is hot."""
    bridge = bridge_of(plane)
    bind(Services(plane.drivers, bridge=bridge))
    yield plane
    bridge.close()


def test_no_body_of_the_registry_breaks_by_a_value(bridged: Plane) -> None:
    plane = bridged
    asked = {"name": "finance", "type": "functional", "runtime": {"python": "x:y"}}
    assert plane.post("/agents", asked).status_code == 201
    broken = []
    for path, good in BODIES.items():
        for body in unfit(copy.deepcopy(good)):
            for method, at in (("POST", path), ("PATCH", f"{path}/finance")):
                if method == "PATCH" and path != "/agents":
                    continue
                answer = plane.request(method, at, body)
                if answer.status_code >= 500 or (b"\\u0000" in json.dumps(body).encode() and answer.status_code < 300):
                    broken.append((method, at, answer.status_code, json.dumps(body)[:200]))
    assert not broken, (len(broken), broken)


def test_no_path_and_no_question_breaks_by_a_value(plane: Plane) -> None:
    document = plane.get("/openapi.json").json()
    broken = []
    for path, verbs in document["paths"].items():
        for method, verb in verbs.items():
            if method not in ("get", "post", "delete", "patch", "put"):
                continue
            at = path
            while "{" in at:
                at = at[: at.index("{")] + "a%00b" + at[at.index("}") + 1 :]
            asked = [each["name"] for each in verb.get("parameters", ()) if each.get("in") == "query"]
            questions = [""] + [
                f"?{name}={value}"
                for name in asked
                for value in ("a%00b", "99999-12-31T00:00:00Z", "9" * 40, "%ED%A0%80", "-1")
            ]
            for question in questions if method == "get" or at != path else ():
                answer = plane.request(method.upper(), at + question, None if method == "get" else {})
                if answer.status_code >= 500:
                    broken.append((method, at + question, answer.status_code))
    assert broken == []


def test_no_header_breaks_by_a_value(plane: Plane) -> None:
    for name in ("Idempotency-Key", "AOS-Organization", "If-Match", "traceparent", "Prefer", "AOS-Version"):
        for value in ("9" * 500, "\x7f", "wait=" + "9" * 40):
            answer = plane.request("POST", "/departments", {"name": "x"}, **{name: value})
            assert answer.status_code < 500, (name, value, answer.text)


DOORS: list[tuple[str, Any]] = [
    ("/tools/payments.create/call", {"arguments": {"iban": "x", "amount": "1.00", "currency": "EUR"}}),
    ("/tools/payments.create/call", {"arguments": {}, "approval_id": "x"}),
    ("/tools/a%00b/call", {"arguments": {}}),
    ("/tasks/take", {"max": 1, "wait": 0}),
    ("/v1/chat/completions", {"model": "gpt", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 5}),
    ("/v1/messages", {"model": "gpt", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 5}),
    ("/a2a/finance", {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {
        "message": {"messageId": "m", "contextId": "c", "taskId": "t", "role": "ROLE_USER", "parts": [{"text": "x"}]},
        "configuration": {"returnImmediately": True}}}),
    ("/a2a/finance", {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {
        "message": {"messageId": "m", "contextId": "c", "role": "ROLE_USER", "parts": [{"text": "x"}, {"data": {"a": "b"}}]},
        "configuration": {"returnImmediately": True, "taskPushNotificationConfig": {
            "id": "i", "url": "https://x.example", "token": "t", "authentication": {"scheme": "Bearer", "credentials": "c"}}}}}),
    ("/a2a/finance", {"jsonrpc": "2.0", "id": 1, "method": "ListTasks", "params": {
        "contextId": "c", "pageSize": 5, "pageToken": "t", "statusTimestampAfter": "2026-01-01T00:00:00Z"}}),
    ("/a2a/finance", {"jsonrpc": "2.0", "id": 1, "method": "GetTask", "params": {"id": "t", "historyLength": 1}}),
    ("/mcp", {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "payments_create", "arguments": {"iban": "x"},
        "_meta": {"aos/idempotency-key": "k", "aos/approval-id": "x"}}}),
]  # fmt: skip


@pytest.fixture
def world(database: Database) -> Any:
    agents = [agent("finance", "payments.create"), agent("caller", "payments.create", delegates=("finance",))]
    return make_world(database, agents=agents, tools=[payments()], hosts=["x.example"])


def test_no_door_of_agents_breaks_by_a_value(world: Any) -> None:
    broken = []
    with open_door(world) as door:
        key = door.api_key("caller")
        sent = {"Authorization": f"Bearer {key}", "A2A-Version": "1.0", "accept": "application/json, text/event-stream"}
        for path, good in DOORS:
            for body in [good, *unfit(copy.deepcopy(good))]:
                content = json.dumps(body).encode()
                answer = door.client.post(path, content=content, headers={**sent, "content-type": "application/json"})
                said = answer.text
                if answer.status_code >= 500 or "-32603" in said or "could not be recorded" in said:
                    broken.append((path, answer.status_code, said, content))
    assert not broken, json.dumps(broken[:20], default=str)
