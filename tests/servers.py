"""Postgres servers for tests: throwaway clusters of the wheel's Postgres and, where it is installed, of Postgres 15.

A server lives as long as the test process (or thread) that asked for it and never longer, not even after `kill -9`.
"""

from __future__ import annotations

import atexit
import functools
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from aos.drivers.embedded_postgres.binaries import installed_binaries
from aos.drivers.embedded_postgres.server import RunningPostgres
from aos.drivers.embedded_postgres.throwaway import throwaway_cluster
from tests.folders import DISK, new_folder

OLDEST_MAJOR = 15
NEWEST_MAJOR = 18
POSTGRES_15 = Path("/usr/lib/postgresql/15/bin")
MEMORY = Path("/dev/shm")
MEMORY_BYTES_MIN = 2 * 1024**3
QUICK_LOGINS = {"scram_iterations": "1"}
"""Ten thousand logins: each would cost the client 3 ms to work out the proof of a password that is no secret."""
QUICK_LOGINS_SINCE_MAJOR = 16
NO_POSTGRES_15 = f"no Postgres 15 in {POSTGRES_15}: `apt-get install postgresql-15` runs this"

_until_exit = ExitStack()
atexit.register(_until_exit.close)


@functools.cache
def start_cluster(major: int = NEWEST_MAJOR, *, durable: bool = False) -> str:
    """Return the superuser's DSN of a server of that major version, started once for the test process.

    Call it from the main thread (a session fixture does). Skips the test where that version is not installed. Tests
    share the server: each makes databases of its own. `durable` is for tests in which the server is killed.
    """
    directory = None if durable else new_folder("server", below=_memory())
    overrides = QUICK_LOGINS if major >= QUICK_LOGINS_SINCE_MAJOR else None
    made = cluster(major, durable=durable, directory=directory, overrides=overrides)
    return _until_exit.enter_context(made).superuser_dsn()


@contextmanager
def cluster(
    major: int = NEWEST_MAJOR,
    *,
    durable: bool = True,
    overrides: Mapping[str, str] | None = None,
    directory: Path | None = None,
) -> Iterator[RunningPostgres]:
    """Yield a server of that major version for one test alone, which may stop, kill and restart it."""
    if major == OLDEST_MAJOR:
        if not (POSTGRES_15 / "postgres").exists():
            pytest.skip(NO_POSTGRES_15)
        binaries = installed_binaries(POSTGRES_15)
    elif major == NEWEST_MAJOR:
        binaries = None
    else:
        raise ValueError(f"tests run on Postgres {OLDEST_MAJOR} and {NEWEST_MAJOR}, not on `{major}`")
    with throwaway_cluster(
        directory or new_folder("server"), durable=durable, binaries=binaries, overrides=overrides
    ) as running:
        yield running


@contextmanager
def postgres15_cluster(*, durable: bool = True) -> Iterator[RunningPostgres]:
    """Yield a server of Postgres 15, or skip with what would run the test."""
    with cluster(OLDEST_MAJOR, durable=durable) as running:
        yield running


def until_exit(close: Callable[[], object]) -> None:
    """Call when the test process ends, before its servers do."""
    _until_exit.callback(close)


def _memory() -> Path:
    """Return the memory's file system where there is room: databases are cloned ten times as fast as on a busy disk."""
    if not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < MEMORY_BYTES_MIN:
        return DISK
    return MEMORY
