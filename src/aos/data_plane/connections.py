"""The connections of the one port: each is bounded in time and size, and so is their number.

Uvicorn bounds the time between two requests and nothing within one, and its parser keeps whatever a client sends. This is
its protocol with the missing limits; the control plane is reached through here alone, so they guard it too.
Rules a reader must not break: a request that came whole in one piece costs no timer; what is answered here is answered in
its turn, never into the middle of another answer; a connection that is refused reads on for a moment, without keeping
what it reads, because closing at once would take the refusal away from the client (RFC 9112, section 9.6).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from aos.data_plane.http import problem
from aos.kernel.errors import AosError, HeadTooLarge, InvalidRequest, RequestTooSlow, TargetTooLong, Unavailable
from aos.kernel.limits import (
    BODY_SECONDS_MAX,
    CONNECTIONS_MAX,
    HEAD_BYTES_MAX,
    HEAD_SECONDS_MAX,
    TARGET_BYTES_MAX,
    UNREAD_SECONDS_MAX,
)

KEEP_ALIVE_SECONDS: Final = 75
LINGER_SECONDS: Final = 2.0
"""How long a refused connection is read on, so that its client finds the refusal."""
_REFUSED_SHARE: Final = 4
"""One refused connection for so many served ones may linger; beyond that they are cut without a word."""
_READ_BYTES_MIN: Final = 16_384
"""What a client must take of a waiting answer within the time limit to count as reading."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one connection may take, and how many there may be."""

    head_seconds: float = HEAD_SECONDS_MAX
    body_seconds: float = BODY_SECONDS_MAX
    unread_seconds: float = UNREAD_SECONDS_MAX
    linger_seconds: float = LINGER_SECONDS
    target_bytes_max: int = TARGET_BYTES_MAX
    head_bytes_max: int = HEAD_BYTES_MAX
    connections_max: int = CONNECTIONS_MAX


def serving_config(app: Callable[..., Any], *, limits: Limits, drain_seconds: int) -> uvicorn.Config:
    """Return how uvicorn serves the data plane, its connections bounded by `limits`."""

    class Bounded(BoundedProtocol):
        pass

    Bounded.limits = limits
    return uvicorn.Config(
        app, http=Bounded, ws="none", lifespan="off", log_config=None, access_log=False, server_header=False,
        proxy_headers=False, timeout_graceful_shutdown=drain_seconds, timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )  # fmt: skip


class _Phase(Enum):
    IDLE = "idle"
    HEAD = "head"
    BODY = "body"


