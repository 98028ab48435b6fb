"""The connections to one server: those that are free, how many there are, and who waits for one.

- The connection that was freed last is used first: the others grow old and are closed.
- A freed connection, or the room of one that closed, goes to whoever has waited longest.
- Waiting, resolving, connecting and the TLS handshake share one deadline; nothing was sent before it passes.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from aos.drivers.model_http.addresses import Server
from aos.drivers.model_http.connection import Connection
from aos.kernel.errors import UpstreamFailed

CONNECTIONS_MAX: Final = 512
"""Connections to one server at once."""
WAITING_MAX: Final = 1_024
"""Requests that may wait for a connection to one server."""

Granted = Connection | None
"""A connection that was freed, or room for a new one."""


class Pool:
    """Implements `Owner` for the connections to one server.

    `resolved` gives the addresses that a new one may go to; `emptied` is called when none is left and nobody waits.
    """

    def __init__(
        self,
        server: Server,
        *,
        resolved: Callable[[], Awaitable[list[str]]],
        tls: Callable[[], ssl.SSLContext],
        connections_max: int,
        waiting_max: int,
        emptied: Callable[[], None],
    ) -> None:
        self._server = server
        self._resolved = resolved
        self._tls = tls
        self._connections_max = connections_max
        self._waiting_max = waiting_max
        self._emptied = emptied
        self._free: list[Connection] = []
        self._all: set[Connection] = set()
        self._room_taken = 0
        self._waiting: deque[asyncio.Future[Granted]] = deque()
        self._closed = False

    def kept(self, now: float) -> Connection | None:
        """Return a free connection, if there is one that the server has not closed and is not about to."""
        while self._free:
            connection = self._free.pop()
            if connection.usable:
                if connection.free_until > now:
                    return connection
                connection.cut()
        return None

    async def open(self, *, connect_seconds: float) -> Connection:
        """Return a connection that nothing was sent over, waiting for room where all there may be are in use.

        Raises UpstreamFailed with `sent` False.
        """
        return await self._opened(connect_seconds, kept_too=False)

    async def take(self, *, connect_seconds: float) -> Connection:
        """Return a connection, a freed one if one comes free before there is room for a new one.

        Raises UpstreamFailed with `sent` False.
        """
        return await self._opened(connect_seconds, kept_too=True)

    async def _opened(self, connect_seconds: float, *, kept_too: bool) -> Connection:
        try:
            async with asyncio.timeout(connect_seconds):
                while (granted := await self._room(kept_too=kept_too)) is not None:
                    if granted.usable and kept_too:
                        return granted
                    # Its room is ours, unless the server has closed it meanwhile and `lost` gave the room away.
                    if granted in self._all:
                        self._all.discard(granted)
                        granted.cut()
                        break
                return await self._connect(connect_seconds)
        except TimeoutError as error:
            detail = f"no connection to `{self._server}` within {connect_seconds:g} seconds"
            raise UpstreamFailed(detail, sent=False) from error

    async def _room(self, *, kept_too: bool) -> Granted:
        """Take room for one more connection, or wait for it; with `kept_too` a freed connection will do."""
        if self._room_taken >= self._connections_max and not kept_too:
            self._give_up_one()
        if self._room_taken < self._connections_max:
            self._room_taken += 1
            return None
        if len(self._waiting) >= self._waiting_max:
            detail = f"{len(self._waiting)} requests wait for a connection to `{self._server}` already"
            raise UpstreamFailed(detail, sent=False)
        waiter: asyncio.Future[Granted] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._give_back(waiter.result())
            raise

    async def _connect(self, seconds: float) -> Connection:
        """Connect in the room already taken; each address has its share of the time."""
        try:
            connection = await self._try_addresses(seconds)
            if not connection.usable:
                raise UpstreamFailed(f"`{self._server}` closed the connection at once", sent=False)
        except BaseException:
            self._leave_room()
            raise
        self._all.add(connection)
        if self._closed:
            connection.cut()
            raise UpstreamFailed("the connections to models' servers are closed", sent=False)
        return connection

    async def _try_addresses(self, seconds: float) -> Connection:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        addresses = await self._resolved()
        tls = self._tls() if self._server.secure else None
        name = self._server.host if tls is not None else None
        failure: Exception | None = None
        for tried, address in enumerate(addresses):
            share = (deadline - loop.time()) / (len(addresses) - tried)
            try:
                async with asyncio.timeout(share):
                    _, connection = await loop.create_connection(
                        lambda: Connection(self._server, loop, self),
                        address,
                        self._server.port,
                        ssl=tls,
                        server_hostname=name,
                    )
                return connection
            except (OSError, TimeoutError) as error:
                failure = error
        said = str(failure) or type(failure).__name__
        raise UpstreamFailed(f"no connection to `{self._server}`: {said}", sent=False) from failure

    def free(self, connection: Connection) -> None:
        """Take a connection back, or hand it to whoever has waited longest."""
        if not self._grant(connection):
            self._free.append(connection)

    def lost(self, connection: Connection) -> None:
        """Forget a connection and give its room away."""
        if connection in self._all:
            self._all.discard(connection)
            if connection in self._free:
                self._free.remove(connection)
            self._leave_room()

    def close_old(self, now: float) -> None:
        """Close the connections that have been free for too long."""
        for connection in [one for one in self._free if one.free_until <= now]:
            self._free.remove(connection)
            connection.cut()

    def close(self) -> None:
        """Cut every connection and turn away who waits."""
        self._closed = True
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_exception(UpstreamFailed("the connections to models' servers are closed", sent=False))
        for connection in list(self._all):
            connection.shut()
        self._free.clear()

    def _grant(self, granted: Granted) -> bool:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(granted)
                return True
        return False

    def _give_back(self, granted: Granted) -> None:
        if granted is None:
            self._leave_room()
        elif granted.usable:
            self.free(granted)

    def _leave_room(self) -> None:
        if self._grant(None):
            return
        self._room_taken -= 1
        if not self._room_taken:
            self._emptied()

    def _give_up_one(self) -> None:
        """Close a free connection, so that a new one has room."""
        if self._free:
            connection = self._free.pop()
            self._all.discard(connection)
            self._room_taken -= 1
            connection.cut()
