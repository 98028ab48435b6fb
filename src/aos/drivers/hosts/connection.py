"""The owner's end of a host's socket, and the pipes of its output; both only cut bytes and pass them on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, cast

from aos.drivers.hosts.values import LOG_LINE_BYTES_MAX
from aos_sdk.frames import (
    FrameBuffer,
    Hello,
    HostFrame,
    OwnerFrame,
    ProtocolError,
    decode_host_frame,
    encode_frame,
)


class HostPeer(Protocol):
    """Who gets a joined host's frames."""

    def frame_received(self, frame: HostFrame) -> None:
        """Act on one frame."""

    def broken(self, reason: str) -> None:
        """End the host: it broke the protocol."""

    def connection_lost(self) -> None:
        """Note that every frame the host sent has been received."""


class HostConnection(asyncio.Protocol):
    """A connection that belongs to nobody until its first frame is a `Hello` with the right secret."""

    def __init__(self, join: Callable[[Hello, HostConnection], HostPeer | None]) -> None:
        self._join = join
        self._buffer = FrameBuffer()
        self._transport: asyncio.Transport | None = None
        self._peer: HostPeer | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Pass each whole frame on; whatever is no frame ends the connection."""
        try:
            for payload in self._buffer.feed(data):
                frame = decode_host_frame(payload)
                if self._peer is not None:
                    self._peer.frame_received(frame)
                elif isinstance(frame, Hello):
                    self._peer = self._join(frame, self)
                if self._peer is None:
                    self.close()
                    return
        except ProtocolError as error:
            if self._peer is not None:
                self._peer.broken(str(error))
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the peer."""
        if self._peer is not None:
            self._peer.connection_lost()

    def send(self, frame: OwnerFrame) -> None:
        """Send one frame; raises `ProtocolError` when it is over the limit."""
        self.write(encode_frame(frame))

    def write(self, data: bytes) -> None:
        """Send bytes that are frames already."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        """Close the socket; the host ends itself at that."""
        if self._transport is not None:
            self._transport.abort()


class OutputPipe(asyncio.Protocol):
    """Cuts a host's output into lines; a line over `LOG_LINE_BYTES_MAX` is passed on in parts."""

    def __init__(self, line: Callable[[str], None]) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line = line
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        """Pass whole lines on and keep the rest."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for text in lines:
            self._pass_on(text)
        while len(self._rest) > LOG_LINE_BYTES_MAX:
            self._pass_on(self._rest[:LOG_LINE_BYTES_MAX])
            self._rest = self._rest[LOG_LINE_BYTES_MAX:]

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass on what has no end of line."""
        if self._rest:
            self._pass_on(self._rest)
            self._rest = b""
        if not self.ended.done():
            self.ended.set_result(None)

    def _pass_on(self, text: bytes) -> None:
        for start in range(0, max(len(text), 1), LOG_LINE_BYTES_MAX):
            self._line(text[start : start + LOG_LINE_BYTES_MAX].decode("utf-8", "replace"))
