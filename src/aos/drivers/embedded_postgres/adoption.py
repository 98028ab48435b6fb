"""Taking over a server that outlived its supervisor.

It is adopted when it is what we would start (same programs, socket folder and port) and takes a connection; otherwise
it is stopped, so that the start that follows is an ordinary one.
"""

from __future__ import annotations

from pathlib import Path

from aos.drivers.embedded_postgres.deadlines import Deadline
from aos.drivers.embedded_postgres.endpoint import Endpoint
from aos.drivers.embedded_postgres.launch import Cluster
from aos.drivers.embedded_postgres.layout import Layout
from aos.drivers.embedded_postgres.leftover import (
    Postmaster,
    Status,
    read_postmaster,
    running_postmaster,
    wait_for_the_last,
)
from aos.drivers.embedded_postgres.processes import ProcessHandle, StopMode, program_of
from aos.kernel.errors import Unavailable

_LOOK_AGAIN_SECONDS = 0.02
_STOP_SECONDS = 30.0


def adopt(cluster: Cluster, *, deadline: Deadline) -> tuple[ProcessHandle, int] | None:
    """Return a healthy left-over server and its port, or None when there is none (any more)."""
    postmaster = running_postmaster(cluster.layout)
    if postmaster is None:
        return None
    try:
        handle = ProcessHandle(postmaster.pid)
    except ProcessLookupError:
        return None
    if not _is_as_we_start_it(cluster, postmaster):
        end(cluster.layout, handle, mode=StopMode.FAST, timeout_seconds=_STOP_SECONDS)
        return None
    if not _becomes_ready(cluster, handle, deadline):
        end(cluster.layout, handle, mode=StopMode.IMMEDIATE, timeout_seconds=_STOP_SECONDS)
        return None
    if not Endpoint(sockets=cluster.layout.sockets, port=postmaster.port, password=cluster.password).answers():
        end(cluster.layout, handle, mode=StopMode.IMMEDIATE, timeout_seconds=_STOP_SECONDS)
        return None
    return handle, postmaster.port


def end(layout: Layout, handle: ProcessHandle, *, mode: StopMode, timeout_seconds: float) -> None:
    """Stop the whole of a server and give its handle back.

    One that is not gone in time is asked to stop at once (which loses nothing that was acknowledged); Unavailable is
    raised when it is not gone 10 s after that either.
    """
    handle.send(mode)
    if not handle.wait(timeout_seconds):
        handle.send(StopMode.IMMEDIATE)
        if not handle.wait(10.0):
            raise Unavailable(f"Postgres (pid {handle.pid}) does not stop: end it with `kill -9 {handle.pid}`")
    wait_for_the_last(layout)
    handle.close()


def _is_as_we_start_it(cluster: Cluster, postmaster: Postmaster) -> bool:
    return (
        program_of(postmaster.pid) == str(cluster.binaries.program("postgres").resolve())
        and cluster.layout.port in (None, postmaster.port)
        and Path(postmaster.sockets) == cluster.layout.sockets
    )


def _becomes_ready(cluster: Cluster, handle: ProcessHandle, deadline: Deadline) -> bool:
    """Wait until the server says it is ready; one that is stopping, or gone, never will be."""
    while not deadline.passed():
        postmaster = read_postmaster(cluster.layout)
        if postmaster is not None and postmaster.status is Status.READY:
            return True
        if postmaster is not None and postmaster.status is Status.STOPPING:
            handle.wait(min(_STOP_SECONDS, deadline.remaining_seconds()))
            return False
        if handle.wait(_LOOK_AGAIN_SECONDS):
            return False
    return False
