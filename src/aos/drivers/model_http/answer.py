"""An answer under way: its head, and its body as the connection delivers it.

- What has come and is not yet read is bounded: past WAITING_BYTES_MAX the connection stops reading until it is taken.
- What came before a failure is handed out first, then the failure is raised.
- The connection belongs to the pool again as soon as the last byte has come, read or not.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Final, Protocol

from aos.kernel.errors import UpstreamFailed

WAITING_BYTES_MAX: Final = 262_144
"""Bytes of a body that wait for their reader before the connection stops reading."""


class Line(Protocol):
    """What an answer asks of the connection it comes over."""

    def pause(self) -> None:
        """Stop reading."""
        ...

    def resume(self) -> None:
        """Read on."""
        ...

    def cut(self) -> None:
        """Drop the connection at once."""
        ...


class Answer(AsyncIterator[bytes]):
    """Implements `UpstreamAnswer`; the connection calls the methods from `begin` on."""

    __slots__ = (
        "_ended",
        "_failure",
        "_headers",
        "_line",
        "_loop",
        "_paused",
        "_size",
        "_status",
        "_waiter",
        "_waiting",
        "head",
        "moved",
        "stale",
    )

    def __init__(self, line: Line, loop: asyncio.AbstractEventLoop) -> None:
        self._line = line
        self._loop = loop
        self._status = 0
        self._headers: dict[str, str] = {}
        self._waiting: list[bytes] = []
        self._size = 0
        self._paused = False
        self._waiter: asyncio.Future[None] | None = None
        self._ended = False
        self._failure = ""
        self.head: asyncio.Future[None] = loop.create_future()
        """Done when the head is there or never will be."""
        self.moved = 0.0
        """When the body last moved, or its reader began to wait for it: seconds of the loop's clock."""
        self.stale = False
        """True where the connection was closed before a byte of the answer, as idle ones are."""

    @property
    def status(self) -> int:
        """Return the HTTP status."""
        return self._status

    @property
    def headers(self) -> Mapping[str, str]:
        """Return the headers by lower-case name; of a repeated one the last."""
        return self._headers

    def parts(self) -> AsyncIterator[bytes]:
        """Return the body as it comes; see `UpstreamAnswer`."""
        return self

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Return itself: a body is read once."""
        return self

    async def __anext__(self) -> bytes:
        """Return all that has come since the last part, waiting where that is nothing."""
        while not self._waiting:
            self.check()
            if self._ended:
                raise StopAsyncIteration
            self.moved = self._loop.time()
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        part = self._waiting[0] if len(self._waiting) == 1 else b"".join(self._waiting)
        self._waiting.clear()
        self._size = 0
        if self._paused:
            self._paused = False
            self._line.resume()
        return part

    async def read(self, *, at_most: int) -> bytes:
        """Return the whole body; see `UpstreamAnswer`. The connection is cut where it is longer than `at_most` bytes."""
        parts, size = [], 0
        async for part in self:
            size += len(part)
            if size > at_most:
                await self.close()
                raise UpstreamFailed(f"the server's answer is longer than {at_most} bytes")
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def close(self) -> None:
        """Let go of the connection; see `UpstreamAnswer`."""
        if not self._ended and not self._failure:
            self._line.cut()
            self.fail("the answer was closed before its end")

    def check(self) -> None:
        """Raise UpstreamFailed where the answer has failed."""
        if self._failure:
            raise UpstreamFailed(self._failure)

    @property
    def waited_for(self) -> bool:
        """Say whether a reader waits for the next part."""
        return self._waiter is not None

    def begin(self, status: int, headers: dict[str, str]) -> None:
        """Take the head."""
        self._status, self._headers = status, headers
        if not self.head.done():
            self.head.set_result(None)

    def add(self, part: bytes) -> None:
        """Take some of the body; `wake` says it to the reader."""
        self._waiting.append(part)
        self._size += len(part)

    def wake(self) -> None:
        """Tell the reader that something came, and stop the connection where too much waits."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        if self._size > WAITING_BYTES_MAX and not self._paused and not self._ended:
            self._paused = True
            self._line.pause()

    def end(self) -> None:
        """Take the end of the body: all has come."""
        self._ended = True
        if self._paused:
            self._paused = False
            self._line.resume()
        self.wake()

    def fail(self, failure: str) -> None:
        """Take the end of an answer that is not whole."""
        self._failure = failure
        if not self.head.done():
            self.head.set_result(None)
        self.wake()
