"""The process's monotonic clock."""

from __future__ import annotations

import time


class MonotonicTicker:
    """The `Ticker` port."""

    def seconds(self) -> float:
        """Return seconds of a clock that is never set."""
        return time.monotonic()
