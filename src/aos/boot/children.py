"""One process under the supervisor: started, told its plan, ready, dead, started again after a pause.

The pause grows from 0.1 s to 5 s with each death that follows soon, and begins anew after ten seconds of life.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from aos.boot.connections import Kind
from aos.boot.plan import Plan, Ready, encode_plan
from aos.boot.state import ProcessState, process_state

PAUSE_SECONDS_MIN: Final = 0.1
PAUSE_SECONDS_MAX: Final = 5.0
STEADY_SECONDS: Final = 10.0
"""A process that lived this long is not held to fail at once."""
_OUTPUT_BYTES_MAX: Final = 4 * 1024 * 1024
_READY_BYTES_MAX: Final = 65_536
_LINE_CHARACTERS_MAX: Final = 500


def pause_seconds(deaths: int) -> float:
    """Return how long to wait before starting anew after this many deaths that followed soon."""
    return min(PAUSE_SECONDS_MAX, PAUSE_SECONDS_MIN * float(2 ** min(deaths, 16)))


def spawn(
    module: str, arguments: list[str], environment: Mapping[str, str], *, output: int, keep: tuple[int, ...] = ()
) -> subprocess.Popen[bytes]:
    """Start a module of ours as a process of its own group, with a pipe for its orders."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", module, *arguments],
        stdin=subprocess.PIPE, stdout=output, stderr=output if output != subprocess.PIPE else None,
        pass_fds=keep, start_new_session=True, env=dict(environment), cwd="/",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Role:
    """What a child is for; `listening` is the descriptor of the socket that it inherits, -1 for none."""

    kind: Kind
    name: str
    number: int
    listening: int
    output: Path
    log: Path


class Child:
    """A process that shall run; it does not whenever `pid` is 0."""

    def __init__(self, role: Role, environment: Mapping[str, str]) -> None:
        self.role = role
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._ready_fd = -1
        self._pid_fd = -1
        self._began = 0.0
        self.deaths_in_row = 0
        self.restarts = -1
        self.ready: Ready | None = None
        self.restart_at: float | None = None

    @property
    def pid(self) -> int:
        """Return the pid, 0 where it does not run."""
        return self._process.pid if self._process is not None else 0

    def watched(self) -> dict[int, str]:
        """Return the descriptors to wait on: its end and its word that it serves."""
        found = {self._pid_fd: "ended", self._ready_fd: "ready"}
        return {descriptor: what for descriptor, what in found.items() if descriptor >= 0}

    def start(self) -> None:
        """Start the process; it waits for its plan."""
        self._ready_fd, given = os.pipe()
        keep = (given, self.role.listening) if self.role.listening >= 0 else (given,)
        output = os.open(_fresh(self.role.output), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            self._process = spawn(
                "aos.boot.process", [self.role.kind.value, str(os.getpid()), str(given)], self._environment,
                output=output, keep=keep,
            )  # fmt: skip
        finally:
            os.close(output)
            os.close(given)
        self._pid_fd = os.pidfd_open(self._process.pid)
        self._began = time.monotonic()
        self.restarts += 1
        self.ready, self.restart_at = None, None

    def give(self, plan: Plan) -> None:
        """Tell the process its plan; one that has died meanwhile is noticed by its end."""
        if self._process is not None and self._process.stdin is not None:
            try:
                self._process.stdin.write(encode_plan(plan))
                self._process.stdin.close()
            except BrokenPipeError:
                pass
            self._process.stdin = None

    def read_ready(self) -> bool:
        """Read its word that it serves; say whether it came (a process that dies closes the pipe too)."""
        said = os.read(self._ready_fd, _READY_BYTES_MAX)
        os.close(self._ready_fd)
        self._ready_fd = -1
        if said:
            self.ready = msgspec.json.decode(said, type=Ready)
        return bool(said)

    def bury(self) -> int:
        """Note its end and when to start anew; return how it ended (negative: the signal)."""
        assert self._process is not None
        code = self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        for descriptor in (self._pid_fd, self._ready_fd):
            if descriptor >= 0:
                os.close(descriptor)
        lived = time.monotonic() - self._began
        self.deaths_in_row = 1 if lived >= STEADY_SECONDS else self.deaths_in_row + 1
        self._process, self._pid_fd, self._ready_fd, self.ready = None, -1, -1, None
        self.restart_at = time.monotonic() + pause_seconds(self.deaths_in_row - 1)
        return code

    def ask_to_end(self) -> None:
        """Ask the process to drain and end."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the process and whatever it started in its group."""
        if self._process is not None:
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def state(self) -> ProcessState:
        """Return how it stands."""
        return process_state(
            self.role.name, self.role.kind.value, self.pid,
            ready=self.ready is not None, restarts=max(0, self.restarts), log=str(self.role.log),
        )  # fmt: skip

    def last_words(self) -> str:
        """Return the last line that it logged, shortened."""
        for path in (self.role.log, self.role.output):
            if path.is_file() and (lines := path.read_text("utf-8", "replace").splitlines()):
                return _message(lines[-1])
        return "it said nothing"

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)


def _fresh(path: Path) -> Path:
    """Return the path of an output file, put aside first where it has grown large."""
    if path.is_file() and path.stat().st_size > _OUTPUT_BYTES_MAX:
        path.replace(path.with_suffix(".old"))
    return path


def _message(line: str) -> str:
    """Return what a log line says, whichever form it has."""
    try:
        said = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return line[:_LINE_CHARACTERS_MAX]
    return str(said.get("message", line) if isinstance(said, dict) else line)[:_LINE_CHARACTERS_MAX]
