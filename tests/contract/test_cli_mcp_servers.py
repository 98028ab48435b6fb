"""`aos mcp-servers` and `aos init --from`: what is shown, what is sent, and what is never written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from aos.kernel.manifest.parse import parse_manifest
from tests.contract.cli_peer import Cli, Peer

PIN = "sha256:" + "1" * 64
ENTRY: dict[str, Any] = {
    "mcp": {"server": "files", "tool": "read_file", "digest": PIN},
    "effect": "read",
    "result_trust": "untrusted",
    "args": {"type": "object", "properties": {"path": {"type": "string"}}, "additionalProperties": False},
    "description": "Read a file: all of it.\nNothing else.",
}


def offer(name: str, state: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "state": state, "why": "", "notes": [], "entry": ENTRY, **more}


OFFERS = {
    "items": [
        offer(
            "files.read_file", "held", why="`files.read_file` is held: it changed", notes=["its server claims a thing"]
        ),
        offer("files.write", "new", entry={**ENTRY, "effect": "write"}),
        offer("files.list", "accepted"),
        offer("files.old", "gone", why="`files.old` is held: it is gone", entry={}),
    ]
}
TOOL = {"id": "018f2f6a-0000-7000-8000-000000000001", "name": "files.read_file", "version": 2, "draft_version": None}


def give(peer: Peer, tool: Any = TOOL) -> None:
    peer.give("POST /mcp-servers/files/discover", OFFERS)
    peer.give("GET /tools/files.read_file", tool)
    peer.give("GET /tools", {"items": [tool], "next": None})
    peer.give("PATCH /tools/files.read_file", tool)
    peer.give(f"PATCH /tools/{tool['id']}", tool)
    peer.give("POST /tools", {**tool, "name": "files.write"})


def sent(peer: Peer, method: str) -> list[Any]:
    return [each.body for each in peer.asked if each.method == method and each.path.startswith("/tools")]


def test_what_is_discovered_is_printed_as_a_manifest_takes_it_and_registers_nothing(aos: Cli, peer: Peer) -> None:
    give(peer)
    found = aos("mcp-servers", "discover", "files")
    assert found.status == 0
    assert "# held: its server claims a thing" in found.out
    assert "`files.old` is held" in found.err
    tools = YAML(typ="safe", pure=True).load(found.out)
    document = {"aos": 1, "mcp_servers": {"files": {"command": ["files"]}}, **tools}
    assert [each.name for each in parse_manifest(document).tools] == ["files.list", "files.read_file", "files.write"]
    assert json.loads(aos("mcp-server", "discover", "files", "--json").out) == OFFERS
    assert sent(peer, "POST") == sent(peer, "PATCH") == []


def test_only_what_is_held_is_accepted_unless_what_is_new_is_asked_for(aos: Cli, peer: Peer) -> None:
    give(peer)
    assert aos("mcp-servers", "accept", "files", "--yes").status == 0
    (patch,) = sent(peer, "PATCH")
    assert patch == {name: ENTRY[name] for name in ("mcp", "args", "description")}, "effect and trust stay as they were"
    assert sent(peer, "POST") == []
    assert aos("mcp-servers", "accept", "files", "--new", "--tool", "files.write", "--yes").status == 0
    assert sent(peer, "POST") == [{"name": "files.write", **ENTRY, "effect": "write"}]
    assert len(sent(peer, "PATCH")) == 1


def test_nothing_is_accepted_that_nobody_said_yes_to(aos: Cli, peer: Peer) -> None:
    give(peer)
    assert aos("mcp-servers", "accept", "files").status == 2
    assert aos("mcp-servers", "accept", "files", "--tool", "files.list", "--yes").status == 3
    assert sent(peer, "PATCH") == []


def test_who_may_not_publish_is_told_who_puts_it_in_force(aos: Cli, peer: Peer) -> None:
    give(peer, {**TOOL, "version": 1, "draft_version": 2})
    answered = aos("mcp-servers", "accept", "files", "--yes")
    assert "tools publish files.read_file --version 2" in answered.err


MCP_JSON = {
    "mcpServers": {
        "Time Server": {
            "command": "mcp-server-time",
            "args": ["--utc"],
            "env": {"API_TOKEN": "s3cret", "LANGUAGE": "de"},
        },
        "hub": {"type": "http", "url": "https://MCP.example.com/mcp", "headers": {"Authorization": "Bearer s3cret"}},
    }
}


def test_an_mcp_json_becomes_a_manifest_without_its_credentials(aos: Cli, tmp_path: Path) -> None:
    source, into = tmp_path / "mcp.json", tmp_path / "aos.yaml"
    source.write_text(json.dumps(MCP_JSON))
    written = aos("init", "--from", str(source), "--folder", str(tmp_path))
    assert written.status == 0
    assert "secrets set time-server-api-token" in written.out
    text = into.read_text()
    assert "s3cret" not in text + written.out + written.err
    manifest = parse_manifest(YAML(typ="safe", pure=True).load(text))
    time, hub = sorted(manifest.mcp_servers, key=lambda each: each.name, reverse=True)
    assert (time.name, time.command, time.secrets) == (
        "time-server", ("mcp-server-time", "--utc"), ("time-server-api-token",),
    )  # fmt: skip
    assert (hub.url, hub.secrets) == ("https://MCP.example.com/mcp", ("hub-authorization",))
    assert manifest.organization.hosts == ("mcp.example.com",)
    again = aos("init", "--from", str(source), "--folder", str(tmp_path))
    assert again.status == 6
    assert into.read_text() == text


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"mcpServers": {}}', '{"mcpServers": {"a": {}}}', '{"mcpServers": {"a": 1}}']
)
def test_what_is_no_mcp_json_writes_nothing(aos: Cli, tmp_path: Path, text: str) -> None:
    source, into = tmp_path / "mcp.json", tmp_path / "aos.yaml"
    source.write_text(text)
    assert aos("init", "--from", str(source), "--folder", str(tmp_path)).status == 2
    assert not into.exists()
