"""What a tool's server says of its progress reaches the client that asks for it: numbers alone, rising, bounded, before the result."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp_types import CallToolResult

from aos.data_plane.mcp.progress import TOLD_MAX
from aos.kernel.mcp_servers import McpServer
from aos.kernel.policy.values import Approvers, Outcome, Rule
from tests.contract.mcp_peer import HANDSHAKE, STATELESS, message, send, speak, text_of
from tests.contract.mcp_servers_peer import NOTE, notes, offered, reached, rogue, tools_of
from tests.databases import Server, cloned
from tests.doors import Door, open_door, until
from tests.folders import new_folder
from tests.worlds import agent, make_world

BOTH = pytest.mark.parametrize("revision", [STATELESS, HANDSHAKE])
ASK = Rule(
    "ask-for-long",
    1,
    Outcome.ESCALATE,
    (),
    ("tool:notes.count_slowly",),
    "args.steps == 7",
    "long",
    approvers=Approvers(),
)
TIMEOUTS = {"endless": 1}


def server(mode: str, folder: Path) -> McpServer:
    """Return the registration of a server that misbehaves."""
    return McpServer(mode, command=rogue(mode, folder).command)


@pytest.fixture(scope="module")
def door(postgres_server: Server) -> Iterator[Door]:
    folder = new_folder("progress")
    servers = [notes(folder), server("boasts", folder), server("endless", folder)]
    tools = [tool for tool in tools_of("notes", offered(reached(servers[0]))).values() if "count" in tool.name]
    for each in servers[1:]:
        timeout = TIMEOUTS.get(each.name, 20)
        tools += tools_of(each.name, [NOTE], timeout_seconds=timeout).values()
    for database in cloned(postgres_server):
        world = make_world(database, agents=[agent("writer", "*")], tools=tools, rules=[ASK], mcp_servers=servers)
        with open_door(world) as opened:
            yield opened


def heard(door: Door, revision: str, tool: str, arguments: Any = None) -> tuple[CallToolResult, list[Any]]:
    """Call a tool with the official client and return its result, and what it was told before."""
    said: list[Any] = []

    async def listen(progress: float, total: float | None, message: str | None) -> None:
        said.append((progress, total, message))

    async def work(client: Client) -> CallToolResult:
        return await client.call_tool(tool, arguments or {}, progress_callback=listen)

    return speak(door, door.api_key("writer"), revision, work), said


def asked(door: Door, tool: str, arguments: Any, *, token: Any = "t", **headers: str) -> Any:
    """Call a tool by hand, asking for its progress."""
    params = {"name": tool, "arguments": arguments, "_meta": {"progressToken": token}}
    return send(door, door.api_key("writer"), message("tools/call", params), **headers)


@BOTH
def test_a_client_hears_how_far_a_call_is_before_its_result(door: Door, revision: str) -> None:
    done, said = heard(door, revision, "notes_count_slowly", {"steps": 3})
    assert (done.is_error, done.structured_content) == (False, {"result": 3})
    assert said == [(0, 3, None), (1, 3, None), (2, 3, None)]


@BOTH
def test_a_server_that_boasts_is_told_of_in_rising_numbers_and_bounded(door: Door, revision: str) -> None:
    done, said = heard(door, revision, "boasts_note")
    assert text_of(done) == "noted"
    assert [each[:2] for each in said[:3]] == [(1, 6), (5, 6), (6, 6)]
    numbers = [each[0] for each in said]
    assert numbers == sorted(set(numbers))
    assert len(numbers) <= TOLD_MAX
    assert {each[2] for each in said} == {None}  # a server's words come with its outcome, whose origin is recorded


def test_a_server_whose_progress_never_ends_is_cut_at_the_calls_deadline(door: Door) -> None:
    done, said = heard(door, HANDSHAKE, "endless_note")
    assert done.structured_content["type"] == "urn:aos:problem:outcome-unknown"
    assert 0 < len(said) <= 110


def test_the_stream_holds_notifications_and_then_the_answer(door: Door) -> None:
    told = asked(door, "notes_count_slowly", {"steps": 2}, token=7)
    assert told.headers["content-type"] == "text/event-stream"
    events = [json.loads(line[6:]) for line in told.text.splitlines() if line.startswith("data: ")]
    params = [each["params"] for each in events[:-1]]
    assert params == [{"progressToken": 7, "progress": step, "total": 2} for step in (0, 1)]
    assert (events[-1]["id"], events[-1]["result"]["isError"]) == (1, False)


@pytest.mark.parametrize(
    ("token", "headers"), [(True, {}), (1.5, {}), ("t" * 300, {}), ("t", {"accept": "application/json"})]
)
def test_who_asks_for_progress_in_no_form_that_is_one_gets_the_answer_alone(
    door: Door, token: Any, headers: dict[str, str]
) -> None:
    told = asked(door, "notes_count_slowly", {"steps": 2}, token=token, **headers)
    assert told.headers["content-type"] == "application/json"
    assert "result" in told.json() or told.json()["error"]["code"] == -32602


def test_what_is_refused_or_waits_for_a_person_is_answered_without_a_stream(door: Door) -> None:
    for tool, arguments in (("notes_count_slowly", {"steps": 7}), ("notes_count_slowly", {"steps": "x"})):
        told = asked(door, tool, arguments)
        assert (told.headers["content-type"], told.json()["result"]["isError"]) == ("application/json", True)
    unknown = asked(door, "nothing", {})
    assert unknown.json()["error"]["code"] == -32602


def test_a_client_that_goes_away_under_a_stream_leaves_a_call_that_is_recorded(door: Door) -> None:
    params = {"name": "boasts_note", "arguments": {}, "_meta": {"progressToken": 1, "aos/idempotency-key": "gone"}}
    body = message("tools/call", params)
    headers = {"Authorization": f"Bearer {door.api_key('writer')}", "Accept": "application/json, text/event-stream"}
    with door.client.stream("POST", "/mcp", json=body, headers=headers) as told:
        next(told.iter_bytes(64))
    key = door.api_key("writer")

    def value() -> Any:
        return send(door, key, body).json()["result"]["structuredContent"].get("value")

    until(lambda: value() == "noted")
