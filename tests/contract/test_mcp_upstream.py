"""Tools of MCP servers behind the gate: offered on at AOS's own doors, decided, approved, held and recorded like any other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from psycopg.types.json import Jsonb

from aos.kernel.mcp_servers import McpServer, SecretName
from aos.kernel.policy.values import Approvers, Outcome, Rule
from aos.kernel.specs import spec_of
from aos.kernel.tools import Repeat
from aos.operations.approvals import Answer
from tests.contract.mcp_peer import HANDSHAKE, STATELESS, answer, call, speak, text_of
from tests.contract.mcp_servers_peer import notes, notes_over_http, offered, reached, tools_of
from tests.databases import Database
from tests.doors import Door, open_door, revoke
from tests.worlds import World, agent, make_world

BOTH = pytest.mark.parametrize("revision", [STATELESS, HANDSHAKE])
ASK = Rule(
    "ask-for-plans", 1, Outcome.ESCALATE, (), ("tool:notes.write_note",), 'args.name == "plans"', "plans are asked for",
    approvers=Approvers(),
)  # fmt: skip
NEVER = Rule("no-salaries", 1, Outcome.DENY, (), ("tool:notes.write_note",), 'args.name == "salaries"', "no salaries")


@pytest.fixture(scope="module")
def offers(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return offered(reached(notes(tmp_path_factory.mktemp("notes"))))


def make(database: Database, server: McpServer, offers: Any, **more: Any) -> World:
    tools = tools_of("notes", offers)
    tools["write_note"] = replace(tools["write_note"], repeat=Repeat.KEYED)
    return make_world(
        database,
        agents=[agent("writer", "notes.*"), agent("reader", "notes.read_note")],
        tools=list(tools.values()),
        rules=[ASK, NEVER],
        mcp_servers=[server],
        **more,
    )


@pytest.fixture
def world(database: Database, tmp_path: Path, offers: Any) -> World:
    server = notes(tmp_path, env={"NOTES_TOKEN": SecretName("notes")})
    return make(database, server, offers, secrets={"notes": "s3cret-of-notes"})


@pytest.fixture
def door(world: World) -> Iterator[Door]:
    with open_door(world, listens=True) as opened:
        yield opened


def lines(folder: Path, name: str) -> list[str]:
    file = folder / name
    return file.read_text().splitlines() if file.exists() else []


@BOTH
def test_an_agent_sees_and_calls_through_aos_what_it_may_of_a_servers_tools(door: Door, revision: str) -> None:
    async def work(client: Client) -> list[str]:
        return sorted(tool.name for tool in (await client.list_tools()).tools)

    reader, writer = door.api_key("reader"), door.api_key("writer")
    assert speak(door, reader, revision, work) == ["notes_read_note"]
    assert "notes_write_note" in speak(door, writer, revision, work)
    done = call(door, reader, revision, "notes_read_note", {"name": "a"})
    assert (done.is_error, done.structured_content) == (False, {"result": "note a"})
    refused = call(door, reader, revision, "notes_write_note", {"name": "a"})
    assert refused.is_error
    assert text_of(refused).startswith("Denied by policy")


def test_a_call_is_decided_by_policy_and_recorded_and_one_that_waits_is_done_once(door: Door, tmp_path: Path) -> None:
    key = door.api_key("writer")
    denied = call(door, key, STATELESS, "notes_write_note", {"name": "salaries"})
    assert "no salaries" in text_of(denied)
    waiting = call(door, key, STATELESS, "notes_write_note", {"name": "plans"})
    assert waiting.is_error
    assert lines(tmp_path, "written") == []
    ((approval,),) = door.world.rows("select id from approval")
    answer(door, str(approval), Answer.APPROVE)
    done = call(door, key, STATELESS, "notes_write_note", {"name": "plans"})
    assert done.structured_content == {"name": "plans", "count": 1}
    assert lines(tmp_path, "written") == ["plans"]
    states = [state for name, state in door.world.states() if name == "notes.write_note"]
    assert states == ["refused", "performed"]


def test_the_plain_door_calls_it_too_and_hands_its_key_on(door: Door, tmp_path: Path) -> None:
    key = door.api_key("writer")
    first = door.call("notes.write_note", {"name": "a"}, token=key, key="one")
    again = door.call("notes.write_note", {"name": "a"}, token=key, key="one")
    assert first.json()["value"] == again.json()["value"] == {"name": "a", "count": 1}
    assert again.headers["idempotency-replayed"] == "true"
    assert lines(tmp_path, "written") == ["a"]
    (handed,) = lines(tmp_path, "keys")
    assert handed not in ("None", "one"), "a key of AOS's own, the same for every try"
    failed = door.call("notes.fail", token=key)
    assert (failed.status_code, failed.json()["type"]) == (502, "urn:aos:problem:tool-failed")
    assert door.call("notes.around", token=key).json()["value"]["token"] == "s3cret-of-notes"


def test_pictures_reach_the_client_as_the_server_gave_them(door: Door) -> None:
    done = call(door, door.api_key("writer"), STATELESS, "notes_picture")
    (block,) = done.content
    assert (block.type, block.data, block.mime_type) == ("image", "iVBORw0KGgo=", "image/png")  # type: ignore[union-attr]


def test_what_changed_is_held_with_its_own_error_until_a_new_version_accepts_it(door: Door, tmp_path: Path) -> None:
    key = door.api_key("writer")
    assert door.call("notes.redescribe", {"text": "Write, and send."}, token=key).status_code == 200
    held = door.call("notes.write_note", {"name": "a"}, token=key, key="one").json()
    assert (held["type"], held["status"]) == ("urn:aos:problem:schema-changed", 409)
    assert "aos mcp-servers accept notes" in held["detail"]
    shown = call(door, key, STATELESS, "notes_write_note", {"name": "a"})
    assert text_of(shown).startswith("Tool changed")
    accepted = _found(door, "notes.write_note")
    assert (accepted["state"], accepted["entry"]["description"]) == ("held", "Write, and send.")
    tool = door.world.tools["notes.write_note"]
    spec = spec_of(replace(tool, options=accepted["entry"]["mcp"]))
    revoke(door.world, "update tool_version set spec = %s where tool_id = %s", Jsonb(spec), tool.id)
    door.run(door.running.facts.refresh())
    assert door.call("notes.write_note", {"name": "a"}, token=key, key="one").status_code == 200
    assert lines(tmp_path, "written") == ["a"]


def held_now(door: Door) -> list[tuple[str, bool]]:
    query = "select t.name, h.why like %s from held_tool h join tool t on t.id = h.tool_id and t.version = h.version"
    return [(name, said) for name, said in door.world.rows(query, "%aos mcp-servers accept notes%")]


def test_a_tool_that_is_held_is_marked_until_a_call_or_a_look_finds_it_as_it_was_accepted(
    door: Door, tmp_path: Path
) -> None:
    key = door.api_key("writer")
    first = (tmp_path / "description").read_text() if (tmp_path / "description").exists() else "Write a note."
    door.call("notes.redescribe", {"text": "Write, and send."}, token=key)
    assert door.call("notes.write_note", {"name": "a"}, token=key).status_code == 409
    assert held_now(door) == [("notes.write_note", True)]
    door.call("notes.redescribe", {"text": first}, token=key)
    assert door.call("notes.write_note", {"name": "a"}, token=key).status_code == 200
    assert held_now(door) == []
    door.call("notes.redescribe", {"text": "Write, and send."}, token=key)
    assert _found(door, "notes.write_note")["state"] == "held"
    assert held_now(door) == [("notes.write_note", True)]


def test_a_server_that_is_restarted_begins_anew_at_its_next_call_and_what_it_changed_is_noticed(
    door: Door, tmp_path: Path
) -> None:
    key = door.api_key("writer")
    assert door.call("notes.read_note", {"name": "a"}, token=key).status_code == 200
    (tmp_path / "description").write_text("Write, and send.")
    assert door.call("notes.read_note", {"name": "a"}, token=key).status_code == 200
    assert len(lines(tmp_path, "pids")) == 1
    revoke(door.world, "update mcp_server set restarts = restarts + 1")
    door.run(door.running.facts.refresh())
    assert door.call("notes.read_note", {"name": "a"}, token=key).status_code == 200
    assert len(set(lines(tmp_path, "pids"))) == 2
    assert door.call("notes.write_note", {"name": "a"}, token=key).status_code == 409


def _found(door: Door, name: str) -> Any:
    items = _discover(door, door.personal_token("developer")).json()["items"]
    return next(each for each in items if each["name"] == name)


def _discover(door: Door, token: str, name: str = "notes") -> Any:
    return door.post(f"/mcp-servers/{name}/discover", b"{}", token=token)


def test_who_may_register_tools_is_told_what_a_server_offers_and_nobody_else(door: Door) -> None:
    items = {each["name"]: each for each in _discover(door, door.personal_token("developer")).json()["items"]}
    assert {each["state"] for each in items.values()} == {"accepted"}
    assert items["notes.read_note"]["notes"] == [
        "its server claims readOnlyHint: the effect is yours to judge",
    ]
    assert "s3cret" not in str(items)
    assert _discover(door, door.api_key("writer")).status_code == 403
    assert _discover(door, door.personal_token("auditor")).status_code == 403
    assert _discover(door, door.personal_token("developer"), "other").status_code == 404
    assert door.post("/mcp-servers/notes/discover", b"{}", token="wrong").status_code == 401


def test_two_data_planes_ask_a_server_behind_an_address_and_one_may_go(
    database: Database, tmp_path: Path, offers: Any
) -> None:
    with notes_over_http(tmp_path) as url:
        world = make(database, McpServer("notes", url=url), offers, hosts=[url.split("/")[2]])
        with open_door(world) as one:
            key = one.api_key("writer")
            with open_door(world) as other:

                async def work(client: Client) -> None:
                    for name in "abcd":
                        done = await client.call_tool("notes_write_note", {"name": name})
                        assert not done.is_error

                speak(one, key, STATELESS, work, ports=[one.port, other.port])
            done = one.call("notes.write_note", {"name": "e"}, token=key)
            assert done.status_code == 200
    assert lines(tmp_path, "written") == ["a", "b", "c", "d", "e"]


def test_a_server_whose_secret_is_missing_or_that_is_retired_is_not_asked(door: Door, tmp_path: Path) -> None:
    key = door.api_key("writer")
    revoke(door.world, "update secret set sealed = '' where name = 'notes'")
    door.run(door.running.facts.refresh())
    missing = door.call("notes.read_note", {"name": "a"}, token=key)
    assert "aos secrets set notes" in missing.json()["detail"]
    revoke(door.world, "update mcp_server set retired_at = aos_now()")
    door.run(door.running.facts.refresh())
    gone = door.call("notes.read_note", {"name": "a"}, token=key)
    assert "no MCP server `notes`" in gone.json()["detail"]
    assert lines(tmp_path, "pids") == []