class BoundedProtocol(HttpToolsProtocol):
    """Uvicorn's HTTP/1.1 protocol with limits on what a client may take."""

    limits: ClassVar[Limits] = Limits()

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._phase = _Phase.IDLE
        self._watched: tuple[_Phase, int] | None = None
        self._arriving: asyncio.TimerHandle | None = None
        self._leaving: asyncio.TimerHandle | None = None
        self._unsent_bytes = 0
        self._messages = 0
        self._bodies = 0
        self._bare_bytes = 0
        self._refused = False
        self._why: AosError | None = None

    # --- what arrives --------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Serve the connection, or refuse it where there are too many."""
        super().connection_made(transport)
        served = self.limits.connections_max
        if len(self.connections) > served + served // _REFUSED_SHARE + 1:
            self._refused = True
            transport.abort()
        elif len(self.connections) > served:
            self._refuse(Unavailable(f"more than {served} connections are open; try again in a second"))
        else:
            self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        for timer in (self._arriving, self._leaving):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, counting what belongs to no body: heads, and what may surround the pieces of one."""
        if self._refused:
            return
        bodies = self._bodies
        self._bare_bytes += len(data)
        super().data_received(data)
        if self._refused or self.transport.is_closing():
            return
        if self._bodies != bodies:
            self._bare_bytes = 0
        elif self._bare_bytes > self.limits.head_bytes_max:
            self._refuse(self._too_large())
            return
        self._watch()

    def on_message_begin(self) -> None:
        """Note that a request begins."""
        self._phase = _Phase.HEAD
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Take a piece of the request's target."""
        super().on_url(url)
        if len(self.url) > self.limits.target_bytes_max:
            self._why = TargetTooLong(f"the request's target has over {self.limits.target_bytes_max} bytes")
            raise self._why

    def on_headers_complete(self) -> None:
        """Begin to answer, unless the head is too large."""
        if self._bare_bytes > self.limits.head_bytes_max:
            size = len(self.url) + sum(len(name) + len(value) + len(b": \r\n") for name, value in self.headers)
            if size > self.limits.head_bytes_max:
                self._why = self._too_large()
                raise self._why
        self._phase = _Phase.BODY
        super().on_headers_complete()
        self.headers = []  # what follows a body must not pass for a header of the request, which nobody checked then

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._bodies += 1
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that the request is there."""
        self._phase = _Phase.IDLE
        self._bodies += 1
        self._messages += 1
        super().on_message_complete()

    def _watch(self) -> None:
        """Give what has begun to arrive its time; a new connection has begun too."""
        if self._phase is _Phase.IDLE and self._messages and not self._bare_bytes:
            if self._arriving is not None:
                self._arriving.cancel()
                self._arriving = self._watched = None
            return
        watched = (self._phase if self._phase is _Phase.BODY else _Phase.HEAD, self._messages)
        if watched != self._watched:
            self._watched = watched
            self._arm()

    def _arm(self) -> None:
        if self._arriving is not None:
            self._arriving.cancel()
        limits = self.limits
        seconds = limits.body_seconds if self._phase is _Phase.BODY else limits.head_seconds
        self._arriving = self.loop.call_later(seconds, self._late)

    def _late(self) -> None:
        """End what took too long; while the client has to wait for us, it is not the one who is late."""
        limits = self.limits
        if self.flow.read_paused or (self._phase is not _Phase.BODY and self._answering()):
            self._arm()
        elif self._phase is _Phase.BODY:
            self._refuse(RequestTooSlow(f"the body was not there after {limits.body_seconds:g} seconds"))
        elif self._phase is _Phase.HEAD:
            self._refuse(RequestTooSlow(f"the request's headers were not there after {limits.head_seconds:g} seconds"))
        else:
            self._refused = True
            self._end()

    # --- what is refused -----------------------------------------------------------------------------------------

    def send_400_response(self, msg: str) -> None:
        """Refuse what the parser could not read, or what one of the limits above stopped."""
        self._refuse(self._why or InvalidRequest("this cannot be read as HTTP/1.1"))

    def _too_large(self) -> AosError:
        return HeadTooLarge(f"the request's target and headers have over {self.limits.head_bytes_max} bytes together")

    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _refuse(self, error: AosError) -> None:
        """Answer with the problem where it is this request's turn, and end the connection."""
        self._refused = True
        self._unset_keepalive_if_required()
        if self._arriving is not None:
            self._arriving.cancel()
        own = self._phase is _Phase.BODY
        if not own and self._answering():
            self.cycle.keep_alive = False  # the answers that are due come first and close the connection
            return
        if self.pipeline:
            self.transport.abort()
            return
        if own:  # the application is told that its client is gone, before it can answer as well
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if not (own and self.cycle.response_started):
            self.transport.write(self._written(error))
        self._end()

    def _written(self, error: AosError) -> bytes:
        target = getattr(self, "url", b"")[:200].partition(b"?")[0]
        answer = problem(error, target.decode("latin-1"))
        headers = [
            *self.server_state.default_headers,
            (b"content-type", answer.media_type),
            (b"content-length", str(len(answer.body)).encode("ascii")),
            *answer.headers,
            (b"connection", b"close"),
        ]
        head = b"".join(b"%b: %b\r\n" % header for header in headers)
        return STATUS_LINE[answer.status] + head + b"\r\n" + answer.body

    def _end(self) -> None:
        """Say that no more will come, and cut the connection when its client has had time to read that."""
        if not self.transport.is_closing():
            self.transport.write_eof()
        if self._leaving is not None:
            self._leaving.cancel()
        self._leaving = self.loop.call_later(self.limits.linger_seconds, self.transport.abort)

    # --- what leaves ---------------------------------------------------------------------------------------------

    def pause_writing(self) -> None:
        """Wait for the client to read, but not for ever."""
        super().pause_writing()
        self._watch_leaving()

    def resume_writing(self) -> None:
        """Go on: the client has read."""
        if self._leaving is not None and not (self._refused or self.transport.is_closing()):
            self._leaving.cancel()
            self._leaving = None
        super().resume_writing()

    def on_response_complete(self) -> None:
        """Go on with the next request; where there is none to come, the client must still read this answer's rest."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._watch_leaving()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection."""
        super().timeout_keep_alive_handler()
        self._watch_leaving()

    def shutdown(self) -> None:
        """End when the answer under way is there; a client that does not read it has a moment only."""
        super().shutdown()
        if self.flow.write_paused:
            if self._leaving is not None:
                self._leaving.cancel()
            self._leaving = self.loop.call_later(self.limits.linger_seconds, self.transport.abort)

    def _watch_leaving(self) -> None:
        if self._leaving is None:
            self._unsent_bytes = self.transport.get_write_buffer_size()
            self._leaving = self.loop.call_later(self.limits.unread_seconds, self._unread)

    def _unread(self) -> None:
        """Cut a client that does not read what it asked for."""
        self._leaving = None
        unsent_bytes = self.transport.get_write_buffer_size()
        if not unsent_bytes and not self.transport.is_closing():
            return
        if unsent_bytes > self._unsent_bytes - _READ_BYTES_MIN:
            self.transport.abort()
        else:
            self._watch_leaving()
