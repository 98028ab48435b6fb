"""The servers that the protocol's own project publishes, out of the registries, behind the gate: time, git, filesystem, memory."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aos.drivers.mcp_client.values import McpConfig
from aos.kernel.mcp_servers import McpServer
from aos.kernel.policy.values import Approvers, Outcome, Rule
from aos.operations.approvals import Answer
from tests.contract.mcp_peer import HANDSHAKE, STATELESS, answer, call, text_of
from tests.contract.mcp_servers_peer import offered, reached, tools_of
from tests.databases import Database
from tests.doors import Door, open_door
from tests.worlds import agent, make_world

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not (shutil.which("npm") and shutil.which("git")), reason="npm and git run these: install both"),
]
PYTHON = ("mcp-server-time", "mcp-server-git")
NODE = ("@modelcontextprotocol/server-filesystem", "@modelcontextprotocol/server-memory")
ASK = Rule(
    "ask-for-plans", 1, Outcome.ESCALATE, (), ("tool:filesystem.write_file",), 'args.content == "plans"', "plans are asked for",
    approvers=Approvers(),
)  # fmt: skip
NEVER = Rule(
    "no-tokyo", 1, Outcome.DENY, (), ("tool:time.get_current_time",), 'args.timezone == "Asia/Tokyo"', "no Tokyo"
)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, McpServer]:
    """Install the servers and return their registrations."""
    folder = tmp_path_factory.mktemp("servers")
    run = lambda *words: subprocess.run(words, cwd=folder, check=True, capture_output=True, timeout=300)  # noqa: E731
    run(sys.executable, "-m", "venv", "python")
    run("python/bin/python", "-m", "pip", "install", "-q", *PYTHON)
    run("npm", "install", "--no-audit", "--no-fund", "--silent", *NODE)
    shared, repository = folder / "shared", folder / "repository"
    shared.mkdir()
    run("git", "init", "-q", str(repository))
    run(
        "git",
        "-C",
        str(repository),
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@b.c",
        "commit",
        "--allow-empty",
        "-qm",
        "first",
    )
    programs, modules = folder / "python" / "bin", folder / "node_modules" / "@modelcontextprotocol"
    node = shutil.which("node") or "node"
    commands = {
        "time": (str(programs / "mcp-server-time"), "--local-timezone", "UTC"),
        "git": (str(programs / "mcp-server-git"), "--repository", str(repository)),
        "filesystem": (node, str(modules / "server-filesystem" / "dist" / "index.js"), str(shared)),
        "memory": (node, str(modules / "server-memory" / "dist" / "index.js")),
    }
    env = {"memory": {"MEMORY_FILE_PATH": str(folder / "memory.json")}}
    return {name: McpServer(name, command=command, env=env.get(name, {})) for name, command in commands.items()}


@pytest.fixture
def door(database: Database, servers: dict[str, McpServer]) -> Iterator[Door]:
    config = McpConfig(commands=tuple((server.command[0],) for server in servers.values()))
    tools = [
        tool for server in servers.values() for tool in tools_of(server.name, offered(reached(server), config)).values()
    ]
    patterns = [f"{name}.*" for name in servers]
    world = make_world(
        database,
        agents=[agent("worker", *patterns)],
        tools=tools,
        rules=[ASK, NEVER],
        mcp_servers=list(servers.values()),
    )
    with open_door(replace(world, mcp=config), listens=True) as opened:
        yield opened


def said(done: Any) -> str:
    assert not done.is_error, done
    return " ".join(block.text for block in done.content if block.type == "text")


@pytest.mark.parametrize("revision", [STATELESS, HANDSHAKE])
def test_published_servers_work_behind_the_gate_as_they_do_without_it(
    door: Door, servers: dict[str, McpServer], revision: str
) -> None:
    key = door.api_key("worker")
    ask = lambda tool, arguments: call(door, key, revision, tool, arguments)  # noqa: E731
    assert "UTC" in said(ask("time_get_current_time", {"timezone": "UTC"}))
    denied = ask("time_get_current_time", {"timezone": "Asia/Tokyo"})
    assert denied.is_error
    assert "no Tokyo" in text_of(denied)
    repository = servers["git"].command[-1]
    assert "first" in said(ask("git_git_log", {"repo_path": repository}))
    shared = Path(servers["filesystem"].command[-1])
    ask("filesystem_write_file", {"path": str(shared / "note.txt"), "content": revision})
    assert (shared / "note.txt").read_text() == revision
    assert revision in said(ask("filesystem_read_text_file", {"path": str(shared / "note.txt")}))
    outside = ask("filesystem_read_text_file", {"path": "/etc/hostname"})
    assert outside.is_error, "the server's own refusal"
    plans = {"path": str(shared / f"{revision}.txt"), "content": "plans"}
    assert ask("filesystem_write_file", plans).is_error
    assert not (shared / f"{revision}.txt").exists()
    ((approval,),) = door.world.rows("select id from approval where status = 'pending'")
    answer(door, str(approval), Answer.APPROVE)
    assert not ask("filesystem_write_file", plans).is_error
    assert (shared / f"{revision}.txt").read_text() == "plans"
    entity = {"name": f"Maria {revision}", "entityType": "person", "observations": ["approves"]}
    ask("memory_create_entities", {"entities": [entity]})
    assert f"Maria {revision}" in said(ask("memory_read_graph", {}))
