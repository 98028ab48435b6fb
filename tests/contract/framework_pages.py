"""The pages of docs/guides/frameworks as programs: their blocks, an AOS with a scripted model for them, and a process that runs them.

A page has a block that installs, and a program in two blocks: what defines the agent, and what runs it. The other sections
have a block each that follows the definition. In the definition `auto` is the model, which a test may put another in the place of.
"""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from aos.kernel.dialects.values import Tokens
from aos.kernel.models.values import Capability
from aos.kernel.policy.values import Approvers, Outcome, Rule
from aos.kernel.ports import ToolOutcome
from aos.operations.approvals import Answer
from tests.contract.mcp_peer import answer
from tests.contract.model_upstream import Line, Upstream, serving_upstream, streamed, whole
from tests.contract.model_wire import Call, Reply
from tests.contract.model_worlds import UPSTREAM_KEY, model
from tests.databases import Database
from tests.doors import Door, open_door
from tests.worlds import Caller, agent, make_world, tool

FOLDER = Path(__file__).resolve().parents[2] / "docs/guides/frameworks"
CHILD = Path(__file__).with_name("framework_child.py")
PROGRAM, HEADERS, TOOLS, REFUSAL = "The program", "Headers", "Tools by MCP", "A refusal"
DENIED, ASKED, STUBBORN = "strong", "careful", "stubborn"
REASON = "strong is for people"
REFUSED_ORDER = "Z9"
ANSWER = "Order A1 is on its way"
SECONDS = 120
USED = Tokens(input=20, output=5)
STATUS_SCHEMA: Any = {
    "type": "object",
    "properties": {"order": {"type": "string"}},
    "required": ["order"],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class Page:
    """One framework's page."""

    name: str
    text: str

    @property
    def requirements(self) -> list[str]:
        """Return what its install line installs."""
        (line,) = re.findall(r"^pip install (.+)$", self.text, re.MULTILINE)
        return [each.strip('"') for each in line.split()]

    def blocks(self, section: str) -> list[str]:
        """Return the blocks of Python in a section; none where the page has no such section."""
        found = re.search(rf"^## {re.escape(section)}\n(.*?)(?=^## |\Z)", self.text, re.MULTILINE | re.DOTALL)
        return re.findall(r"^```python\n(.*?)^```", found[1], re.MULTILINE | re.DOTALL) if found else []


def pages() -> list[Page]:
    """Return every page but the index."""
    return [Page(file.stem, file.read_text("utf-8")) for file in sorted(FOLDER.glob("*.md")) if file.stem != "README"]


# --- the model -------------------------------------------------------------------------------------------------------


def _offered(body: dict[str, Any]) -> list[str]:
    return [str((each.get("function") or each).get("name")) for each in body.get("tools") or ()]


def _told(body: dict[str, Any]) -> list[str]:
    """Return what tools have answered so far."""
    said = body.get("messages") or body.get("input")
    items = said if isinstance(said, list) else []
    told = [json.dumps(each.get("content", each.get("output"))) for each in items
            if each.get("role") in ("tool", "tool-response") or each.get("type") == "function_call_output"]  # fmt: skip
    asked = (json.dumps(each.get("content")) for each in items if each.get("role") not in ("system", "assistant"))
    return told + [text for text in asked if "Observation:" in text]


def reply_to(body: dict[str, Any]) -> Reply:
    """Return what the model says: it looks the order up, and tells what it was told. It calls by code who asks it for code."""
    told, offered = _told(body), _offered(body)
    order = "A1"
    if body["model"].startswith(STUBBORN):
        told, order = [], REFUSED_ORDER
    last = ANSWER if any("on its way" in each for each in told) else f"I could not: {told[-1] if told else 'no tool'}"
    if "<code>" in json.dumps(body.get("messages") or "") and "final_answer" not in offered:
        name = "orders_status" if "orders_status" in json.dumps(body["messages"]) else "order_status"
        code = f'final_answer("{last}")' if told else f'print({name}(order="{order}"))'
        return Reply(f"Thought: I go on.\n<code>\n{code}\n</code>", (), USED)
    if not told:
        name = next((each for each in offered if "status" in each), "")
        return (
            Reply("", (Call(f"call_{len(body.get('messages') or body['input'])}", name, {"order": order}),), USED)
            if name
            else Reply("I have no tool", (), USED)
        )
    if "final_answer" in offered:
        return Reply("", (Call("call_2", "final_answer", {"answer": last}),), USED)
    return Reply(last, (), USED)


async def answer_as_model(line: Line) -> None:
    """Answer a request of chat/completions or responses, whole or as a stream."""
    body = line.received.json
    said, stream = reply_to(body), bool(body.get("stream"))
    if line.received.path.endswith("/responses"):
        await (streamed(said.responses_events()) if stream else whole(said.responses()))(line)
    else:
        await (streamed(said.chat_events()) if stream else whole(said.chat()))(line)


# --- AOS -------------------------------------------------------------------------------------------------------------


@dataclass
class Desk:
    """An AOS with one agent, a model that it may ask, one that policy denies, one that a person is asked about, and a tool."""

    door: Door
    upstream: Upstream
    key: str
    _seen: UUID = field(default_factory=lambda: UUID(int=0))

    def environment(self) -> dict[str, str]:
        """Return what `aos agents env` exports, and what a process needs besides."""
        url = self.door.url
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        ours = {"AOS_URL": url, "AOS_API_KEY": self.key, "OPENAI_BASE_URL": f"{url}/v1", "OPENAI_API_KEY": self.key}
        quiet = {"CREWAI_TRACING_ENABLED": "false", "CREWAI_DISABLE_TELEMETRY": "true", "OTEL_SDK_DISABLED": "true"}
        return kept | ours | {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": self.key} | quiet

    def acts(self) -> list[tuple[str, str, str]]:
        """Return kind, name and state of every act since this was asked for last."""
        rows = self.door.world.rows("select id, kind, name, state from action where id > %s order by id", self._seen)
        self._seen = rows[-1][0] if rows else self._seen
        return [(kind, name, state) for _, kind, name, state in rows]

    def approve_all(self) -> int:
        """Say yes to all that waits, and return how much that was."""
        waiting = self.door.world.rows("select id from approval where status = 'pending'")
        for (approval,) in waiting:
            answer(self.door, str(approval), Answer.APPROVE)
        return len(waiting)


@contextmanager
def open_desk(database: Database) -> Iterator[Desk]:
    """Serve an AOS for the programs of the pages."""
    rules = [
        Rule("no-strong", 1, Outcome.DENY, (), (f"model:{DENIED}",), "", REASON),
        Rule("look-first", 1, Outcome.ESCALATE, (), (f"model:{ASKED}",), "", "a person looks", approvers=Approvers()),
    ]
    rules.append(
        Rule("no-z9", 1, Outcome.DENY, (), ("tool:orders.status",), f'args.order == "{REFUSED_ORDER}"', "Z9 is secret")
    )
    names = ("gpt", DENIED, ASKED, STUBBORN)
    status = tool("orders.status", schema=STATUS_SCHEMA, description="Say where an order is")
    with serving_upstream(answer_as_model) as upstream:
        world = make_world(
            database,
            agents=[agent("research", "orders.status", models=names)],
            tools=[status],
            models=[model(name, upstream, capabilities=(Capability.TOOLS, Capability.JSON_SCHEMA)) for name in names],
            rules=rules,
            secrets={"upstream": UPSTREAM_KEY},
            hosts=[upstream.host],
        )
        caller = Caller(lambda tool, arguments: ToolOutcome(ok=True, value=f"{arguments['order']} is on its way"))
        with open_door(world, caller, listens=True) as door:
            yield Desk(door, upstream, door.api_key("research"))


# --- the framework ---------------------------------------------------------------------------------------------------


def environment_of(page: Page, folder: Path) -> Path:
    """Install what a page names into an environment of its own, once, and return its Python."""
    python = folder / page.name / "bin/python"
    done = folder / page.name / f".installed-{abs(hash(tuple(page.requirements))):x}"
    if not done.exists():
        run = lambda *words: subprocess.run(words, check=True, capture_output=True, timeout=900)  # noqa: E731
        run(sys.executable, "-m", "venv", *([] if _uv() is None else ["--without-pip"]), str(folder / page.name))
        if (uv := _uv()) is not None:
            run(uv, "pip", "install", "-q", "--python", str(python), *page.requirements)
        else:
            run(str(python), "-m", "pip", "install", "-q", *page.requirements)
        done.touch()
    return python


def _uv() -> str | None:
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if beside.exists() else shutil.which("uv")


@dataclass
class Child:
    """A process in which a page's blocks run."""

    process: subprocess.Popen[str]
    errors: Path

    def run(self, *blocks: str, name: str) -> tuple[str, str | None]:
        """Run blocks as one program; return what was printed, and what was raised, if anything."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps({"source": "\n".join(blocks), "name": name}) + "\n")
        stdin.flush()
        readable, _, _ = select.select([stdout], [], [], SECONDS)
        assert readable, f"`{name}` does not end: {self.errors.read_text()[-4000:]}"
        line = stdout.readline()
        assert line, f"the program died: {self.errors.read_text()[-4000:]}"
        said = json.loads(line)
        return said["printed"], said["raised"]


@contextmanager
def child(python: Path | str, desk: Desk, folder: Path) -> Iterator[Child]:
    """Run a process of a framework's environment that knows AOS's address and the agent's key."""
    errors = folder / "errors"
    with (
        errors.open("w") as log,
        subprocess.Popen(
            [str(python), "-I", str(CHILD)], env=desk.environment(), cwd=folder, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
        ) as process,
    ):  # fmt: skip
        try:
            yield Child(process, errors)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
