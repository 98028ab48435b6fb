"""What a provider's headers say of its rate limits and of when to try again.

OpenAI, Azure and Mistral write `x-ratelimit-*`, with a reset as a length of time or none; Anthropic writes
`anthropic-ratelimit-*` with the time of the reset (RFC 3339); `retry-after` is RFC 9110's. What is missing or malformed says
nothing: a header never fails a call.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

RESET_SECONDS: Final = 60.0
"""How long a limit stands of which the provider does not say when it is reset: they count by the minute."""
RESET_SECONDS_MAX: Final = 3_600.0
"""A reset later than this is not believed to be about a limit by the minute, and asked again by then."""
RETRY_AFTER_SECONDS_MAX: Final = 60.0
"""A provider that wants a longer wait than this is not waited for."""
BACKOFF_SECONDS: Final = 0.5
BACKOFF_SECONDS_MAX: Final = 8.0
JITTER: Final = 0.25
RETRIED: Final = frozenset({408, 429, 500, 502, 503, 504, 520, 522, 524, 529})
"""Statuses that a later attempt may turn into an answer; 529 is Anthropic's `overloaded`."""

_REQUESTS_LEFT = (
    "x-ratelimit-remaining-requests",
    "x-ratelimit-remaining-req-minute",
    "anthropic-ratelimit-requests-remaining",
)
_TOKENS_LEFT = (
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-remaining-tokens-minute",
    "anthropic-ratelimit-input-tokens-remaining",
    "anthropic-ratelimit-tokens-remaining",
)
_REQUESTS_RESET = ("x-ratelimit-reset-requests", "anthropic-ratelimit-requests-reset")
_TOKENS_RESET = (
    "x-ratelimit-reset-tokens",
    "anthropic-ratelimit-input-tokens-reset",
    "anthropic-ratelimit-tokens-reset",
)
_LENGTH = re.compile(
    r"(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m(?!s))?(?:(\d{1,6}(?:\.\d{1,9})?)s)?(?:(\d{1,9}(?:\.\d{1,9})?)ms)?"
)
_NUMBER = re.compile(r"\d{1,9}(\.\d{1,9})?")
_HTTP_DATE = re.compile(r"[A-Z][a-z]{2}, (\d{2}) ([A-Z][a-z]{2}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) GMT")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class RateRoom:
    """What is left of a provider's limits, until when; None: not said. Times are of the clock that is never set back."""

    requests_left: int | None = None
    requests_until: float = 0.0
    tokens_left: int | None = None
    tokens_until: float = 0.0
    blocked_until: float = 0.0

    def lacks(self, input_tokens: int, now_seconds: float) -> tuple[str, float]:
        """Say why there is no room for a request with so many input tokens, and for how many seconds.

        Nothing and 0 where there is room, or none is known.
        """
        if now_seconds < self.blocked_until:
            left = self.blocked_until - now_seconds
            return f"its provider asked to wait {_shown(left)}", left
        if self.requests_left == 0 and now_seconds < self.requests_until:
            left = self.requests_until - now_seconds
            return f"its rate limit has no request left for {_shown(left)}", left
        if self.tokens_left is not None and self.tokens_left < input_tokens and now_seconds < self.tokens_until:
            left = self.tokens_until - now_seconds
            return f"its rate limit has {self.tokens_left} tokens left for {_shown(left)}", left
        return "", 0.0


def learn_rates(
    room: RateRoom, headers: Mapping[str, str], *, status: int, now_seconds: float, now: datetime
) -> RateRoom:
    """Return the room after an answer with these headers (names in lower case); `now` is the time of day, aware.

    A limit that the headers do not speak of stands as it was; a 429 or 529 blocks until it says, or for a second.
    """
    requests, tokens = _whole(headers, _REQUESTS_LEFT), _whole(headers, _TOKENS_LEFT)
    if requests is not None:
        until = now_seconds + _reset(headers, _REQUESTS_RESET, now)
        room = replace(room, requests_left=requests, requests_until=until)
    if tokens is not None:
        room = replace(room, tokens_left=tokens, tokens_until=now_seconds + _reset(headers, _TOKENS_RESET, now))
    if status in (429, 529):
        wait = retry_after_seconds(headers, now=now)
        blocked = min(1.0 if wait is None else wait, RESET_SECONDS_MAX)
        room = replace(room, blocked_until=max(room.blocked_until, now_seconds + blocked))
    return room


