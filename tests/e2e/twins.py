"""Two data planes and two gRPC servers over one database: the processes that `aos up` starts, each at an address of its own.

with opened_twins(world, keys=file) as twins:
    first, other = twins.doors
    twins.kill_the_first()
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aos.boot.children import Child, Role
from aos.boot.config import Config
from aos.boot.connections import Kind
from aos.boot.paths import find_paths
from aos.boot.plan import Plan
from aos.kernel.private_hosts import LOOPBACK
from tests.e2e.installation import free_port
from tests.folders import new_folder
from tests.worlds import World

READY_SECONDS = 60.0


@dataclass
class Twin:
    """One process, and the address at which it alone answers."""

    kind: Kind
    port: int
    child: Child
    plan: Plan

    @property
    def url(self) -> str:
        """Return its address, as HTTP clients write it."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and do not wait."""
        self.child.start()
        self.child.give(self.plan)

    def wait(self) -> None:
        """Return once it serves."""
        while self.child.ready is None:
            found = {what: descriptor for descriptor, what in self.child.watched().items()}
            readable, _, _ = select.select(list(found.values()), [], [], READY_SECONDS)
            assert found["ready"] in readable, self.child.last_words()
            assert self.child.read_ready(), self.child.last_words()

    def end(self) -> None:
        """Kill it with SIGKILL, as a crash does, and wait until it is gone."""
        if self.child.pid:
            os.kill(self.child.pid, signal.SIGKILL)
            self.child.bury()


@dataclass
class Twins:
    """The four processes: two that are spoken to first, and the two others."""

    doors: tuple[Twin, Twin]
    grpcs: tuple[Twin, Twin]

    def kill_the_first(self) -> None:
        """Kill those that were spoken to."""
        self.doors[0].end()
        self.grpcs[0].end()


@contextmanager
def opened_twins(world: World, *, keys: Path) -> Iterator[Twins]:
    """Serve a world, whose key-encryption key stands in the file `keys`, by four processes until the end of the block."""
    folder = new_folder("twins")
    listening = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    addresses = tuple(f"http://127.0.0.1:{each.getsockname()[1]}" for each in listening)
    made: list[Twin] = []
    for number, opened in enumerate(listening):
        opened.setblocking(False)
        make = partial(_twin, world, keys=keys, folder=folder, number=number, addresses=addresses)
        made.append(make(Kind.DATA_PLANE, opened.getsockname()[1], listening=opened.fileno()))
        made.append(make(Kind.GRPC, free_port()))
    try:
        for each in made:
            each.start()
        for each in made:
            each.wait()
        yield Twins((made[0], made[2]), (made[1], made[3]))
    finally:
        for each in made:
            each.end()
        for opened in listening:
            opened.close()


def _twin(
    world: World,
    kind: Kind,
    port: int,
    *,
    keys: Path,
    folder: Path,
    number: int,
    addresses: tuple[str, ...],
    listening: int = -1,
) -> Twin:
    name = f"{kind.value}-{number}"
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(folder), "AOS_HOME": str(folder / "home"), "AOS_LOCAL_MODEL": "off",
        "AOS_KEK_FILE": str(keys), "AOS_TOOL_HOSTS": "0",
        "AOS_GRPC_PORT": str(port if kind is Kind.GRPC else 0),
    }  # fmt: skip
    paths = find_paths(Config(home=folder / "home"), environment)
    for each in (paths.logs, paths.sockets, paths.metrics):
        each.mkdir(parents=True, exist_ok=True)
    role = Role(kind, name, number, listening, output=paths.logs / f"{name}.out", log=paths.logs / f"{name}.log")
    logins = (world.test_database.app, world.test_database.machine)
    plan = Plan(
        kind, name, number, "127.0.0.1", port, *logins, listen_fd=listening, log=str(role.log), addresses=addresses,
        private_hosts=LOOPBACK,
    )  # fmt: skip
    return Twin(kind, port, Child(role, environment), plan)


@dataclass
class Bank:
    """The far side of a tool: a server of payments that keeps count of what it was asked, and may keep a payer waiting."""

    port: int
    paid: list[tuple[str, Any]] = field(default_factory=list)
    """Keys and bodies, in the order in which they came."""
    slow: set[str] = field(default_factory=set)
    """Accounts to which a payment takes until `goes` is set."""
    asked: threading.Event = field(default_factory=threading.Event)
    """Set by a request for a slow account."""
    goes: threading.Event = field(default_factory=threading.Event)

    def tool(self) -> dict[str, Any]:
        """Return the tool `payments.create` as a manifest writes it."""
        text: Any = {"type": "string"}
        args = {"iban": text, "amount": {"type": "string", "format": "money"}, "currency": text}
        return {
            "http": {"method": "POST", "url": f"http://127.0.0.1:{self.port}/payments"},
            "effect": "pay",
            "repeat": "keyed",
            "timeout": "30s",
            "args": {"type": "object", "properties": args, "required": list(args), "additionalProperties": False},
        }

    def take(self, key: str, body: Any) -> None:
        """Note a payment."""
        self.paid.append((key, body))
        if body["iban"] in self.slow:
            self.asked.set()
            self.goes.wait(READY_SECONDS)

    def paid_to(self, iban: str) -> list[tuple[str, str]]:
        """Return keys and amounts of the payments to one account."""
        return [(key, body["amount"]) for key, body in self.paid if body["iban"] == iban]


@contextmanager
def opened_bank() -> Iterator[Bank]:
    """Serve payments until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            bank.take(self.headers.get("Idempotency-Key", ""), body)
            said = json.dumps({"paid": body["amount"]}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            with contextlib.suppress(OSError):  # who asked may have been killed
                self.wfile.write(said)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    bank = Bank(server.server_port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield bank
    finally:
        bank.goes.set()
        server.shutdown()
        thread.join()
        server.server_close()
