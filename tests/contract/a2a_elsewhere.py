"""An agent elsewhere, by hand: an HTTP server that answers what a test says, good or bad."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

Answer: TypeAlias = tuple[int, bytes]
CARD = "/.well-known/agent-card.json"


@dataclass
class Heard:
    """One request that came."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Elsewhere:
    """The far side: `answer` says what a verb is answered with; `heard` is all that came."""

    port: int
    card: dict[str, Any]
    answer: Callable[[str, dict[str, Any]], Any]
    heard: list[Heard] = field(default_factory=list)
    status: int = 200
    raw: Callable[[BaseHTTPRequestHandler], bool] = lambda handler: False
    """Answers a request by itself where it returns True."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def verbs(self) -> list[str]:
        """Return the verbs that were asked, in order."""
        return [each.body["method"] for each in self.heard if isinstance(each.body, dict) and "method" in each.body]


def drip(handler: BaseHTTPRequestHandler) -> bool:
    """Answer well, but a byte at a time and never to the end."""
    handler.send_response(200)
    handler.send_header("content-length", "1000")
    handler.end_headers()
    with contextlib.suppress(OSError):
        for _ in range(999):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.05)
    handler.close_connection = True
    return True


def card(url: str, **more: Any) -> dict[str, Any]:
    """Return a card as an honest agent shows it."""
    return {
        "name": "reviews",
        "description": "Reviews vendors",
        "version": "1",
        "supportedInterfaces": [{"url": f"{url}/rpc", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}],
        "capabilities": {},
        "defaultInputModes": ["text/plain"],
        "defaultOutputModes": ["text/plain"],
        "skills": [{"id": "review", "name": "review", "description": "Reviews", "tags": ["review"]}],
        **more,
    }


def task(state: str, *parts: Any, ident: str = "t-1", said: str = "") -> dict[str, Any]:
    """Return a task in a state, with what it came to."""
    status: dict[str, Any] = {"state": f"TASK_STATE_{state}"}
    if said:
        status["message"] = {"messageId": "s", "role": "ROLE_AGENT", "parts": [{"text": said}]}
    found: dict[str, Any] = {"id": ident, "contextId": "c", "status": status}
    if parts:
        found["artifacts"] = [{"artifactId": "a", "parts": list(parts)}]
    return found


@contextmanager
def elsewhere(answer: Callable[[str, dict[str, Any]], Any] | None = None) -> Iterator[Elsewhere]:
    """Serve an agent elsewhere on a free port until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            self._handle()

        def do_POST(self) -> None:
            self._handle()

        def _handle(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length", 0)))
            body = json.loads(raw) if raw else None
            found.heard.append(Heard(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            if found.raw(self):
                return
            if self.path.endswith(CARD):
                self._say(200, found.card)
            elif isinstance(body, dict) and "jsonrpc" in body:
                result = found.answer(body["method"], body["params"])
                self._say(found.status, {"jsonrpc": "2.0", "id": body["id"], **result})
            else:
                self._say(found.status, found.answer("", body or {}))

        def _say(self, status: int, document: Any) -> None:
            payload = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    port = server.server_address[1]
    found = Elsewhere(port, card(f"http://127.0.0.1:{port}"), answer or (lambda method, params: {"result": {}}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
