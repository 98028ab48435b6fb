"""At a terminal a person is asked, sees the run live, and can stop; colours end where NO_COLOR or a pipe says so."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.contract.cli_peer import Peer, events

RUN = "01998a3e-0000-7000-8000-0000000000aa"
APPROVAL = "01998a3e-0000-7000-8000-0000000000bb"
CHILD = Path(__file__).with_name("cli_child.py")
SECONDS_MAX = 120


@dataclass(slots=True)
class Terminal:
    """One call of `aos` whose standard input and standard error are a terminal."""

    process: subprocess.Popen[bytes]
    handle: int
    seen: str = field(default="")

    def until(self, text: str) -> str:
        """Return all that was shown once it holds a text."""
        self._read(lambda: text in self.seen, f"to show {text!r}")
        assert text in self.seen, f"ended without showing {text!r}: {self.seen!r}"
        return self.seen

    def type(self, text: str) -> None:
        os.write(self.handle, text.encode())

    def end(self) -> tuple[int, str]:
        """Return the exit status and the standard output, having read all that is shown until the terminal is left."""
        self._read(lambda: False, "to end")
        out, _ = self.process.communicate(timeout=SECONDS_MAX)
        os.close(self.handle)
        return self.process.returncode, out.decode()

    def _read(self, enough: Callable[[], bool], what: str) -> None:
        """Read until it is enough, or until nobody holds the other side of the terminal any more."""
        end = time.monotonic() + SECONDS_MAX
        while not enough():
            left = end - time.monotonic()
            assert left > 0, f"it took more than {SECONDS_MAX} s {what}: {self.seen!r}"
            if select.select([self.handle], [], [], left)[0]:
                try:
                    self.seen += os.read(self.handle, 65_536).decode("utf-8", "replace")
                except OSError:  # Linux's EIO: the last one has closed it
                    return


def open_terminal(peer: Peer, home: Path, *arguments: str, **environment: str) -> Terminal:
    master, slave = pty.openpty()
    command = [sys.executable, str(CHILD), peer.url, str(home), *arguments]
    given = {"PATH": os.environ["PATH"], "TERM": "xterm", "COLUMNS": "100", "LINES": "40", **environment}
    process = subprocess.Popen(
        command, stdin=slave, stderr=slave, stdout=subprocess.PIPE, env=given, start_new_session=True
    )
    os.close(slave)
    return Terminal(process, master)


@pytest.fixture
def waiting_run(peer: Peer) -> Peer:
    shown = {
        "id": APPROVAL,
        "status": "pending",
        "digest": "abc",
        "act": "pay 18240.00 EUR",
        "agent": "finance",
        "reason": "over the limit of 1000",
        "arguments": {"iban": "DE89"},
        "origins": {"origin.iban": "untrusted"},
    }
    task = {"id": "t1", "label": "pay", "agent": "finance", "state": "waiting", "waits_for": "approval"}
    run = {"id": RUN, "name": "month-end", "state": "running", "tasks": [task], "approvals": [shown]}
    peer.give("POST /runs", run, status=201)
    peer.give(f"GET /runs/{RUN}", run)
    peer.give(f"GET /runs/{RUN}", {**run, "approvals": [], "state": "succeeded", "output": 3})
    peer.give(f"GET /runs/{RUN}/events", events(("event", {"kind": "run.changed"})), type="text/event-stream")
    peer.give(f"GET /approvals/{APPROVAL}", shown)
    for verb in ("approve", "deny"):
        peer.give(f"POST /approvals/{APPROVAL}/{verb}", {"status": verb})
    return peer


def test_a_run_asks_its_approval_and_goes_on(waiting_run: Peer, tmp_path: Path) -> None:
    terminal = open_terminal(waiting_run, tmp_path, "run", "month-end")
    seen = terminal.until("Approve?")
    for text in ("pay 18240.00 EUR by finance", "over the limit of 1000", "DE89", "untrusted"):
        assert text in seen
    terminal.type("y\n")
    terminal.until("succeeded")
    assert terminal.end() == (0, "3\n")
    assert waiting_run.bodies(f"POST /approvals/{APPROVAL}/approve") == [{"digest": "abc"}]


def test_a_denial_asks_for_the_reason_that_the_agent_is_shown(waiting_run: Peer, tmp_path: Path) -> None:
    terminal = open_terminal(waiting_run, tmp_path, "run", "month-end")
    terminal.until("Approve?")
    terminal.type("n\n")
    terminal.until("Why?")
    terminal.type("ask Maria\n")
    terminal.until("succeeded")
    assert terminal.end()[0] == 0
    assert waiting_run.bodies(f"POST /approvals/{APPROVAL}/deny") == [{"comment": "ask Maria"}]


def test_a_wider_permission_is_asked_about(peer: Peer, tmp_path: Path) -> None:
    (tmp_path / "aos.yaml").write_text("aos: 1\n")
    peer.give("POST /manifest", {"changes": [{"mark": "!", "kind": "agent", "name": "finance", "detail": "may now"}]})
    for answer, status, calls in (("n\n", 5, 1), ("y\n", 0, 3)):
        terminal = open_terminal(peer, tmp_path, "apply", "-f", str(tmp_path / "aos.yaml"))
        terminal.until("Apply?")
        terminal.type(answer)
        assert (terminal.end()[0], len(peer.bodies("POST /manifest"))) == (status, calls)


def test_a_person_can_stop_watching(peer: Peer, tmp_path: Path) -> None:
    peer.give(f"GET /runs/{RUN}", {"id": RUN, "name": "month-end", "state": "running"})
    peer.refuse(f"GET /runs/{RUN}/events", 503, "Unavailable")
    terminal = open_terminal(peer, tmp_path, "runs", "wait", RUN)
    terminal.until("month-end")
    terminal.process.send_signal(signal.SIGINT)
    status, out = terminal.end()
    assert (status, out) == (130, ""), terminal.seen
    assert "Traceback" not in terminal.seen


@pytest.mark.parametrize(("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colour_ends_where_it_is_not_wanted(
    environment: dict[str, str], coloured: bool, peer: Peer, tmp_path: Path
) -> None:
    peer.refuse("GET /whoami", 401, "Not signed in")
    terminal = open_terminal(peer, tmp_path, "whoami", **environment)
    assert bool(re.search(r"\x1b\[[0-9;]*3[0-9]m", terminal.until("aos login"))) is coloured
    assert terminal.end()[0] == 8


def test_what_goes_into_a_pipe_is_json_alone(peer: Peer, tmp_path: Path) -> None:
    peer.give(f"GET /runs/{RUN}", {"id": RUN, "state": "succeeded", "output": {"paid": 3}})
    terminal = open_terminal(peer, tmp_path, "runs", "wait", RUN, "--json")
    status, out = terminal.end()
    assert (status, json.loads(out)["output"]) == (0, {"paid": 3})