def retry_after_seconds(headers: Mapping[str, str], *, now: datetime | None = None) -> float | None:
    """Return how long the server asks to wait, in seconds from 0; None where it does not say or says it unreadably.

    `retry-after-ms` counts before `retry-after`; a date there (RFC 9110, 10.2.3) needs `now`, an aware time.
    """
    milliseconds = headers.get("retry-after-ms", "").strip()
    if _NUMBER.fullmatch(milliseconds):
        return float(milliseconds) / 1_000
    text = headers.get("retry-after", "").strip()
    if _NUMBER.fullmatch(text):
        return float(text)
    at = _http_date(text)
    return max((at - now).total_seconds(), 0.0) if at and now else None


def retry_delay(
    status: int, headers: Mapping[str, str], attempt: int, *, fraction: float, now: datetime | None = None
) -> float | None:
    """Return how many seconds to wait after attempt `attempt` (from 1) was answered so; None: it is not tried again.

    The server's own word counts first: `x-should-retry`, then how long it asks to wait, unless that is past
    RETRY_AFTER_SECONDS_MAX. Else the wait doubles from BACKOFF_SECONDS, less a jitter by `fraction`, from 0 to under 1.
    """
    word = headers.get("x-should-retry", "").strip().lower()
    if word == "false" or (status not in RETRIED and word != "true"):
        return None
    asked = retry_after_seconds(headers, now=now)
    if asked is not None:
        return asked if asked <= RETRY_AFTER_SECONDS_MAX else None
    full: float = min(BACKOFF_SECONDS * 2.0 ** min(max(attempt - 1, 0), 30), BACKOFF_SECONDS_MAX)
    return full * (1 - JITTER * fraction)


def _whole(headers: Mapping[str, str], names: tuple[str, ...]) -> int | None:
    for name in names:
        text = headers.get(name)
        if text is not None and len(text) <= 15 and text.isascii() and text.isdigit():
            return int(text)
    return None


def _reset(headers: Mapping[str, str], names: tuple[str, ...], now: datetime) -> float:
    """Return in how many seconds a limit is reset."""
    text = next((headers[name].strip() for name in names if name in headers), "")
    found = _length(text) if len(text) <= 40 else None
    if found is None and (at := _rfc3339(text)):
        found = max((at - now).total_seconds(), 0.0)
    return RESET_SECONDS if found is None else min(found, RESET_SECONDS_MAX)


@lru_cache(maxsize=1_024)
def _length(text: str) -> float | None:
    """Return the seconds of `6m0s`, `20ms`, `1h2m3.5s` or a bare number."""
    if _NUMBER.fullmatch(text):
        return float(text)
    parts = _LENGTH.fullmatch(text)
    if not text or parts is None:
        return None
    factors = (86_400.0, 3_600.0, 60.0, 1.0, 0.001)
    return sum(float(part or 0) * factor for part, factor in zip(parts.groups(), factors, strict=True))


def _rfc3339(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _http_date(text: str) -> datetime | None:
    found = _HTTP_DATE.fullmatch(text)
    if found is None or found[2] not in _MONTHS:
        return None
    day, month, year, hour, minute, second = found.groups()
    try:
        return datetime(int(year), _MONTHS.index(month) + 1, int(day), int(hour), int(minute), int(second), tzinfo=UTC)
    except ValueError:
        return None


def _shown(seconds: float) -> str:
    return f"{seconds:.1f} s"
