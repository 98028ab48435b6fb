"""The host's end of the socket: blocking, whole frames, safe to write from any thread.

The owner going away ends the host at once: it runs for nobody. Nothing here decides what a frame means.
"""

from __future__ import annotations

import os
import socket
import threading
from collections import deque
from typing import Final

from aos_sdk.frames import (
    EXIT_PROTOCOL,
    FrameBuffer,
    HostFrame,
    OwnerFrame,
    ProtocolError,
    decode_owner_frame,
    encode_frame,
)

_READ_BYTES: Final = 262_144


class Wire:
    """A connected socket to the owner."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._buffer = FrameBuffer()
        self._frames: deque[OwnerFrame] = deque()
        self._writing = threading.Lock()

    def fileno(self) -> int:
        """Return the socket's descriptor, for a loop to watch."""
        return self._socket.fileno()

    def send(self, frame: HostFrame, *, lock_seconds: float = -1) -> None:
        """Send one frame; raises `ProtocolError` when it is over the limit. Waits `lock_seconds` for other writers."""
        data = encode_frame(frame)
        if not self._writing.acquire(timeout=lock_seconds):
            return
        try:
            self._socket.sendall(data)
        except OSError:
            os._exit(0)
        finally:
            self._writing.release()

    def read(self) -> OwnerFrame:
        """Wait for the next frame. Only one thread reads at a time."""
        while not self._frames:
            self._receive(0)
        return self._frames.popleft()

    def read_ready(self) -> list[OwnerFrame]:
        """Return the frames that are already there."""
        self._receive(socket.MSG_DONTWAIT)
        ready = list(self._frames)
        self._frames.clear()
        return ready

    def put_back(self, frames: list[OwnerFrame]) -> None:
        """Return frames unread, to be the next ones read."""
        self._frames.extendleft(reversed(frames))

    def _receive(self, flags: int) -> None:
        try:
            data = self._socket.recv(_READ_BYTES, flags)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            os._exit(0)
        if not data:
            os._exit(0)
        try:
            self._frames.extend(decode_owner_frame(payload) for payload in self._buffer.feed(data))
        except ProtocolError as error:
            os.write(2, f"the owner broke the protocol: {error}\n".encode("utf-8", "replace"))
            os._exit(EXIT_PROTOCOL)
