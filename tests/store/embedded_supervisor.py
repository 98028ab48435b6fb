"""A supervisor for tests: start the Postgres of a home, say so in one line of JSON, and stay until input is closed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from aos.drivers.embedded_postgres.layout import locate
from aos.drivers.embedded_postgres.server import start
from aos.kernel.errors import AosError
from tests.store.embedded_home import Home


def main() -> None:
    layout = locate(Home(Path(sys.argv[1])).settings())
    lines: list[str] = []
    try:
        running = start(layout, announce=lines.append, lock_wait_seconds=float((sys.argv[2:] or ["0"])[0]))
    except AosError as error:
        print(json.dumps({"error": error.slug, "detail": error.detail, "announced": lines}), flush=True)
        return
    print(
        json.dumps({"pid": running.pid, "dsn": running.superuser_dsn(), "port": running.port, "announced": lines}),
        flush=True,
    )
    sys.stdin.read()
    running.stop()


main()
