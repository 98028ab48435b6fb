"""The clocks of a process: the monotonic one that everything measures by, and the machine's time of day, only to be shown."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class MonotonicTicker:
    """The `Ticker` port."""

    def seconds(self) -> float:
        """Return seconds of a clock that is never set."""
        return time.monotonic()


def machine_now() -> datetime:
    """Return this machine's time of day in UTC; it may be wrong: nothing is decided by it, and it is not stored."""
    return datetime.now(UTC)
