"""Which port Postgres listens on: the one asked for, the one it had, or a free one; and who holds a taken one.

Only the loopback address is ever listened on. Chosen ports lie below the range from which Linux takes outgoing ones.
"""

from __future__ import annotations

import os
import pwd
import socket
import zlib
from pathlib import Path

from aos.drivers.embedded_postgres.processes import describe, pids
from aos.kernel.errors import Misconfigured, Unavailable

LOOPBACK = "127.0.0.1"
FIRST_PORT = 20_000
PORT_COUNT = 12_000
_TRIES_MAX = 200
_LISTENING = "0A"


def is_free(port: int) -> bool:
    """Say whether Postgres could listen on the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def choose_port(seed: str, *, last: int | None) -> int:
    """Return the port of the last start when it is still free, else the first free one after a place named by seed."""
    if last is not None and is_free(last):
        return last
    offset = zlib.crc32(seed.encode()) % PORT_COUNT
    for step in range(_TRIES_MAX):
        port = FIRST_PORT + (offset + step) % PORT_COUNT
        if port != last and is_free(port):
            return port
    raise Unavailable(f"no free port for Postgres among {_TRIES_MAX} from {FIRST_PORT + offset} on")


def taken(port: int) -> Misconfigured:
    """Return the error that names who holds the port which was asked for."""
    return Misconfigured(
        f"port `{port}`, asked for Postgres, is taken by {holder_of(port)}: stop that, or set another port"
    )


def holder_of(port: int) -> str:
    """Return who listens on a port, in words, as far as this user may see it."""
    listeners = _listeners(port)
    for inode, _ in listeners:
        pid = _pid_with_socket(inode)
        if pid is not None:
            return describe(pid)
    for _, uid in listeners:
        try:
            return f"a process of user `{pwd.getpwuid(uid).pw_name}`"
        except KeyError:
            return f"a process of uid {uid}"
    return "another process"


def _listeners(port: int) -> list[tuple[str, int]]:
    """Return (socket inode, uid) of each listener on the port; layout: proc_net_tcp in the kernel's documentation."""
    found: list[tuple[str, int]] = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                found.append((fields[9], int(fields[7])))
    return found


def _pid_with_socket(inode: str) -> int | None:
    wanted = f"socket:[{inode}]"
    for pid in pids():
        try:
            for descriptor in os.listdir(f"/proc/{pid}/fd"):
                if os.readlink(f"/proc/{pid}/fd/{descriptor}") == wanted:
                    return pid
        except OSError:
            continue
    return None
