"""The protocol's conformance kit at AOS's `/mcp`, in front of a server of the official package, in both revisions.

Run is what AOS offers of the protocol: tools. Prompts, resources, completion, logging, and what a tool asks of its caller are not
offered, and their scenarios not run. Nor are that of caching, which asks for lists of all of these, and that of DNS rebinding, which
is for servers that ask for no credential.
"""

from __future__ import annotations

import contextlib
import http.client
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from aos.kernel.mcp_servers import McpServer
from aos.kernel.policy.values import Outcome, Rule
from tests.contract.mcp_peer import HANDSHAKE, STATELESS
from tests.contract.mcp_servers_peer import offered, reached, tools_of
from tests.databases import Database
from tests.doors import Door, open_door
from tests.worlds import agent, make_world

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not shutil.which("npm"), reason="npm runs these: `apt-get install npm`"),
]
KIT, NODE = "@modelcontextprotocol/conformance@0.2.0-alpha.12", "node@22"
EVERYTHING = McpServer("everything", command=(sys.executable, str(Path(__file__).parent / "mcp_everything.py")))
TOOLS = (
    "tools-list",
    "tools-call-simple-text",
    "tools-call-image",
    "tools-call-audio",
    "tools-call-embedded-resource",
    "tools-call-mixed-content",
    "tools-call-error",
)
SCENARIOS = {
    HANDSHAKE: ("server-initialize", "ping", *TOOLS),
    STATELESS: ("server-stateless", "http-header-validation", *TOOLS),
}
ERROR = re.compile(r"^ +Error: (.*)", re.MULTILINE)
NOT_TESTABLE = "Not testable: server does not list the diagnostic tool"
"""What the kit says where a server has none of its tools that ask their caller for something or write to its log."""
NO_PICTURES = Rule("no-pictures", 1, Outcome.DENY, (), ("tool:test_image_content",), "", "no pictures")


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the kit and the runtime that it needs; return their folder."""
    folder = tmp_path_factory.mktemp("kit")
    words = ["npm", "install", "--no-audit", "--no-fund", "--silent", KIT, NODE]
    subprocess.run(words, cwd=folder, check=True, capture_output=True, timeout=300)
    return folder / "node_modules"


@contextmanager
def signed_in(door: Door, key: str) -> Iterator[str]:
    """Pass requests on to a door as an agent: the kit knows of no key. Return the address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=30)
            headers = {**self.headers, "Authorization": f"Bearer {key}", "Connection": "close"}
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            found = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("content-length", "connection", "transfer-encoding", "date", "server"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(found)))
            self.end_headers()
            with contextlib.suppress(BrokenPipeError):  # the kit does not wait for every answer
                self.wfile.write(found)
            connection.close()

        do_GET = do_POST = do_DELETE = do_OPTIONS = pass_on  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/mcp"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def run(kit: Path, url: str, scenario: str, revision: str, into: Path) -> tuple[int, str]:
    """Run one scenario and return its exit status and what it said."""
    node, program = kit / "node" / "bin" / "node", kit / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
    words = [str(node), str(program), "server", "--url", url, "--scenario", scenario, "--spec-version", revision]
    done = subprocess.run([*words, "-o", str(into)], capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


@contextmanager
def everything_door(database: Database, *rules: Rule) -> Iterator[Door]:
    tools = [replace(tool, name=name) for name, tool in tools_of("everything", offered(reached(EVERYTHING))).items()]
    world = make_world(database, agents=[agent("kit", "test_*")], tools=tools, rules=rules, mcp_servers=[EVERYTHING])
    with open_door(world) as door:
        yield door


@pytest.mark.parametrize("revision", SCENARIOS)
def test_the_kit_finds_nothing_wrong_with_tools_behind_the_gate(
    database: Database, kit: Path, tmp_path: Path, revision: str
) -> None:
    with everything_door(database) as door, signed_in(door, door.api_key("kit")) as url:
        failed = {}
        for scenario in SCENARIOS[revision]:
            status, said = run(kit, url, scenario, revision, tmp_path)
            errors = ERROR.findall(said)
            if status and not (errors and all(each.startswith(NOT_TESTABLE) for each in errors)):
                failed[scenario] = said
    assert not failed, "\n".join(f"--- {name}\n{said}" for name, said in failed.items())


@pytest.mark.parametrize("revision", SCENARIOS)
def test_a_tool_that_policy_denies_fails_alone(database: Database, kit: Path, tmp_path: Path, revision: str) -> None:
    with everything_door(database, NO_PICTURES) as door, signed_in(door, door.api_key("kit")) as url:
        failed = [each for each in TOOLS if run(kit, url, each, revision, tmp_path)[0]]
    assert failed == ["tools-call-image"]
