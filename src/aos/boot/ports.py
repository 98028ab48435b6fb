"""The sockets that the supervisor opens and its processes inherit: a connection made while one restarts waits, and is kept."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path
from typing import Final

from aos.boot.paths import Paths
from aos.boot.state import State, decode_state
from aos.drivers.embedded_postgres.ports import holder_of
from aos.kernel.errors import Misconfigured

BACKLOG: Final = 1024


def listen_on(host: str, port: int, *, paths: Paths, count: int = 1) -> list[socket.socket]:
    """Return sockets that listen on one address together, each with its own share of the connections made.

    Raises Misconfigured, naming who holds the port where it is taken. The first is bound alone, so that nobody else's process
    is joined; the kernel gives each connection to one of the sockets by its addresses (SO_REUSEPORT).
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror as error:
        raise Misconfigured(f"AOS_HOST `{host}` is no address of this machine: {error.strerror}") from None
    opened: list[socket.socket] = []
    try:
        for number in range(count):
            listening = socket.socket(family, kind, protocol)
            opened.append(listening)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if number:
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            listening.bind(address)
            # Set after the bind, it lets the next ones in and would not have let this one in beside another's.
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            listening.listen(BACKLOG)
            listening.setblocking(False)
    except OSError as error:
        for each in opened:
            each.close()
        raise _refused(error, host, port, paths=paths) from None
    return opened


def reserve_on(host: str, port: int, *, paths: Paths, setting: str) -> socket.socket:
    """Return a socket that holds an address and does not listen, for a server that binds it by itself (SO_REUSEPORT).

    While that server restarts nobody else gets the address. Raises Misconfigured as `listen_on`, naming `setting`.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    held = socket.socket(family, kind, protocol)
    try:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(address)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    except OSError as error:
        held.close()
        raise _refused(error, host, port, paths=paths, setting=setting) from None
    return held


def listen_at(path: Path) -> socket.socket:
    """Return a socket that listens at a path, for its owner alone; what a killed supervisor left there is replaced."""
    path.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    umask = os.umask(0o177)
    try:
        listening.bind(os.fspath(path))
    finally:
        os.umask(umask)
    listening.listen(BACKLOG)
    return listening


def listen_near() -> socket.socket:
    """Return a socket that listens on a free port of the loopback address."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
    listening.setblocking(False)
    return listening


def _refused(
    error: OSError, host: str, port: int, *, paths: Paths, setting: str = "AOS_PORT (--port)"
) -> Misconfigured:
    if error.errno == errno.EADDRINUSE:
        who = _neighbour(port, paths) or holder_of(port)
        return Misconfigured(f"port `{port}` is taken by {who}: stop that, or set {setting} to another")
    if error.errno == errno.EADDRNOTAVAIL:
        return Misconfigured(f"AOS_HOST `{host}` is no address of this machine")
    return Misconfigured(f"cannot listen on `{host}` port `{port}`: {error.strerror}; set {setting} to another")


def _neighbour(port: int, paths: Paths) -> str:
    """Return another installation of this user's that serves on the port; /proc does not show what it holds."""
    for file in paths.postgres.folder.parent.glob("*/aos/state.json"):
        try:
            state: State | None = decode_state(file.read_bytes())
        except OSError:
            continue
        if state is not None and state.port == port and state.supervisor.alive:
            return f"AOS of `{state.installation}` (pid {state.supervisor.pid})"
    return ""
