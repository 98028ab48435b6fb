"""The console over a seeded database, in a process of its own: Django is set up once in a process.

    python -m tests.e2e.console_server < {"owner": ..., "app": ..., "machine": ..., "keys": ...}

It prints one line of JSON with its address and what was seeded, then serves until its standard input is closed.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from aos.console.binding import ConsoleServices, bind
from aos.control_plane.binding import Services
from aos.control_plane.settings import WEB
from aos.control_plane.wsgi import build_application
from aos.drivers.clock import MonotonicTicker
from aos.drivers.crypto import StandardCrypto
from aos.drivers.ids import StandardIds
from aos.drivers.key_file import KeyFile
from aos.operations.bridge import Bridge, open_hot
from aos.operations.drivers import Drivers
from aos.store.cold.connection import configure
from aos.store.cold.machine import configure_machine
from aos.store.django_settings import DjangoConfig, set_up_django
from aos.store.hot.database import DatabaseConfig
from tests.e2e.console_rows import seed


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def main() -> None:
    """Seed, serve, and end with the standard input."""
    given = json.loads(sys.stdin.readline())
    set_up_django(
        DjangoConfig(
            secret_key="only for tests",
            root_urlconf="tests.e2e.console_urls",
            allowed_hosts=("127.0.0.1", "localhost"),
            web=WEB,
        )
    )
    configure(given["app"])
    configure_machine(given["machine"])
    keys = KeyFile(Path(given["keys"]))
    company = asyncio.run(seed(given["owner"], given["app"], given["machine"], keys))
    drivers = Drivers(StandardIds(), MonotonicTicker(), StandardCrypto(), keys)
    database = DatabaseConfig(given["app"], given["machine"])
    bridge = Bridge(lambda: open_hot(database, drivers))
    bind(ConsoleServices(drivers, bridge))
    server = make_server(
        "127.0.0.1",
        given.get("port", 0),
        build_application(Services(drivers)),
        server_class=_Server,
        handler_class=_Quiet,
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps({"url": f"http://127.0.0.1:{server.server_port}", **asdict(company)}, default=str), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
