"""Programs of LangGraph, LangChain and DeepAgents: outside with base URL and key alone, as tasks of a workflow, and killed in the middle.

Whichever way they run, the same comes out, and no call that was made through AOS is made again.
"""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from aos.drivers.embedded_postgres.processes import pids
from examples.month_end.demo_aos import LINK, ROOT, Aos
from tests.contract.model_upstream import Line, Upstream, serving_upstream, whole
from tests.e2e import graph_programs as programs
from tests.e2e.installation import Installation, installation, parent_of
from tests.store.embedded_home import wait_until

MADE: dict[str, Callable[[], Any]] = {
    "count": programs.make_counter,
    "buy": programs.make_buyer,
    "write": programs.make_writer,
}
SAID = {
    "count": "4 pumps and 5 valves",
    "buy": "ordered 3 pumps, 2 valves, 1 seal",
    "sign": "sent, signed by Maria",
    "write": "the letter is written and checked",
}
ORDERED = ["pump-3", "seal-1", "valve-2"]
ACTS = {
    "plan": [("model", "gpt")],
    "count": [("model", "gpt")] * 4 + [("tool", "count_stock")] * 2 + [("tool", "find_supplier")],
    "buy": [("model", "gpt")] * 5 + [("tool", "find_supplier")] + [("tool", "order_part")] * 3,
    "sign": [("ask", "interrupt")],
    "write": [("model", "gpt")] * 8 + [("tool", "count_stock"), ("tool", "find_supplier")],
    "report": [],
}
"""What each task does, each once."""


@dataclass(frozen=True)
class Shop:
    """An installation with the programs as agents, and the server of their model."""

    made: Installation
    aos: Aos
    upstream: Upstream
    folder: Path

    def notes(self, name: str, *there: str) -> Path:
        """Return a new folder with notes in it."""
        folder = self.folder / name
        folder.mkdir()
        for each in there:
            self.leave_note(folder, each)
        return folder

    def leave_note(self, folder: Path, name: str) -> None:
        (folder / f".{name}").write_text("go on")
        (folder / f".{name}").rename(folder / name)

    def orders(self) -> list[str]:
        """Return what was ordered, and forget it."""
        found = sorted((self.folder / programs.ORDERS).iterdir())
        for each in found:
            each.unlink()
        return [each.name.partition("~")[0] for each in found]

    def start(self, folder: Path) -> str:
        """Start the workflow as a person does, and leave it alone."""
        given = json.dumps({"folder": str(folder)})
        return self.made.aos("run", "restock", "--input", given, "--detach").strip()

    def sign(self, run: str) -> None:
        """Answer the question that the run asks a person."""
        wait_until(lambda: self._waiting() or self._over(run), "a person is asked")
        assert not self._over(run), self.aos.get(f"/runs/{run}")
        (asked,) = self._waiting()
        assert (asked["run_id"], asked["kind"], asked["name"]) == (run, "ask", "interrupt"), asked
        self.made.aos("approvals", "approve", asked["id"], "--value", '"by Maria"')

    def ended(self, run: str) -> dict[str, Any]:
        """Return a run once it has ended."""
        wait_until(lambda: self._over(run), "the run ended")
        return self.aos.get(f"/runs/{run}")

    def _over(self, run: str) -> bool:
        return self.aos.get(f"/runs/{run}")["state"] not in ("running", "paused")

    def _waiting(self) -> list[dict[str, Any]]:
        return list(self.aos.items("/approvals", status="pending"))

    def acts(self, run: str) -> dict[str, list[tuple[str, str]]]:
        """Return kind and name of what each task did, all of it performed, whatever else was to be done once."""
        names = {task["id"]: task["name"] for task in self.aos.get(f"/runs/{run}")["tasks"]}
        found: dict[str, list[tuple[str, str]]] = {name: [] for name in names.values()}
        for act in self.aos.items("/actions", run=run):
            if act["task_id"] in names and act["kind"] in ("model", "tool", "ask"):
                assert act["state"] == "performed", act
                found[names[act["task_id"]]].append((act["kind"], act["name"]))
        return {name: sorted(acts) for name, acts in found.items()}

    def hosts(self) -> list[int]:
        """Return the processes that run agents' code."""
        workers = {pid for name, pid in self.made.processes().items() if name.startswith("worker") and pid}
        return [pid for pid in pids() if parent_of(pid) in workers]

    def kill(self, name: str) -> None:
        """Kill -9 the hosts, or a process of the installation, and wait for its successor."""
        if name == "host":
            for pid in self.hosts():
                os.kill(pid, signal.SIGKILL)
            return
        pid = self.made.processes()[name]
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: self.made.serves_again(name, pid), f"{name} serves again")


