"""Ids and unpredictable bytes: UUIDv7 from `uuid-utils`, randomness from the operating system."""

from __future__ import annotations

import os
from uuid import UUID

import uuid_utils


class StandardIds:
    """The `Ids` port."""

    def new(self) -> UUID:
        """Return a fresh UUIDv7."""
        return UUID(int=uuid_utils.uuid7().int)

    def random_bytes(self, length: int) -> bytes:
        """Return bytes of the operating system's generator."""
        return os.urandom(length)
