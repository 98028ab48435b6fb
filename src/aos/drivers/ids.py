"""Ids and unpredictable bytes: UUIDv7 from `uuid-utils`, randomness from the operating system."""

from __future__ import annotations

import os
from uuid import UUID

from uuid_utils.compat import uuid7


class StandardIds:
    """The `Ids` port."""

    def new(self) -> UUID:
        """Return a fresh UUIDv7."""
        return uuid7()

    def random_bytes(self, length: int) -> bytes:
        """Return bytes of the operating system's generator."""
        return os.urandom(length)
