"""Workers that were started by hand (`aos worker`) beside an installation's own: who they are, and their end with it.

Each has a private file in the installation's folder for as long as it runs. One that works on the installation's own Postgres
ends with it, in order and before it; one on another database is somebody else's to end.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from aos.boot.files import make_private_folder, read_private, write_private
from aos.boot.paths import Paths
from aos.boot.state import ProcessState, process_state

END_SECONDS: Final = 30.0
"""How long a worker may take to end what it does; then it is killed, and its leases run out."""
_LOOK_AGAIN_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class ByHand:
    """One worker that was started by hand; `embedded` says that its database is the installation's own Postgres."""

    process: ProcessState
    embedded: bool


@contextlib.contextmanager
def announced(paths: Paths, name: str, *, embedded: bool) -> Iterator[None]:
    """Be among the installation's workers by hand until the block ends; what is left of killed ones is removed."""
    make_private_folder(paths.by_hand)
    workers_by_hand(paths, tidy=True)
    file = paths.by_hand / f"{name}.json"
    write_private(file, msgspec.json.encode(ByHand(process_state(name, "worker", os.getpid()), embedded)))
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def workers_by_hand(paths: Paths, *, tidy: bool = False) -> tuple[ByHand, ...]:
    """Return those that are alive, by name; with `tidy` the files of the others are removed."""
    found = []
    for file in sorted(paths.by_hand.glob("*.json")):
        content = read_private(file)
        try:
            each = None if content is None else msgspec.json.decode(content, type=ByHand)
        except msgspec.MsgspecError:
            each = None
        if each is not None and each.process.alive:
            found.append(each)
        elif tidy:
            file.unlink(missing_ok=True)
    return tuple(found)


@dataclass(slots=True)
class Ending:
    """Workers that were asked to end, by name, each with the descriptor that turns readable when it has."""

    until: float
    open: dict[str, int] = field(default_factory=dict)

    def finish(self, hurry: Callable[[], bool] = lambda: False) -> None:
        """Return when all have ended; those that are late, or all where `hurry` says so, are killed."""
        poller = select.poll()
        for handle in self.open.values():
            poller.register(handle, select.POLLIN)
        left = set(self.open.values())
        while left and not hurry() and (rest := self.until - time.monotonic()) > 0:
            for handle, _ in poller.poll(min(rest, _LOOK_AGAIN_SECONDS) * 1000 + 1):
                poller.unregister(handle)
                left.discard(handle)
        for handle in self.open.values():
            if handle in left:
                signal.pidfd_send_signal(handle, signal.SIGKILL)
            os.close(handle)
        self.open.clear()


def ask_to_end(workers: Sequence[ByHand]) -> Ending:
    """Ask workers to end, all at once; one that is gone or is another user's is left out."""
    ending = Ending(time.monotonic() + END_SECONDS)
    for each in workers:
        try:
            handle = os.pidfd_open(each.process.pid)
        except OSError:
            continue
        try:
            if not each.process.alive:
                raise ProcessLookupError
            signal.pidfd_send_signal(handle, signal.SIGTERM)
        except OSError:
            os.close(handle)
        else:
            ending.open[each.process.name] = handle
    return ending
