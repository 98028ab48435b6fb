"""One AOS of a benchmark's own: started in a temporary folder, set up over REST, its processes' CPU and memory read.

Nothing of the machine's own installation is used or touched; the end of the block stops it and removes the folder.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from aos.boot.config import Config
from aos.boot.owner import owner_login
from aos.boot.paths import find_paths
from tests.folders import new_folder

TICKS = os.sysconf("SC_CLK_TCK")
COMMAND_SECONDS = 120
FSYNC_BYTES = 8_192
FSYNC_TIMES = 200


@dataclass(frozen=True, slots=True)
class Installation:
    """A running AOS and an administrator's token."""

    folder: Path
    port: int
    token: str
    environment: dict[str, str]

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def rest(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the control plane; a refusal raises with its text."""
        return ask(self.port, method, path, body=body, token=self.token)

    def owner(self) -> psycopg.Connection[Any]:
        """Connect as the owner, to check what was written."""
        config = Config(home=self.home, port=self.port)
        return psycopg.connect(owner_login(config, find_paths(config, self.environment)), autocommit=True)

    def pids(self) -> dict[str, list[int]]:
        """Return the pids of each kind of process: data_plane, hosts, worker, control_plane, postgres."""
        state = json.loads((self.home / "aos/state.json").read_bytes())
        children = _children()
        postgres = state["postgres"]["pid"]
        found: dict[str, list[int]] = {}
        for each in state["processes"]:
            found.setdefault(each["kind"].replace("-", "_"), []).append(each["pid"])
        found["hosts"] = [below for each in state["processes"] for below in _below(each["pid"], children)]
        found["postgres"] = [postgres, *_below(postgres, children)]
        return found

    def cpu_seconds(self) -> dict[str, float]:
        """Return the CPU that each kind of process has used, its ended children included."""
        return {kind: sum(map(_cpu_seconds, pids)) for kind, pids in self.pids().items()}

    def rss_mb(self, kind: str) -> float:
        """Return the memory of a kind of process: of the largest where there are several."""
        pages = max(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self.pids()[kind])
        return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)

    def apply(self, manifest: dict[str, Any]) -> None:
        """Register what a manifest says."""
        file = self.folder / "aos.json"
        file.write_text(json.dumps(manifest))
        server = {"AOS_URL": f"http://127.0.0.1:{self.port}", "AOS_TOKEN": self.token}
        _aos({**self.environment, **server}, "apply", "--yes", "-f", str(file))

    def commit_us(self) -> float:
        """Return the median time of one commit of one row, its way to the server included."""
        taken = []
        with self.owner() as connection:
            connection.execute("create table if not exists bench_commit (number integer)")
            for number in range(FSYNC_TIMES):
                started = time.perf_counter()
                connection.execute("insert into bench_commit values (%s)", (number,))
                taken.append(time.perf_counter() - started)
        return round(statistics.median(taken) * 1e6, 1)

    def fdatasync_us(self) -> float:
        """Return the median time of making one page durable where the database lies."""
        taken = []
        with tempfile.TemporaryFile(dir=self.home) as file:
            for _ in range(FSYNC_TIMES):
                os.pwrite(file.fileno(), os.urandom(FSYNC_BYTES), 0)
                started = time.perf_counter()
                os.fdatasync(file.fileno())
                taken.append(time.perf_counter() - started)
        return round(statistics.median(taken) * 1e6, 1)


@contextmanager
def installed(modules: dict[str, str], settings: Mapping[str, str] | None = None) -> Iterator[Installation]:
    """Start AOS with these Python modules for its hosts, and stop it at the end of the block."""
    folder = new_folder("bench")
    code = folder / "code"
    code.mkdir()
    for name, source in modules.items():
        (code / f"{name}.py").write_text(source)
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "AOS_HOME": str(folder / "home"),
        "AOS_PORT": str(port),
        "AOS_AGENT_PATH": str(code),
        "AOS_GRPC_PORT": "0",
        **(settings or {}),
    }
    try:
        said = _aos(environment, "up", "--detach")
        try:
            yield Installation(folder, port, _sign_in(port, said), environment)
        finally:
            _aos(environment, "down")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def ask(port: int, method: str, path: str, *, body: Any = None, token: str = "") -> Any:
    """Make one request and return its JSON."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data=data, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=COMMAND_SECONDS) as answer:
            return json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        raise SystemExit(f"{method} {path}: {error.code} {error.read().decode()}") from error


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _aos(environment: dict[str, str], *arguments: str) -> str:
    command = [sys.executable, "-m", "aos.boot.main", *arguments]
    done = subprocess.run(
        command,
        check=False,
        env=environment,
        cwd=environment["HOME"],
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
    )
    if done.returncode:
        raise SystemExit(f"aos {' '.join(arguments)}: {done.stdout}{done.stderr}")
    return done.stdout


def _sign_in(port: int, said: str) -> str:
    link = re.search(r"aosl_[A-Za-z0-9_-]+", said)
    if link is None:
        raise SystemExit(f"`aos up` showed no sign-in link:\n{said}")
    return str(ask(port, "POST", "/people/link", body={"link": link[0]})["token"])


def _children() -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            found.setdefault(int(fields[1]), []).append(int(entry.name))
    return found


def _below(pid: int, children: dict[int, list[int]]) -> list[int]:
    return [each for child in children.get(pid, []) for each in (child, *_below(child, children))]


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the state on; empty where it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _cpu_seconds(pid: int) -> float:
    fields = _stat(pid)
    return sum(map(int, fields[11:15])) / TICKS if fields else 0.0
