"""The protocol's conformance kit at AOS's `/mcp`, in front of the official package's own example servers, in both revisions.

Run is what AOS offers of the protocol: tools. Not applicable are, and not run:
- prompts, resources, completion: not offered. `caching` asks for lists of all of these.
- `tools-call-with-logging`, `logging-set-level`: what a server writes to its log is not passed on.
- `tools-call-sampling`, `tools-call-elicitation`, `elicitation-*`, `input-required-result-*`, and the tools of `server-stateless` that
  ask for an ability of their caller: AOS gives MCP servers nothing.
- `json-schema-2020-12`: a tool is shown with the words of its schema that AOS checks.
- `http-custom-header-server-validation`: AOS marks no argument to stand in a header.
- `server-sse-polling`: a stream of progress is not taken up again; the call is repeated under its key.
- `dns-rebinding-protection`: is for servers that ask for no credential.
"""

from __future__ import annotations

import contextlib
import http.client
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from aos.kernel.mcp_servers import McpServer
from aos.kernel.policy.values import Outcome, Rule
from aos.kernel.tools import Tool
from tests.contract.mcp_examples import fetch_examples, over_http, over_stdio
from tests.contract.mcp_peer import HANDSHAKE, STATELESS, call, text_of
from tests.contract.mcp_servers_peer import offered, reached, tools_of
from tests.databases import Server, cloned
from tests.doors import Door, open_door
from tests.worlds import agent, make_world

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not shutil.which("npm"), reason="npm runs these: `apt-get install npm`"),
]
KIT, NODE = "@modelcontextprotocol/conformance@0.2.0-alpha.12", "node@22"
PROGRESS = "tools-call-with-progress"
TOOLS = (
    "tools-list",
    "tools-call-simple-text",
    "tools-call-image",
    "tools-call-audio",
    "tools-call-embedded-resource",
    "tools-call-mixed-content",
    "tools-call-error",
    PROGRESS,
)
SCENARIOS = {
    HANDSHAKE: ("server-initialize", "ping", "server-sse-multiple-streams", *TOOLS),
    STATELESS: ("server-stateless", "http-header-validation", "server-sse-multiple-streams", *TOOLS),
}
ASKING = (
    "test_sampling", "test_elicitation", "test_streaming_elicitation", "test_input_required_result",
    "test_missing_capability",
)  # fmt: skip
"""How the names of tools begin that ask their caller for something: they are not registered."""
ERROR = re.compile(r"^ +Error: (.*)", re.MULTILINE)
STDIO = {
    "weather": ("structured-output-lowlevel", "mcp_structured_output_lowlevel"),
    "pages": ("simple-pagination", "mcp_simple_pagination"),
    "fetcher": ("simple-tool", "mcp_simple_tool"),
}
NOT_TESTABLE = "Not testable: server does not list the diagnostic tool"
"""What the kit says where a server has none of its tools that ask their caller for something or write to its log."""
NO_PICTURES = Rule("no-pictures", 1, Outcome.DENY, ("barred",), ("tool:test_image_content",), "", "no pictures")


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


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fetch the example servers and return their folder."""
    return fetch_examples(tmp_path_factory.mktemp("examples"))


@pytest.fixture(scope="module")
def door(postgres_server: Server, examples: Path) -> Iterator[Door]:
    """Serve the example servers' tools: to `kit` all of them, to `barred` all but one."""
    everything = over_http(examples, "everything-server", "mcp_everything_server", called="everything")
    streaming = over_http(examples, "simple-streamablehttp", "mcp_simple_streamablehttp", called="streaming")
    with everything as first, streaming as second:
        servers = [first, second, *(over_stdio(examples, *each, called=called) for called, each in STDIO.items())]
        tools = [tool for server in servers for tool in tools_at(server)]
        agents = [agent(name, "*") for name in ("kit", "barred")]
        for database in cloned(postgres_server):
            world = make_world(
                database, agents=agents, tools=tools, rules=[NO_PICTURES], mcp_servers=servers, hosts=["127.0.0.1"]
            )
            with open_door(world) as opened:
                yield opened


def tools_at(server: McpServer) -> list[Tool]:
    """Return the tools of a server that ask their caller for nothing; those of the kit's under their own names."""
    found = tools_of(server.name, offered(reached(server, permitted=("127.0.0.1",))))
    if server.name != "everything":
        return list(found.values())
    return [replace(tool, name=name) for name, tool in found.items() if not name.startswith(ASKING)]


@pytest.mark.parametrize("revision", SCENARIOS)
def test_the_kit_finds_nothing_wrong_with_tools_behind_the_gate(
    door: Door, kit: Path, tmp_path: Path, revision: str
) -> None:
    with signed_in(door, door.api_key("kit")) as url:
        failed = {}
        for scenario in SCENARIOS[revision]:
            status, said = run(kit, url, scenario, revision, tmp_path)
            errors = ERROR.findall(said)
            if status and not (errors and all(each.startswith(NOT_TESTABLE) for each in errors)):
                failed[scenario] = said
    assert not failed, "\n".join(f"--- {name}\n{said}" for name, said in failed.items())


@pytest.mark.parametrize("revision", SCENARIOS)
def test_a_tool_that_policy_denies_fails_alone(door: Door, kit: Path, tmp_path: Path, revision: str) -> None:
    with signed_in(door, door.api_key("barred")) as url:
        failed = [each for each in TOOLS if run(kit, url, each, revision, tmp_path)[0]]
    assert failed == ["tools-call-image"]


@pytest.mark.parametrize("revision", SCENARIOS)
def test_the_other_example_servers_work_behind_the_gate(door: Door, revision: str) -> None:
    key = door.api_key("kit")
    weather = call(door, key, revision, "weather_get_weather", {"city": "Berlin"})
    assert set(weather.structured_content) == {"temperature", "conditions", "humidity", "wind_speed", "timestamp"}
    sent = {"interval": 0.01, "count": 3, "caller": "aos"}
    streamed = call(door, key, revision, "streaming_start-notification-stream", sent)
    assert text_of(streamed) == "Sent 3 notifications with 0.01s interval for caller: aos"
    paged = call(door, key, revision, "pages_tool_25", {"input": "x"})  # of a list of five pages
    assert not paged.is_error, paged
    keys = call(door, key, revision, "fetcher_fetch", {"url": f"{door.url}/.well-known/jwks.json"})
    assert '"keys"' in text_of(keys)
    refused = call(door, key, revision, "fetcher_fetch", {"url": f"{door.url}/nowhere"})
    assert refused.is_error
