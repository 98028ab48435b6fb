"""One connection to a model's server: a request goes out, the answer is parsed as it comes.

- One request at a time. After the last byte of its answer the connection is free again, if the server keeps it and nothing
  else has come; whatever comes unasked ends it.
- A failure is noted on the answer, never raised here: an event loop's callback has nobody to catch it.
- A kept connection that is closed within CLOSING_SECONDS of a request, before any byte of an answer, was closed by a server
  that had not read the request: only then may it be sent again. Later the server had it, and may have charged for it.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from aos.drivers.model_http.addresses import Server
from aos.drivers.model_http.answer import Answer
from aos.kernel.limits import HEAD_BYTES_MAX

IDLE_SECONDS: Final = 30.0
"""How long a connection is kept that nobody uses."""
CLOSING_SECONDS: Final = 1.0
"""How long the news may take that a server closed an idle connection: a slow round trip."""


class Owner(Protocol):
    """Who keeps the connection while it is free."""

    def free(self, connection: Connection) -> None:
        """Take it back: another request may go over it."""
        ...

    def lost(self, connection: Connection) -> None:
        """Forget it: it is closed."""
        ...


class Connection(asyncio.Protocol):
    """Implements `Line` for the answer that is under way."""

    def __init__(self, server: Server, loop: asyncio.AbstractEventLoop, owner: Owner) -> None:
        self._server = server
        self._loop = loop
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._parser = HttpResponseParser(self)
        self._answer: Answer | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._idle_seconds = 0.0
        self._asked_at = 0.0
        self._used = self._reused = False
        self._keep_seconds = IDLE_SECONDS
        self._begin()
        self.free_until = 0.0
        """Until when it may be used again, by the loop's clock."""

    def _begin(self) -> None:
        self._headers: dict[str, str] = {}
        self._head_bytes = 0
        self._dry_bytes = 0
        self._status = 0
        self._kept = False
        self._complete = False
        self._surplus = False
        self._watched = False

    # What the pool and the transport use.

    @property
    def usable(self) -> bool:
        """Say whether a request may be sent over it."""
        return self._transport is not None and not self._transport.is_closing() and self._answer is None

    def ask(self, request: bytes, *, first_byte_seconds: float, idle_seconds: float) -> Answer:
        """Send one request and return its answer, whose head is still to come."""
        assert self._transport is not None
        self._reused, self._used = self._used, True
        self._begin()
        self._answer = answer = Answer(self, self._loop)
        self._asked_at = self._loop.time()
        self._idle_seconds = idle_seconds
        self._timer = self._loop.call_later(first_byte_seconds, self._silent, first_byte_seconds)
        self._transport.write(request)
        return answer

    def pause(self) -> None:
        """Stop reading."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def cut(self) -> None:
        """Drop the connection at once."""
        self._let_go()
        if self._transport is not None:
            self._transport.abort()

    def shut(self) -> None:
        """Drop the connection for good; an answer under way fails."""
        self._fail("is not spoken to any more: the connections to models' servers are closed")
        self.cut()

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Parse what came and pass it on."""
        answer = self._answer
        if answer is None:
            self.cut()
            return
        self._reused = False
        self._dry_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            self._fail("switched to another protocol, which nobody asked for")
        except HttpParserError as error:
            self._fail("sent more than the length it named" if self._complete else f"did not answer in HTTP: {error}")
        else:
            if self._answer is not None:
                self._go_on(answer)

    def _go_on(self, answer: Answer) -> None:
        """Judge what was parsed: a form that is too large, an end, or simply more."""
        if self._surplus:
            self._fail("sent more than the length it named")
        elif self._head_bytes > HEAD_BYTES_MAX or self._dry_bytes > HEAD_BYTES_MAX:
            self._fail(f"sent more than {HEAD_BYTES_MAX} bytes of headers")
        elif self._complete:
            self._end()
        elif self._status >= 200:
            answer.moved = self._loop.time()
            answer.wake()
            if not self._watched:
                self._watch_body()

    def connection_lost(self, exc: Exception | None) -> None:
        """End what was under way: well where the body had no other end than this one."""
        answer, self._transport = self._answer, None
        if answer is not None:
            if self._status >= 200 and exc is None and self._ends_with_connection():
                self._let_go()
                answer.end()
            else:
                soon = self._loop.time() - self._asked_at < CLOSING_SECONDS
                answer.stale = self._reused and soon and (exc is None or isinstance(exc, ConnectionError))
                self._let_go()
                answer.fail(f"`{self._server}` closed the connection before the end of its answer")
        # The parser holds methods of this object: without this only the garbage collector would part them.
        del self._parser
        self._owner.lost(self)

    # What the parser calls.

    def on_message_begin(self) -> None:
        """Note a second answer where one was asked for."""
        self._surplus = self._complete

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; trailers are counted, not kept."""
        self._head_bytes += len(name) + len(value)
        if self._status < 200 and self._head_bytes <= HEAD_BYTES_MAX:
            self._headers[name.lower().decode("latin-1")] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Give the head to the answer, unless it is one that only announces another (RFC 9110 15.2)."""
        if self._surplus or self._answer is None:
            return
        self._status = self._parser.get_status_code()
        if self._status < 200:
            return
        if self._head_bytes > HEAD_BYTES_MAX:
            self._fail(f"sent more than {HEAD_BYTES_MAX} bytes of headers")
            return
        encoding = self._headers.get("content-encoding", "identity").lower()
        if encoding not in ("identity", ""):
            self._fail(f"encoded its answer as `{encoding}`, which nobody asked for")
            return
        self._answer.begin(self._status, self._headers)

    def on_body(self, body: bytes) -> None:
        """Keep some of the body."""
        self._dry_bytes = 0
        if self._answer is not None:
            self._answer.add(body)

    def on_message_complete(self) -> None:
        """Note the end; what follows in the same bytes may still spoil it."""
        if self._status < 200:
            self._headers, self._status = {}, 0
            return
        self._complete = True
        self._kept = self._parser.should_keep_alive()

    # Ends and times.

    def _end(self) -> None:
        answer, transport = self._answer, self._transport
        assert answer is not None
        assert transport is not None
        keep_seconds = _keep_seconds(self._headers)
        self._let_go()
        answer.end()
        if self._kept and keep_seconds > 0 and not transport.is_closing() and not transport.get_write_buffer_size():
            self.free_until = self._loop.time() + keep_seconds
            self._owner.free(self)
        else:
            transport.abort()

    def _fail(self, what: str) -> None:
        answer = self._answer
        if answer is not None:
            self.cut()
            answer.fail(f"`{self._server}` {what}")

    def _let_go(self) -> None:
        self._answer = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ends_with_connection(self) -> bool:
        return "content-length" not in self._headers and "transfer-encoding" not in self._headers

    def _watch_body(self) -> None:
        self._watched = True
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(self._idle_seconds, self._still)

    def _silent(self, seconds: float) -> None:
        self._fail(f"was silent for {seconds:g} seconds")

    def _still(self) -> None:
        """Fail a body that stands still; a reader who does not read is no fault of the server."""
        answer, now = self._answer, self._loop.time()
        if answer is None:
            return
        if not answer.waited_for:
            answer.moved = now
        left = answer.moved + self._idle_seconds - now
        if left > 0:
            self._timer = self._loop.call_later(left, self._still)
        else:
            self._fail(f"stood still for {self._idle_seconds:g} seconds within its answer")


def _keep_seconds(headers: dict[str, str]) -> float:
    """Return how long a free connection is kept: a second less than the server says it will keep it (RFC 2068 19.7.1.1)."""
    said = headers.get("keep-alive")
    if said is None:
        return IDLE_SECONDS
    for word in said.split(","):
        name, _, value = word.strip().partition("=")
        if name.lower() == "timeout" and value.isdigit():
            return min(IDLE_SECONDS, int(value[:6]) - 1)
    return IDLE_SECONDS
