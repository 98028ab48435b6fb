"""Private folders and files of AOS's own: 0700 and 0600, never through a link, replaced by one step."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from aos.kernel.errors import Misconfigured


def make_private_folder(folder: Path) -> None:
    """Make a folder for its owner alone, 0700.

    Raises Misconfigured where something else lies there, it is another's, or it may not be made.
    """
    make_home(folder)
    folder.chmod(0o700)


def make_home(folder: Path) -> None:
    """Make a folder for its owner alone; an empty one that is there is closed to others.

    One that holds something keeps its mode, which the driver of Postgres may have widened.
    Raises Misconfigured as `make_private_folder` does.
    """
    try:
        if not folder.parent.is_dir():
            folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if os.geteuid() == 0:
                folder.parent.chmod(0o755)  # Postgres runs as a system user of its own and must pass
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if _is_own(found) and not any(folder.iterdir()):
            folder.chmod(0o700)
    except OSError as error:
        raise Misconfigured(
            f"cannot use folder `{folder}` ({error.strerror}): give it to the user who starts AOS, or set AOS_HOME"
        ) from error
    if not _is_own(found):
        raise Misconfigured(f"`{folder}` is not a folder of the user who starts AOS: move it away, or set AOS_HOME")


def _is_own(found: os.stat_result) -> bool:
    """Say whether a folder lies there that belongs to who runs this."""
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


def write_private(path: Path, content: bytes) -> None:
    """Replace a file by one step with mode 0600, on disk when this returns."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    draft.replace(path)


def read_private(path: Path) -> bytes | None:
    """Return a private file's content, None where there is none. Raises Misconfigured where others may read it."""
    try:
        if path.stat().st_mode & 0o077:
            raise Misconfigured(f"`{path}` can be read by others: run `chmod 600 {path}`")
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Misconfigured(f"cannot read `{path}` ({error.strerror}): run as the user who started AOS") from error
