"""A peer for the command line: an HTTP server in the test that gives contract-shaped answers and keeps what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from aos.boot.assertions import sign_claims
from aos.cli.app import run_cli
from aos.cli.config import CliConfig, LocalEntries

NOW = datetime(2026, 3, 31, 12, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass(slots=True)
class Peer:
    """What the server answers, and what it was asked. An answer that is a list is used up one by one, its last stays."""

    url: str = ""
    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    """What every answer carries besides."""

    def give(self, request: str, body: Any = None, *, status: int = 200, type: str = "application/json") -> None:
        """Answer `METHOD /path` with a body; several calls give one answer after the other."""
        self.answers.setdefault(request, []).append((status, type, body if body is not None else {}))

    def refuse(self, request: str, status: int, title: str, detail: str = "because", **more: Any) -> None:
        """Answer with a problem (RFC 9457)."""
        problem = {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}
        self.give(request, problem, status=status, type="application/problem+json")

    def bodies(self, request: str) -> list[Any]:
        """Return the bodies that came for `METHOD /path`."""
        return [each.body for each in self.asked if f"{each.method} {each.path}" == request]

    def next_answer(self, request: str) -> tuple[int, str, Any]:
        found = self.answers.get(request)
        if not found:
            problem = {"title": "Not found", "status": 404, "detail": f"no {request}"}
            return 404, "application/problem+json", problem
        return found.pop(0) if len(found) > 1 else found[0]


def events(*each: tuple[str, Any]) -> bytes:
    """Return a stream of server-sent events."""
    return b"".join(
        f"id: {number}\nevent: {kind}\ndata: {json.dumps(data)}\n\n".encode()
        for number, (kind, data) in enumerate(each, 1)
    )


@contextmanager
def serving() -> Iterator[Peer]:
    """Serve a peer on a free port."""
    peer = Peer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            target = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            data = self.rfile.read(length)
            query = {name: values[0] for name, values in parse_qs(target.query).items()}
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = json.loads(data) if data else None
            peer.asked.append(Asked(self.command, target.path, query, headers, body))
            status, type, found = peer.next_answer(f"{self.command} {target.path}")
            text = found if isinstance(found, bytes) else json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Type", type)
            self.send_header("Content-Length", str(len(text)))
            for name, value in peer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    peer.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield peer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def verify_ed25519(public: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


@dataclass(slots=True)
class Done:
    """How one call of `aos` ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(slots=True)
class Cli:
    """Calls `aos` against the peer."""

    peer: Peer
    home: Path
    capture: pytest.CaptureFixture[str]
    opened: list[str] = field(default_factory=list)
    token: str = "aosp_test"
    program: str = "aos"
    entries: LocalEntries | None = None
    browser: bool = True
    now: Callable[[], datetime] = lambda: NOW

    def open(self, url: str) -> bool:
        self.opened.append(url)
        return self.browser

    def config(self) -> CliConfig:
        return CliConfig(
            config_home=self.home,
            now=self.now,
            verify=verify_ed25519,
            open_page=self.open,
            url=self.peer.url,
            token=self.token,
            program=self.program,
            entries=self.entries,
            sign=sign_claims,
        )

    def __call__(self, *arguments: str) -> Done:
        self.capture.readouterr()
        status = run_cli(self.config(), {"up": start}, arguments=arguments)
        captured = self.capture.readouterr()
        return Done(int(status), captured.out, captured.err)


def start() -> None:
    """Stand for a command of this machine."""
