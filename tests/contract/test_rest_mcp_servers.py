"""/mcp-servers and the tools that stand for what they offer: who may register, what waits, and what is kept when applied again."""

from __future__ import annotations

from typing import Any

import pytest

from tests.planes import Plane

SERVER: dict[str, Any] = {
    "command": ["mcp-server-time", "--local-timezone", "UTC"],
    "env": {"API_KEY": {"secret": "time"}},
}
MEND = "name it in AOS_MCP_COMMANDS, then restart AOS with `aos down` and `aos up`"
FIRST, SECOND = "sha256:" + "1" * 64, "sha256:" + "2" * 64
ARGS = {"type": "object", "properties": {"zone": {"type": "string"}, "style": {"type": "string"}}}
TOOL: dict[str, Any] = {
    "mcp": {"server": "time", "tool": "now", "digest": FIRST},
    "effect": "read",
    "args": ARGS,
    "description": "The time.",
}


def manifest(**more: Any) -> dict[str, Any]:
    return {"aos": 1, "mcp_servers": {"time": SERVER}, "tools": {"time.now": TOOL}, **more}


def apply(plane: Plane, document: Any) -> Any:
    answer = plane.post("/manifest", {"manifest": document})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_server_that_a_developer_registers_waits_until_it_is_accepted(plane: Plane) -> None:
    token = plane.as_person("dev@larkspur.example", "developer")
    made = plane.post("/mcp-servers", {"name": "time", **SERVER}, token=token)
    assert made.status_code == 201, made.text
    shown = made.json()
    assert (shown["version"], shown["draft_version"]) == (0, 1)
    assert (shown["command"], shown["env"], shown["url"]) == (SERVER["command"], SERVER["env"], None)
    assert plane.post("/mcp-servers/time/publish", {"version": 1}, token=token).status_code == 403
    assert plane.post("/mcp-servers/time/publish", {"version": 1}).json()["version"] == 1
    wider = plane.patch("/mcp-servers/time", {"command": ["bash"]}, token=token).json()
    assert (wider["version"], wider["draft_version"], wider["command"]) == (1, 2, SERVER["command"])
    busier = plane.patch("/mcp-servers/time", {"concurrency": 2}, token=token).json()
    assert (busier["version"], busier["concurrency"]) == (3, 2)
    versions = plane.get("/mcp-servers/time/versions").json()["items"]
    assert [each["version"] for each in versions] == [3, 2, 1]
    assert plane.delete("/mcp-servers/time").json()["retired_at"]
    assert [each["name"] for each in plane.get("/mcp-servers").json()["items"]] == ["time"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, ""),
        ({"command": ["x"], "url": "https://x.example"}, ""),
        ({"command": []}, "/command"),
        ({"command": "x -y"}, "/command"),
        ({"url": "ftp://x"}, "/url"),
        ({"url": "https://x.example", "env": {"A": "b"}}, "/env"),
        ({"command": ["x"], "env": {"LD_PRELOAD": "/tmp/x.so"}}, "/env/LD_PRELOAD"),
        ({"command": ["x"], "env": {"PATH": "/tmp"}}, "/env/PATH"),
        ({"command": ["x"], "folder": "here"}, "/folder"),
        ({"command": ["x"], "env": {"A": {"value": "b"}}}, "/env/A"),
        ({"command": ["x"], "shell": True}, "/shell"),
    ],
)
def test_what_cannot_be_a_server_is_refused_where_it_is_wrong(plane: Plane, body: Any, pointer: str) -> None:
    answer = plane.post("/mcp-servers", {"name": "time", **body})
    assert answer.status_code == 400, answer.text
    assert any(each["pointer"].startswith(pointer) for each in answer.json()["errors"])


def test_a_variable_that_only_looks_like_a_loaders_is_given_on(plane: Plane) -> None:
    server = {"name": "git", "command": ["x"], "env": {"GITHUB_TOKEN": {"secret": "hub"}, "LDAP_URL": "ldap://x"}}
    assert plane.post("/mcp-servers", server).status_code == 201


def test_a_tool_names_a_server_that_there_is(plane: Plane) -> None:
    answer = plane.post("/tools", {"name": "time.now", **TOOL})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == "/mcp/server"


