"""A peer in the place of the control plane: an HTTP server on a unix socket that answers what the test says."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Handle = Callable[[BaseHTTPRequestHandler], None]


class _UnixServer(ThreadingHTTPServer):
    address_family = socket.AF_UNIX
    daemon_threads = True

    def server_bind(self) -> None:
        self.socket.bind(self.server_address)


@dataclass
class ControlPlane:
    """A peer on a unix socket that answers what the test says and keeps what it was asked."""

    handle: Handle
    asked: list[tuple[str, str, list[tuple[str, str]], bytes]] = field(default_factory=list)
    answered: list[str] = field(default_factory=list)
    """The paths to which answers have been written, as the document then stood."""

    def answers(self, status: int, body: bytes = b"", *headers: tuple[str, str], length: bool = True) -> None:
        """Answer every request so."""

        def handle(request: BaseHTTPRequestHandler) -> None:
            request.send_response(status)
            for name, value in headers:
                request.send_header(name, value)
            if length:
                request.send_header("Content-Length", str(len(body)))
            request.end_headers()
            if request.command != "HEAD":
                request.wfile.write(body)

        self.handle = handle

    def shows(self, document: dict[str, Any], *, created: int = 200) -> None:
        """Answer with a document as it stands at that moment; a POST with the status `created`."""

        def handle(request: BaseHTTPRequestHandler) -> None:
            body = json.dumps(document).encode()
            request.send_response(created if request.command == "POST" else 200)
            request.send_header("Content-Type", "application/json")
            if request.command == "POST":
                request.send_header("Location", f"/runs/{document['id']}")
            request.send_header("Content-Length", str(len(body)))
            request.end_headers()
            request.wfile.write(body)

        self.handle = handle


@contextmanager
def control_plane(path: Path) -> Iterator[ControlPlane]:
    """Serve a peer at a socket."""
    peer = ControlPlane(lambda request: None)
    peer.answers(200, b"{}")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            peer.asked.append((self.command, self.path, list(self.headers.items()), body))
            peer.handle(self)
            peer.answered.append(self.path)

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer  # noqa: N815

        def address_string(self) -> str:
            return "unix"

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = _UnixServer(str(path), Handler)  # type: ignore[arg-type]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield peer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        path.unlink()
