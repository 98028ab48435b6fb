"""How long the calls of a task wait: what `sleep`, `sleep_until` and the limit of a wait for a signal say, in seconds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime

from aos.kernel.errors import InvalidRequest, TooLarge
from aos.kernel.json import Json
from aos.kernel.limits import SLEEP_SECONDS_MAX


def timer_seconds(arguments: Mapping[str, Json], *, now: datetime) -> float:
    """Return how long a timer runs: its `seconds`, or the time from `now` to its `until`; raise InvalidRequest, TooLarge.

    `now` is the time of the run's own clock where it has one.
    """
    until = arguments.get("until")
    if until is None:
        return _seconds(arguments.get("seconds"))
    try:
        when = datetime.fromisoformat(until) if isinstance(until, str) else None
    except ValueError:
        when = None
    if when is None or when.tzinfo is None:
        raise InvalidRequest("`sleep_until` needs a time with its zone")
    return _seconds(max((when - now).total_seconds(), 0.0))


def limit_of(arguments: Mapping[str, Json]) -> float | None:
    """Return after how many seconds a wait is given up, None where it has no limit; raise InvalidRequest or TooLarge."""
    given = arguments.get("timeout")
    return None if given is None else _seconds(given)


def _seconds(given: Json) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float) or not math.isfinite(given) or given < 0:
        raise InvalidRequest("a task waits for a number of seconds from 0 on")
    if given > SLEEP_SECONDS_MAX:
        raise TooLarge(f"{given:g} seconds are longer than a task may wait: {SLEEP_SECONDS_MAX} seconds")
    return float(given)