def test_what_is_accepted_of_a_tool_is_kept_when_a_manifest_leaves_it_out(plane: Plane) -> None:
    apply(plane, manifest())
    bare = {**TOOL, "mcp": {"server": "time", "tool": "now"}}
    del bare["args"], bare["description"]
    assert apply(plane, manifest(tools={"time.now": bare}))["changes"] == []
    shown = plane.get("/tools/time.now").json()
    assert (shown["mcp"]["digest"], shown["description"]) == (FIRST, "The time.")
    other = {**bare, "mcp": {"server": "time", "tool": "another"}}
    changes = apply(plane, manifest(tools={"time.now": other}))["changes"]
    assert [each["mark"] for each in changes] == ["!"]
    assert "digest" not in plane.get("/tools/time.now").json()["mcp"]


def test_accepting_what_changed_is_a_version_that_waits_for_who_may_publish_and_replaces_the_arguments(
    plane: Plane,
) -> None:
    apply(plane, manifest())
    token = plane.as_person("dev@larkspur.example", "developer")
    changed = {
        "mcp": {"server": "time", "tool": "now", "digest": SECOND},
        "args": {"type": "object", "properties": {"city": {"type": "string"}}},
        "description": "The time of a city.",
    }
    waits = plane.patch("/tools/time.now", changed, token=token).json()
    assert (waits["version"], waits["draft_version"], waits["mcp"]["digest"]) == (1, 2, FIRST)
    published = plane.post("/tools/time.now/publish", {"version": 2}).json()
    assert (published["version"], published["mcp"]["digest"]) == (2, SECOND)
    assert list(published["args"]["properties"]) == ["city"]


def test_a_manifest_that_gives_an_agent_a_server_names_what_becomes_wider(plane: Plane) -> None:
    plane.as_person("dev@larkspur.example", "developer")
    apply(plane, manifest())
    changed = {**SERVER, "command": ["other"]}
    changes = apply(plane, manifest(mcp_servers={"time": changed}))["changes"]
    (change,) = [each for each in changes if each["kind"] == "mcp_server"]
    assert change["mark"] == "!"
    assert "`other`" in change["detail"]
    assert "the secret `time`" in change["detail"]


def test_a_restart_counts_for_every_process_and_forgets_which_tools_were_held(plane: Plane) -> None:
    apply(plane, manifest())
    assert plane.get("/mcp-servers/time").json()["held_tools"] == []
    plane.run(
        "insert into held_tool (organization_id, tool_id, version, why) select organization_id, id, version, 'changed' from tool"
    )
    assert plane.get("/mcp-servers/time").json()["held_tools"] == ["time.now"]
    assert plane.get("/mcp-servers").json()["items"][0]["held_tools"] == ["time.now"]
    shown = plane.get("/tools/time.now").json()["held"]
    assert (shown["why"], bool(shown["since"])) == ("changed", True)
    (before,) = plane.rows("select epoch from organization where name = 'Larkspur'")
    answer = plane.post("/mcp-servers/time/restart")
    assert (answer.status_code, answer.json()["held_tools"]) == (200, [])
    assert plane.rows("select restarts from mcp_server") == [(1,)]
    assert plane.rows("select epoch from organization where name = 'Larkspur'")[0][0] > before[0]
    assert plane.get("/tools/time.now").json()["held"] is None
    viewer = plane.as_person("viv@larkspur.example", "viewer")
    assert plane.post("/mcp-servers/time/restart", token=viewer).status_code == 403
    assert plane.post("/mcp-servers/nothing/restart").status_code == 404


def test_a_new_version_of_a_tool_is_not_held_for_what_the_former_was(plane: Plane) -> None:
    apply(plane, manifest())
    plane.run(
        "insert into held_tool (organization_id, tool_id, version, why) select organization_id, id, version, 'changed' from tool"
    )
    plane.patch("/tools/time.now", {"mcp": {"server": "time", "tool": "now", "digest": SECOND}})
    assert plane.get("/tools/time.now").json()["held"] is None
    assert plane.get("/mcp-servers/time").json()["held_tools"] == []


def test_what_keeps_a_server_from_being_asked_is_warned_of_when_it_is_applied(plane: Plane) -> None:
    hub = {"url": "https://mcp.larkspur.example/mcp"}
    servers = {"mcp_servers": {"time": SERVER, "other": {"command": ["bash", "-c", "x y"]}, "hub": hub}}
    told = apply(plane, manifest(**servers))["warnings"]
    assert told == [
        "MCP server `hub` is at `mcp.larkspur.example`: nothing is sent there until `organization.hosts` names it",
        f"MCP server `other` is the command `bash -c 'x y'`, which the operator does not permit: {MEND}",
        "MCP server `time` is given the secret `time`, which is not set: `aos secrets set time`",
    ]
    assert apply(plane, manifest(**servers))["warnings"] == []
