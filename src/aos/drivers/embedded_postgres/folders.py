"""Private folders and files: made safely, verified when found, and clear about a full disk.

A folder found in place is trusted only when it is a real folder (no link), of the expected owner, closed to others.
Permissions are set on what this package made, never on anything above it.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aos.drivers.embedded_postgres.account import Account
from aos.kernel.errors import Misconfigured, Unavailable

MEBIBYTE = 1024 * 1024
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


def disk_full(folder: Path, *, needed_bytes: int) -> Unavailable:
    """Return the error that says which folder is full, how much is free and how much is needed."""
    disk = os.statvfs(_existing(folder))
    free = f"{disk.f_bavail * disk.f_frsize // MEBIBYTE} MiB"
    if disk.f_files and not disk.f_favail:
        free += " and no room for another file"
    return Unavailable(
        f"the disk under `{folder}` is full: free are {free}, needed are {needed_bytes // MEBIBYTE} MiB: "
        "free space there, or choose another data folder",
        extra={"folder": str(folder)},
    )


def require_space(folder: Path, *, needed_bytes: int) -> None:
    """Raise Unavailable when fewer bytes are free than needed."""
    if shutil.disk_usage(_existing(folder)).free < needed_bytes:
        raise disk_full(folder, needed_bytes=needed_bytes)


@contextmanager
def clear_errors(folder: Path, *, needed_bytes: int) -> Iterator[None]:
    """Turn what the operating system refuses below a folder into an error that names it."""
    try:
        yield
    except OSError as error:
        if error.errno in _DISK_FULL:
            raise disk_full(folder, needed_bytes=needed_bytes) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR):
            raise Misconfigured(
                f"cannot use `{error.filename or folder}` ({error.strerror}): give it to the user who starts AOS, "
                "choose another data folder, or set AOS_DATABASE_URL"
            ) from error
        raise


def make_outer_folder(folder: Path, account: Account) -> None:
    """Make the folder that is ours and that the account may only pass: 0700, or 0710 with the account's group.

    An existing one must be ours; one that is open to others is taken only while it is empty.
    """
    mode = 0o710 if account.is_other else 0o700
    folder.parent.mkdir(mode=0o755 if account.is_other else 0o700, parents=True, exist_ok=True)
    _mkdir(folder)
    found = _verify(folder, owners=(os.geteuid(),))
    if stat.S_IMODE(found.st_mode) & ~mode and any(folder.iterdir()):
        raise Misconfigured(
            f"folder `{folder}` is open to other users (mode {stat.S_IMODE(found.st_mode):04o}) and not empty: "
            f"close it with `chmod {mode:04o}`, or move it away"
        )
    if account.is_other:
        os.chown(folder, os.geteuid(), account.gid, follow_symlinks=False)
    folder.chmod(mode)


def make_inner_folder(folder: Path, account: Account) -> None:
    """Make a folder of the account's own, 0700; an existing one must be its or ours, and is closed."""
    _mkdir(folder)
    _verify(folder, owners=(os.geteuid(), account.uid))
    if account.is_other:
        os.chown(folder, account.uid, account.gid, follow_symlinks=False)
    folder.chmod(0o700)


def make_system_home(folder: Path) -> None:
    """Make root's folder for all checkouts, which everybody may pass; an existing one keeps its mode."""
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        _mkdir(folder)
        folder.chmod(0o755)
    found = _verify(folder, owners=(0,))
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise Misconfigured(f"folder `{folder}` may be written by others than root: close it with `chmod go-w`")


def write_private(path: Path, text: str, *, account: Account | None = None) -> None:
    """Replace a file by one step with mode 0600, on disk when this returns; with an account, 0640 for its group."""
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        if account is not None and account.is_other:
            os.fchown(descriptor, os.geteuid(), account.gid)
            os.fchmod(descriptor, 0o640)
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    draft.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Put a folder's entries on disk, so that a rename in it outlives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _mkdir(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        return


def _verify(folder: Path, *, owners: tuple[int, ...]) -> os.stat_result:
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise Misconfigured(f"`{folder}` is not a folder (a link or a file lies there): move it away")
    if found.st_uid not in owners:
        raise Misconfigured(
            f"folder `{folder}` belongs to uid {found.st_uid} and not to uid {owners[-1]}: it is not used; "
            "move it away, start AOS as its owner, or choose another data folder"
        )
    return found


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())
