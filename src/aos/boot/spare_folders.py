"""Folders for sockets outside of an installation, where the paths inside of it would be too long for the kernel.

Each carries the installation in its name and is locked by whoever uses it for as long as they live. What nobody has locked,
nothing is bound in and nobody touched for a while was left by processes that were killed: the next start removes it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import stat
from collections.abc import Collection
from pathlib import Path
from typing import Final

from aos.boot.files import make_private_folder
from aos.boot.paths import SPARE_ROOT, Paths, spare_prefix
from aos.drivers.clock import machine_now

STALE_SECONDS: Final = 600.0
"""How long nothing was made or removed in a folder before it counts as left over: whoever makes one needs it at once."""
_BOUND: Final = Path("/proc/net/unix")
_ANSWER_SECONDS: Final = 1.0


class SpareFolders:
    """The spare folders that this process uses; the locks fall with it, however it ends."""

    def __init__(self, paths: Paths) -> None:
        self._folders = [each for each in (paths.sockets, paths.postgres.sockets) if each.parent == SPARE_ROOT]
        self._sockets = paths.sockets
        self._locks: dict[Path, int] = {}

    def hold(self) -> None:
        """Lock those that are there, and remove what this user's killed processes left behind."""
        for folder in self._folders:
            if folder not in self._locks and _is_ours(folder):
                self._locks[folder] = _lock(folder, fcntl.LOCK_SH)
        remove_left_over(SPARE_ROOT, keep=self._folders)
        remove_dead_sockets(self._sockets)

    def release(self) -> None:
        """Give the folders back, and remove those that nobody else uses."""
        for folder, descriptor in self._locks.items():
            os.close(descriptor)
            with contextlib.suppress(OSError):
                if not living_sockets(folder):
                    _remove(folder)
        self._locks.clear()


def remove_left_over(root: Path, *, keep: Collection[Path] = (), now: float | None = None) -> list[Path]:
    """Remove the spare folders of this user in `root` that nobody uses, and return them; `now` is in seconds since 1970."""
    removed = []
    for folder in sorted(root.glob(f"{spare_prefix()}*")):
        with contextlib.suppress(OSError):
            if folder in keep or not _is_ours(folder) or living_sockets(folder):
                continue
            age_seconds = (machine_now().timestamp() if now is None else now) - folder.stat().st_mtime
            if age_seconds > STALE_SECONDS and _remove(folder):
                removed.append(folder)
    return removed


def remove_dead_sockets(folder: Path) -> None:
    """Remove the sockets of hosts in a folder of ours that no living process has."""
    if not _is_ours(folder):
        return
    with contextlib.suppress(OSError):  # it is not made yet, or is another user's
        there = list(folder.glob("hosts-*.sock"))
        for path in set(there).difference(living_sockets(folder)):
            path.unlink(missing_ok=True)


def living_sockets(folder: Path) -> list[Path]:
    """Return the sockets in a folder that living processes have, in another container that shares the folder too."""
    there = list(folder.iterdir())
    bound = _bound_paths()  # read later: what was there and is alive here is among them
    return [path for path in there if path.is_socket() and (str(path) in bound or _answers(path))]


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as caller:
        caller.settimeout(_ANSWER_SECONDS)
        try:
            caller.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True
    return True


def _remove(folder: Path) -> bool:
    """Remove a folder that nobody has locked and that holds sockets alone, and say whether it was so."""
    if not all(_is_of_a_socket(each) for each in folder.iterdir()):
        return False
    try:
        descriptor = _lock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    try:
        for each in folder.iterdir():
            if _is_of_a_socket(each):
                each.unlink(missing_ok=True)
        folder.rmdir()
    finally:
        os.close(descriptor)
    return True


def _is_of_a_socket(path: Path) -> bool:
    """Say whether something is a socket, or lies beside one of Postgres, by its name: anything else is not ours to remove."""
    return path.name.endswith(".sock") or path.name.startswith(".s.PGSQL.")


def _lock(folder: Path, how: int) -> int:
    """Lock a folder and return the descriptor that holds it; one that is removed meanwhile is locked as it is made again."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, how)
    except BlockingIOError:
        os.close(descriptor)
        raise
    if folder.exists() and os.path.samestat(os.fstat(descriptor), folder.stat()):
        return descriptor
    os.close(descriptor)
    make_private_folder(folder)
    return _lock(folder, how)


def _bound_paths() -> frozenset[str]:
    """Return the sockets of the processes of this container or machine, none where the kernel does not tell."""
    try:
        lines = _BOUND.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return frozenset()
    return frozenset(line.split(maxsplit=7)[7] for line in lines[1:] if "/" in line)


def _is_ours(folder: Path) -> bool:
    """Say whether a folder of this user lies there, not a link to one."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
