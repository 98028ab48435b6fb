"""Ids and unpredictable bytes: UUIDv7 from `uuid-utils`, randomness from the operating system."""

from __future__ import annotations

import os
import threading
from uuid import UUID

from uuid_utils.compat import uuid7

AHEAD_BYTES = 4_096
"""How much of the operating system's generator is read at once: each reading is a system call."""


class _Ahead(threading.local):
    """What one thread has read and not handed out; nothing of it is left after a fork, where two would hand it out."""

    unread = b""
    taken = 0


_AHEAD = _Ahead()
os.register_at_fork(after_in_child=lambda: setattr(_AHEAD, "unread", b""))


class StandardIds:
    """The `Ids` port."""

    def new(self) -> UUID:
        """Return a fresh UUIDv7."""
        return uuid7()

    def random_bytes(self, length: int) -> bytes:
        """Return bytes of the operating system's generator, no byte of them twice."""
        ahead = _AHEAD
        begun = ahead.taken
        if begun + length > len(ahead.unread):
            if length > AHEAD_BYTES:
                return os.urandom(length)
            ahead.unread, begun = os.urandom(AHEAD_BYTES), 0
        ahead.taken = begun + length
        return ahead.unread[begun : begun + length]
