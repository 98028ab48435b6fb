"""`aos down`: ends a running supervisor, or what one that was killed has left behind."""

from __future__ import annotations

import os
import select
import signal
from typing import Final

from aos.boot.by_hand import ask_to_end, workers_by_hand
from aos.boot.paths import Paths
from aos.boot.spare_folders import SpareFolders
from aos.boot.state import ProcessState, is_supervised, read_state, remove_state
from aos.drivers.embedded_postgres.server import stop_left_over
from aos.kernel.errors import Unavailable

DOWN_SECONDS: Final = 90.0
"""How long a supervisor may take to end everything in order."""
_LEFT_OVER_SECONDS: Final = 5.0


def down(paths: Paths) -> bool:
    """End AOS of this installation and say whether anything ran.

    Workers that were started by hand end with the Postgres that they work on; those on another database run on.
    Raises Unavailable where something does not end in time, Conflict where the Postgres is another supervisor's.
    """
    state = read_state(paths)
    ended = False
    if state is not None and state.supervisor.alive:
        _end(state.supervisor, signal.SIGTERM, DOWN_SECONDS)
        ended = True
    elif is_supervised(paths):
        raise Unavailable("AOS is just starting or ending: try again in a few seconds")
    if state is not None:
        for process in state.processes:
            if process.alive:
                _end(process, signal.SIGKILL, _LEFT_OVER_SECONDS)
                ended = True
    by_hand = ask_to_end([each for each in workers_by_hand(paths, tidy=True) if each.embedded])
    ended = ended or bool(by_hand.open)
    by_hand.finish()
    if stop_left_over(paths.postgres):
        ended = True
    spare = SpareFolders(paths)
    spare.hold()
    spare.release()
    if paths.aos.is_dir():
        remove_state(paths)
    return ended


def _end(process: ProcessState, number: signal.Signals, seconds: float) -> None:
    """Signal exactly this process and wait until it is gone; a reused pid is never meant."""
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    try:
        if not process.alive:
            return
        signal.pidfd_send_signal(handle, number)
        poller = select.poll()
        poller.register(handle, select.POLLIN)
        if not poller.poll(seconds * 1000):
            raise Unavailable(
                f"{process.name} (pid {process.pid}) does not end within {seconds:g} s: `kill -9` ends it"
            )
    except PermissionError:
        raise Unavailable(f"{process.name} (pid {process.pid}) belongs to another user: end it as that user") from None
    finally:
        os.close(handle)
