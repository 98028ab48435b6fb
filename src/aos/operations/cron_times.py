"""The instants that a cron line means in a time zone, strictly increasing, in UTC.

Lines have five fields, as in crontab(5), with names, ranges, steps, `L`, `LW` and `MON#2`. In the hour that clocks skip, a
time is moved to the first instant after it; in the hour that comes twice, a fixed time counts at its first coming; lines
whose minute or hour begins with `*` follow the clock that does not jump. So does cron of Debian, by package `cronsim`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice
from typing import Final
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from aos.kernel.errors import FieldError, InvalidRequest

_FIELDS: Final = 5
_FIRST_WINDOW: Final = timedelta(hours=2)
_HOUR: Final = timedelta(hours=1)
_CHECKED_AT: Final = datetime(2000, 1, 1, tzinfo=UTC)


def times_after(cron: str, timezone: str, after: datetime) -> Iterator[datetime]:
    """Yield the times after an instant; ends where none comes within 50 years. Raises InvalidRequest by field."""
    last = after
    for found in _walk(cron, find_zone(timezone), after):
        instant = found.astimezone(UTC)
        # Times that clocks skip fall together, and the walk knows no second coming of an hour.
        if instant > last:
            last = instant
            yield instant


def first_after(cron: str, timezone: str, after: datetime) -> datetime | None:
    """Return the first time after an instant, None where none comes within 50 years."""
    return next(times_after(cron, timezone, after), None)


def next_times(cron: str, timezone: str, after: datetime, *, at_most: int) -> tuple[datetime, ...]:
    """Return up to `at_most` times after an instant."""
    return tuple(islice(times_after(cron, timezone, after), at_most))


def hours_with_times(cron: str, timezone: str, after: datetime, *, hours: int) -> tuple[int, ...]:
    """Return which of so many hours, counted from an instant on, hold a time; each is looked into once, however many it has."""
    found: list[int] = []
    reached = after
    while (instant := first_after(cron, timezone, reached)) is not None:
        hour = (instant - after) // _HOUR
        if hour >= hours:
            break
        found.append(hour)
        reached = after + (hour + 1) * _HOUR - timedelta.resolution
    return tuple(found)


def newest_between(cron: str, timezone: str, after: datetime, *, until: datetime, at_most: int) -> tuple[datetime, ...]:
    """Return the newest `at_most` times after one instant and not after another, oldest first.

    However long the span: only as much of its end is walked through as holds them.
    """
    window = _FIRST_WINDOW
    while True:
        start = max(after, until - window)
        found: deque[datetime] = deque(maxlen=at_most)
        for instant in times_after(cron, timezone, start):
            if instant > until:
                break
            found.append(instant)
        if start == after or len(found) == at_most:
            return tuple(found)
        window *= 2


def check_cron(cron: str, timezone: str) -> None:
    """Raise InvalidRequest, pointing at `/cron` or `/timezone`, for what names no times."""
    find_zone(timezone)
    if first_after(cron, "UTC", _CHECKED_AT) is None:
        raise _refuse("/cron", f"`{cron[:80]}` names a day that never comes")


def find_zone(timezone: str) -> ZoneInfo:
    """Return a zone by its name; raise InvalidRequest."""
    found = _zone(timezone)
    if found is None:
        raise _refuse("/timezone", f"`{timezone[:60]}` is no time zone: write it like `Europe/Berlin`")
    return found


@lru_cache(maxsize=1_000)
def _zone(timezone: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(timezone)
    except (KeyError, ValueError, OSError):
        return None


def _walk(cron: str, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    if len(cron.split()) != _FIELDS:
        raise _refuse("/cron", f"`{cron[:80]}` must have five fields: minute, hour, day, month, weekday")
    try:
        yield from CronSim(cron, after.astimezone(zone))
    except CronSimError as error:
        raise _refuse("/cron", f"`{cron[:80]}` is no cron line: {str(error).lower()}") from error


def _refuse(place: str, detail: str) -> InvalidRequest:
    return InvalidRequest(detail, errors=[FieldError(place, detail)])
