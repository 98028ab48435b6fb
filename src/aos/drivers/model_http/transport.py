"""Requests to models' and tools' servers over kept connections: the implementation of `ModelTransport`.

- The list of permitted hosts is asked at every request, also where a connection is kept; connections that were made under one
  rule (public addresses only, any that both lists open, AOS's own) are kept apart from the others.
- A request is sent a second time in one case alone: it went over a kept connection that the server closed without reading it.
  One that says `once` goes over a connection of its own from the start, and is never sent again.
- No proxy of the environment is used, no redirect followed, no body decompressed.
- An object belongs to the event loop of its first request.
"""

from __future__ import annotations

import asyncio
import ssl
from functools import partial
from typing import Final

from aos.drivers.model_http.addresses import Listed, Place, Server, check_listed, locate, resolve
from aos.drivers.model_http.answer import Answer
from aos.drivers.model_http.connection import Connection
from aos.drivers.model_http.pool import CONNECTIONS_MAX, WAITING_MAX, Pool
from aos.kernel.errors import UpstreamFailed
from aos.kernel.ports import UpstreamRequest
from aos.kernel.private_hosts import CLOSED, PrivateHosts

SWEEP_SECONDS: Final = 5.0
"""How often connections are looked for that have been free for too long."""
_OURS: Final = frozenset(
    {
        b"accept-encoding",
        b"connection",
        b"content-length",
        b"expect",
        b"host",
        b"keep-alive",
        b"te",
        b"transfer-encoding",
        b"upgrade",
    }
)
_BODILESS: Final = frozenset({"GET", "DELETE"})
"""Methods that say nothing of a body that they do not have (RFC 9110 8.6)."""


class ModelHttp:
    """Implements `ModelTransport`; `tls` is the context of every connection, None for the system's authorities.

    `private` is what the operator opens of what is not public: nothing, unless it is said.
    """

    def __init__(
        self,
        tls: ssl.SSLContext | None = None,
        *,
        private: PrivateHosts = CLOSED,
        connections_max: int = CONNECTIONS_MAX,
        waiting_max: int = WAITING_MAX,
    ) -> None:
        self._tls = tls
        self._private = private
        self._connections_max = connections_max
        self._waiting_max = waiting_max
        self._pools: dict[tuple[Server, Listed], Pool] = {}
        self._sweeping: asyncio.TimerHandle | None = None

    async def send(self, request: UpstreamRequest) -> Answer:
        """Return the answer once its head is there; see `ModelTransport`."""
        place = locate(request.url)
        key = place.server, Listed.OWN if request.own else check_listed(place.server, request.permitted)
        wire = write_request(place, request)
        pool = self._pools.get(key) or self._open_pool(key)
        connection = None if request.once else pool.kept(asyncio.get_running_loop().time())
        if connection is None:
            opened = pool.open if request.once else pool.take
            connection = await opened(connect_seconds=request.connect_seconds)
        answer = await _ask(connection, wire, request=request)
        if answer.stale:
            try:
                pool = self._pools.get(key) or self._open_pool(key)
                connection = await pool.open(connect_seconds=request.connect_seconds)
            except UpstreamFailed as error:
                raise UpstreamFailed(error.detail, sent=True) from error
            answer = await _ask(connection, wire, request=request)
        if answer.status:
            return answer
        answer.check()
        raise UpstreamFailed(f"`{place.server}` did not answer")

    async def close(self) -> None:
        """Cut every connection; answers under way fail."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None
        for pool in list(self._pools.values()):
            pool.close()
        self._pools.clear()
        # The transports close in the loop's next turn.
        await asyncio.sleep(0)

    def _open_pool(self, key: tuple[Server, Listed]) -> Pool:
        server, how = key
        pool = self._pools[key] = Pool(
            server,
            resolved=partial(resolve, server, how, private=self._private),
            tls=self._context,
            connections_max=self._connections_max,
            waiting_max=self._waiting_max,
            emptied=lambda: self._drop(key, pool),
        )
        if self._sweeping is None:
            self._sweeping = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._sweep)
        return pool

    def _drop(self, key: tuple[Server, Listed], pool: Pool) -> None:
        if self._pools.get(key) is pool:
            del self._pools[key]

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        for pool in list(self._pools.values()):
            pool.close_old(loop.time())
        self._sweeping = loop.call_later(SWEEP_SECONDS, self._sweep) if self._pools else None

    def _context(self) -> ssl.SSLContext:
        """Return the context of all connections; reading the system's authorities takes long, so it is done once."""
        if self._tls is None:
            self._tls = ssl.create_default_context()
            self._tls.set_alpn_protocols(["http/1.1"])
        return self._tls


def write_request(place: Place, request: UpstreamRequest) -> bytes:
    """Return a whole request as bytes (RFC 9112); headers that belong to the connection are ours.

    Raises UpstreamFailed where a header's value would break the form.
    """
    head = [
        b"%b %b HTTP/1.1\r\nhost: %b\r\naccept-encoding: identity\r\n"
        % (request.method.encode("ascii"), place.target, place.authority)
    ]
    if request.body or request.method not in _BODILESS:
        head.append(b"content-length: %d\r\n" % len(request.body))
    for name, value in request.headers:
        if b"\n" in value or b"\r" in value or b"\0" in value:
            raise UpstreamFailed(f"the header `{name.decode('latin-1')}` has a line break", sent=False)
        if name.lower() not in _OURS:
            head.append(b"%b: %b\r\n" % (name, value))
    head.append(b"\r\n")
    head.append(request.body)
    return b"".join(head)


async def _ask(connection: Connection, wire: bytes, *, request: UpstreamRequest) -> Answer:
    """Send a request and wait for the head of its answer; a caller who goes away cuts the connection."""
    answer = connection.ask(wire, first_byte_seconds=request.first_byte_seconds, idle_seconds=request.idle_seconds)
    try:
        await answer.head
    except BaseException:
        await answer.close()
        raise
    return answer
