"""How a data folder comes to be: initdb works beside it, and one rename puts the finished folder in its place.

So a data folder is whole or absent: what a killed initdb left lies under another name, holds nothing that was ever
acknowledged, and is removed. A folder that is neither whole nor empty is somebody's: it is never touched.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from aos.drivers.embedded_postgres.account import Account
from aos.drivers.embedded_postgres.binaries import Binaries
from aos.drivers.embedded_postgres.folders import (
    clear_errors,
    disk_full,
    make_inner_folder,
    require_space,
    sync_folder,
    write_private,
)
from aos.drivers.embedded_postgres.layout import Layout
from aos.drivers.embedded_postgres.memory import SupervisorLock, make_password
from aos.drivers.embedded_postgres.processes import spawn
from aos.kernel.errors import Misconfigured, Unavailable

SUPERUSER = "postgres"
FIRST_START_BYTES = 128 * 1024 * 1024
"""Free space asked for before the first start: initdb writes 39 MiB, the first checkpoints more."""

_INITDB_TIMEOUT_SECONDS = 120
_FIRST_MAJOR_WITH_BUILTIN_LOCALE = 17
_DISK_FULL_SAYINGS = ("No space left on device", "Disk quota exceeded")
_SAID_CHARACTERS_MAX = 2_000


def ensure_initialised(layout: Layout, account: Account, binaries: Binaries, *, lock: SupervisorLock) -> None:
    """Make the data folder when there is none, and refuse one that these programs cannot run.

    Raises Misconfigured for a folder of another major version or one that is not a Postgres folder, Unavailable
    when the disk is too full or initdb fails.
    """
    if _is_absent(layout):
        with clear_errors(layout.folder, needed_bytes=FIRST_START_BYTES):
            _initialise(layout, account, binaries, lock=lock)
    _check_version(layout, binaries)


def _is_absent(layout: Layout) -> bool:
    if not layout.data.exists():
        return True
    if not any(layout.data.iterdir()):
        layout.data.rmdir()
        return True
    if not (layout.data / "PG_VERSION").is_file() or not (layout.data / "global" / "pg_control").is_file():
        raise Misconfigured(
            f"folder `{layout.data}` is neither empty nor a whole Postgres data folder: move it away, or choose "
            "another data folder"
        )
    return False


def _check_version(layout: Layout, binaries: Binaries) -> None:
    found = (layout.data / "PG_VERSION").read_text(encoding="utf-8").strip()
    if found != str(binaries.major):
        raise Misconfigured(
            f"folder `{layout.data}` is of Postgres `{found}` and this AOS brings Postgres {binaries.version}: "
            f"dump it with the programs of Postgres {found} (`pg_dumpall`), move `{layout.folder}` away, start AOS "
            "and load the dump; or set AOS_DATABASE_URL to a server that runs it"
        )


def _initialise(layout: Layout, account: Account, binaries: Binaries, *, lock: SupervisorLock) -> None:
    if layout.initialising.exists():
        shutil.rmtree(layout.initialising)
    require_space(layout.folder, needed_bytes=FIRST_START_BYTES)
    password = make_password()
    write_private(layout.password_file, password + "\n")
    handed_over = layout.folder / "password.initdb"
    write_private(handed_over, password + "\n", account=account)
    make_inner_folder(layout.initialising, account)
    try:
        _run_initdb(layout, account, binaries, lock=lock, password_file=os.fspath(handed_over))
    finally:
        handed_over.unlink(missing_ok=True)
    layout.initialising.rename(layout.data)
    sync_folder(layout.folder)


def _run_initdb(
    layout: Layout, account: Account, binaries: Binaries, *, lock: SupervisorLock, password_file: str
) -> None:
    """Run initdb, which keeps the lock open: were we killed, nobody removes the folder under its hands."""
    arguments: list[str | Path] = [
        binaries.program("initdb"), "--pgdata", layout.initialising, "--username", SUPERUSER,
        "--pwfile", password_file, "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8",
        "--lc-messages", "C", "--data-checksums", "--no-instructions", "--no-clean",
    ]  # fmt: skip
    if binaries.major >= _FIRST_MAJOR_WITH_BUILTIN_LOCALE:
        arguments += ["--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"]
    if layout.overrides.get("fsync") == "off":
        arguments.append("--no-sync")
    with tempfile.TemporaryFile() as said:
        process = spawn(
            arguments,
            account,
            output=said.fileno(),
            keep_open=(lock.fileno(),),
            ends_with_parent=layout.ends_with_parent,
        )
        try:
            status = process.wait(timeout=_INITDB_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            raise Unavailable(f"initdb did not end within {_INITDB_TIMEOUT_SECONDS} s in `{layout.folder}`") from None
        finally:
            process.kill()
            process.wait()
        said.seek(0)
        text = said.read().decode(errors="replace").strip()
    if status != 0:
        error = Unavailable(f"initdb failed with status {status} in `{layout.folder}`: {text[-_SAID_CHARACTERS_MAX:]}")
        if any(saying in text for saying in _DISK_FULL_SAYINGS):
            error = disk_full(layout.folder, needed_bytes=FIRST_START_BYTES)
        shutil.rmtree(layout.initialising, ignore_errors=True)
        raise error
