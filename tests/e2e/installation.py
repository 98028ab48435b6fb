"""One installation of AOS in a private folder, driven by its command line as a person would; it ends with the test."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from aos.boot.config import read_config
from aos.boot.paths import find_paths
from aos.boot.status import read_status
from aos.drivers.embedded_postgres.processes import is_alive, pids, working_in
from tests.folders import new_folder
from tests.store.embedded_home import end_server

COMMAND_SECONDS = 180
ANSWER_SECONDS = 30
FIRST_PORT = 10_000
PORT_COUNT = 10_000


@dataclass
class Installation:
    """A private folder, a free port, and the environment in which `aos` is called."""

    folder: Path
    port: int
    more: Mapping[str, str] = field(default_factory=dict)
    user: int | None = None

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def environment(self) -> dict[str, str]:
        """Return what a command is given, and nothing of the test's own."""
        given = {"PATH": os.environ["PATH"], "HOME": str(self.folder)}
        # Tests that want the local model or gRPC say so: the one takes seconds and a processor, the other a port.
        ours = {"AOS_HOME": str(self.home), "AOS_PORT": str(self.port), "AOS_LOCAL_MODEL": "off", "AOS_GRPC_PORT": "0"}
        return given | ours | dict(self.more)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Call `aos` and return at once."""
        return subprocess.Popen(
            [sys.executable, "-m", "aos.boot.main", *arguments], env=self.environment(), cwd=self.folder, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, user=self.user, group=self.user,
            extra_groups=[] if self.user is not None else None,
        )  # fmt: skip

    def aos(self, *arguments: str, status: int = 0) -> str:
        """Call `aos`, wait for its end, and return what it printed: standard error where it was to fail."""
        with self.start(*arguments) as process:
            output, errors = process.communicate(timeout=COMMAND_SECONDS)
        assert process.returncode == status, f"aos {arguments}: {process.returncode}\n{output}\n{errors}"
        return errors if status else output

    def up(self) -> str:
        """Start AOS and return what it printed when it served."""
        return self.aos("up", "--detach")

    def runs(self) -> bool:
        """Say whether its supervisor is there."""
        with contextlib.suppress(FileNotFoundError):
            return is_alive(self.state()["supervisor"]["pid"])
        return False

    def status(self) -> dict[str, Any]:
        """Return what `aos status --json` tells, whether it serves or not, without a process for each look."""
        environment = self.environment()
        config = read_config(environment)
        found: dict[str, Any] = msgspec.to_builtins(read_status(config, find_paths(config, environment)), enc_hook=str)
        return found

    def state(self) -> dict[str, Any]:
        """Return the state file."""
        found: dict[str, Any] = json.loads((self.home / "aos/state.json").read_bytes())
        return found

    def processes(self) -> dict[str, int]:
        """Return the pid of each process by name."""
        state = self.state()
        found = {each["name"]: each["pid"] for each in state["processes"]}
        return found | {"supervisor": state["supervisor"]["pid"], "postgres": state["postgres"]["pid"]}

    def everything(self) -> list[int]:
        """Return the pids of the supervisor, of all it started, and of all that these started."""
        found = {self.state()["supervisor"]["pid"], *working_in(self.home / "data")}
        parents = {pid: parent_of(pid) for pid in pids()}
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        return sorted(found)

    def serves_again(self, name: str, former: int) -> bool:
        """Say whether a process that was killed has a successor that is ready."""
        if name == "postgres":
            return bool(self.state()["postgres"]["pid"] not in (0, former))
        (found,) = (each for each in self.state()["processes"] if each["name"] == name)
        return bool(found["ready"] and found["pid"] not in (0, former))

    def ask(self, path: str = "/tools/nothing/call", *, token: str = "aos_unknown") -> int:
        """Make a call at an agents' door and return its HTTP status."""
        request = urllib.request.Request(self.url + path, method="POST", headers={"Authorization": f"Bearer {token}"})
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    def end(self) -> None:
        """Kill -9 whatever is left."""
        with contextlib.suppress(FileNotFoundError):
            for pid in sorted({*self.everything()} - {*working_in(self.home / "data")}):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        end_server(self.home / "data")


def parent_of(pid: int) -> int:
    """Return the pid of a process's parent, 0 where it is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def alive(candidates: list[int]) -> list[int]:
    """Return those that are still there."""
    return [pid for pid in candidates if is_alive(pid)]


def free_port() -> int:
    """Return a port that nobody listens on, from a range that neither Linux nor the embedded Postgres takes any from."""
    while True:
        port = FIRST_PORT + secrets.randbelow(PORT_COUNT)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@contextlib.contextmanager
def installation(*, user: int | None = None, **more: str) -> Iterator[Installation]:
    """Yield an installation that was never started; `more` is added to its environment."""
    folder = new_folder("up")
    if user is not None:
        os.chown(folder, user, user)
    made = Installation(folder, free_port(), more, user)
    try:
        yield made
    finally:
        made.end()
        shutil.rmtree(folder)
