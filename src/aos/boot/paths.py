"""Where one installation keeps its things, computed from the settings; nothing here touches the disk.

The private folder holds Postgres's own (its driver says how) and, in `aos/`, what belongs to AOS's processes. Sockets lie
in a folder whose paths fit the 107 bytes that the kernel takes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aos.boot.config import Config
from aos.boot.installation import installation_root
from aos.drivers.embedded_postgres.layout import (
    SOCKET_PATH_BYTES_MAX,
    Layout,
    Settings,
    locate,
    short_hash,
    user_data_home,
)

SPARE_ROOT: Final = Path("/tmp")
"""Where sockets lie whose paths would be too long elsewhere."""
_LONGEST_SOCKET: Final = "hosts-worker-4194304.sock"


@dataclass(frozen=True, slots=True)
class Paths:
    """Every path of one installation besides those of Postgres, which are in `postgres`."""

    installation: Path
    postgres: Layout
    aos: Path
    sockets: Path
    key_file: Path
    password_file: Path

    @property
    def lock_file(self) -> Path:
        """Return the file whose lock the one supervisor of this installation holds."""
        return self.aos / "lock"

    @property
    def state_file(self) -> Path:
        """Return what runs now, for `aos status` and `aos down`."""
        return self.aos / "state.json"

    @property
    def logs(self) -> Path:
        """Return the folder with a log for each process."""
        return self.aos / "log"

    @property
    def by_hand(self) -> Path:
        """Return the folder with a file for each worker that was started by hand."""
        return self.aos / "by-hand"

    @property
    def metrics(self) -> Path:
        """Return the folder in which processes share their counters."""
        return self.aos / "metrics"

    @property
    def control_socket(self) -> Path:
        """Return the control plane's socket, to which the data plane passes on."""
        return self.sockets / "control.sock"

    def hosts_socket(self, process: str) -> Path:
        """Return the socket on which a process serves its hosts, by the process's name."""
        return self.sockets / f"hosts-{process}.sock"


def find_paths(config: Config, environment: Mapping[str, str]) -> Paths:
    """Compute the paths of this installation for whoever runs this process."""
    runtime = environment.get("XDG_RUNTIME_DIR", "")
    runtime_dir = Path(runtime) if runtime.startswith("/") else None
    layout = locate(
        Settings(
            checkout=installation_root(),
            data_home=config.data_home or user_data_home(_user_home(environment), environment.get("XDG_DATA_HOME")),
            runtime_dir=runtime_dir,
            data_dir=config.home,
            port=config.postgres_port,
        )
    )
    aos = layout.folder / "aos"
    return Paths(
        installation=installation_root(),
        postgres=layout,
        aos=aos,
        sockets=_socket_folder(aos, runtime_dir),
        key_file=config.kek_file or aos / "key-encryption-key",
        password_file=config.password_file or aos / "passwords.json",
    )


def _user_home(environment: Mapping[str, str]) -> Path:
    home = environment.get("HOME", "")
    return Path(home) if home.startswith("/") else Path(os.path.expanduser("~"))


def spare_prefix() -> str:
    """Return how the names of this user's folders in `SPARE_ROOT` begin, those of the driver of Postgres too."""
    return f"aos-{os.geteuid()}-"


def _socket_folder(aos: Path, runtime_dir: Path | None) -> Path:
    """Return the first folder whose sockets have a path that the kernel takes."""
    name = f"{spare_prefix()}{short_hash(aos)}"
    candidates = [aos / "run", *([runtime_dir / name] if runtime_dir is not None else [])]
    for candidate in candidates:
        if len(os.fsencode(candidate / _LONGEST_SOCKET)) <= SOCKET_PATH_BYTES_MAX:
            return candidate
    return SPARE_ROOT / name