async def _answer(line: Line) -> None:
    await whole(programs.reply(line.received.json))(line)


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with serving_upstream(_answer) as upstream, installation(AOS_AGENT_PATH=str(ROOT), AOS_WORKERS="1") as made:
        link = LINK.search(made.up())
        assert link is not None
        with Aos(made.url) as nobody:
            token = nobody.post("/people/link", {"link": link.group()})["token"]
        made.more = {**made.more, "AOS_TOKEN": token}
        folder = made.folder / "shop"
        (folder / programs.ORDERS).mkdir(parents=True)
        with Aos(made.url, token) as aos:
            manifest = programs.manifest(upstream.url, upstream.host, folder / programs.ORDERS)
            aos.post("/manifest", {"manifest": manifest})
            yield Shop(made, aos, upstream, folder)
        made.aos("down")


# LangChain keeps its asynchronous clients for the process, past the loop of one test.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_programs_outside_need_base_url_and_key_alone(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    exported = dict(
        re.findall(r"^export (\w+)='?([^'\n]+)'?$", shop.made.aos("agents", "env", "outsider"), re.MULTILINE)
    )
    for name, value in exported.items():
        monkeypatch.setenv(name, value)
    notes = shop.notes("outside", "counted", "bought", "written")
    before = len(shop.upstream.received)
    for name, make in MADE.items():
        asked = {"messages": [{"role": "user", "content": f"{name}, notes lie in {notes}"}]}
        said = make().invoke(asked)
        assert said["messages"][-1].text == SAID[name]
    signer, thread = programs.make_signer(InMemorySaver()), {"configurable": {"thread_id": "1"}}
    assert "__interrupt__" in signer.invoke({"messages": [("user", SAID["buy"])]}, thread)
    signed = signer.invoke(Command(resume="by Maria"), thread)
    assert signed["messages"][-1].text == SAID["sign"]
    performed = [act for act in shop.aos.items("/actions", run="none") if act["kind"] == "model"]
    assert len(performed) == len(shop.upstream.received) - before == 17
    assert {act["state"] for act in performed} == {"performed"}


@pytest.mark.long  # what the next test does besides being killed: it says where a fault lies
def test_the_same_programs_are_tasks_of_a_workflow(shop: Shop) -> None:
    before = len(shop.upstream.received)
    run = shop.start(shop.notes("inside", "counted", "bought", "written"))
    shop.sign(run)
    ended = shop.ended(run)
    assert (ended["state"], ended["output"]) == ("succeeded", SAID), ended
    assert shop.acts(run) == {name: sorted(acts) for name, acts in ACTS.items()}
    assert shop.orders() == ORDERED
    assert len(shop.upstream.received) - before == sum(kind == "model" for acts in ACTS.values() for kind, _ in acts)


def test_programs_that_are_killed_in_the_middle_go_on_and_repeat_nothing(shop: Shop) -> None:
    before = len(shop.upstream.received)
    notes = shop.notes("killed")
    run = shop.start(notes)
    for note, victim in (("counted", "host"), ("bought", "worker"), ("written", "postgres")):
        if note == "written":
            shop.sign(run)
        wait_until((notes / f"{note}.waited-for").exists, f"it waits for the note `{note}`")
        shop.kill(victim)
        shop.leave_note(notes, note)
    ended = shop.ended(run)
    assert (ended["state"], ended["output"]) == ("succeeded", SAID), ended
    assert shop.acts(run) == {name: sorted(acts) for name, acts in ACTS.items()}
    assert shop.orders() == ORDERED
    assert len(shop.upstream.received) - before == sum(kind == "model" for acts in ACTS.values() for kind, _ in acts)
    assert "records" in shop.made.aos("audit", "verify")
