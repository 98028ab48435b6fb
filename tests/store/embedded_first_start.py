"""Start the Postgres of a home once, in whatever account and mounts this process was given, and say what came of it."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import psycopg

from aos.drivers.embedded_postgres.binaries import Binaries
from aos.drivers.embedded_postgres.layout import Settings, locate
from aos.drivers.embedded_postgres.server import start
from aos.kernel.errors import AosError


def describe_first_start(folder: Path, *, binaries: Binaries | None = None) -> dict[str, object]:
    """Start, look and stop; return what was seen, or the error."""
    lines: list[str] = []
    layout = locate(Settings(checkout=folder / "checkout", data_home=folder / "share", system_home=folder / "system"))
    try:
        running = start(replace(layout, ends_with_parent=True, binaries=binaries), announce=lines.append)
    except AosError as error:
        return {"error": error.slug, "detail": error.detail, "announced": lines}
    with psycopg.connect(running.superuser_dsn()) as connection:
        version = connection.info.server_version
    answer: dict[str, object] = {
        "announced": lines,
        "folder": os.fspath(layout.folder),
        "sockets": os.fspath(layout.sockets),
        "program": os.readlink(f"/proc/{running.pid}/exe"),
        "server_uid": os.stat(f"/proc/{running.pid}").st_uid,
        "version": version,
    }
    running.stop()
    return answer


if __name__ == "__main__":
    print(json.dumps(describe_first_start(Path(sys.argv[1]))))
