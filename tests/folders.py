"""Folders of a test process: short, passable for the system user, and gone when the process ends, however it ends.

A run that was killed cannot clean up: the next one ends what still runs in the folders left over, and removes them.
Register what must end before its folder goes (servers) with `atexit` after importing this module.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path

from aos.boot.config import Config
from aos.boot.down import down
from aos.boot.paths import find_paths
from aos.drivers.embedded_postgres.processes import is_alive
from aos.kernel.errors import AosError

DISK = Path("/tmp")
PREFIX = "aos-tests"

_until_exit = ExitStack()
atexit.register(_until_exit.close)


def new_folder(name: str, *, below: Path = DISK) -> Path:
    """Return a new folder that goes with this process at the latest; other users may pass it and not list it."""
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=_process_folder(below)))
    folder.chmod(0o711)
    return folder


@functools.cache
def _process_folder(below: Path) -> Path:
    _remove_left_over(below)
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}-{os.getpid()}-", dir=below))
    folder.chmod(0o711)
    _until_exit.callback(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _remove_left_over(below: Path) -> None:
    """Remove the folders of this user's test processes that are gone; a pid that is used again keeps its folder."""
    for folder in below.glob(f"{PREFIX}-*-*"):
        with contextlib.suppress(OSError, ValueError):
            if folder.stat().st_uid == os.geteuid() and not is_alive(int(folder.name.split("-")[2])):
                for home in folder.glob("*/home"):
                    with contextlib.suppress(AosError):
                        down(find_paths(Config(home=home), {}))
                shutil.rmtree(folder, ignore_errors=True)
