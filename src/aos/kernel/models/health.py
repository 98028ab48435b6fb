"""How a model's server fares, as one process sees it: breaker, latency, and how many retries are still reasonable.

Everything is a state and a step; times are seconds of a clock that is never set back, handed in. States are bounded
whatever is recorded. What one process sees is not shared: each finds out for itself, within a few calls.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from aos.kernel.models.rates import RateRoom

FAILURES_MAX: Final = 5
"""Failures in a row that open the breaker."""
WINDOW_CALLS: Final = 20
"""Calls of which at least half must fail to open the breaker, even where some between them succeed."""
OPEN_SECONDS: Final = 5.0
"""How long a breaker stays open the first time; doubled each time that the probe fails."""
OPEN_SECONDS_MAX: Final = 60.0
PROBE_SECONDS: Final = 30.0
"""After so long without an answer a probe counts as lost, and another may go."""
LATENCIES_MAX: Final = 128
"""The last so many times to the first byte are kept."""
RETRY_SHARE: Final = 0.1
"""Each first attempt earns so much of a retry."""
RETRIES_MAX: Final = 10.0
"""The most retries that can be saved up, and what a process begins with."""


class BreakerState(StrEnum):
    """Whether calls go to a model: all, none, or one to try."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class Breaker:
    """What decides on that. `failed` holds the last calls, newest in the lowest bit; `opened_at` is None while closed."""

    failed: int = 0
    calls: int = 0
    in_a_row: int = 0
    opened_at: float | None = None
    open_seconds: float = OPEN_SECONDS
    probing_since: float | None = None


def breaker_state(breaker: Breaker, now_seconds: float) -> BreakerState:
    """Return the state at a time: an open breaker becomes half open when its time is over."""
    if breaker.opened_at is None:
        return BreakerState.CLOSED
    over = now_seconds >= breaker.opened_at + breaker.open_seconds
    return BreakerState.HALF_OPEN if over else BreakerState.OPEN


def ask_breaker(breaker: Breaker, now_seconds: float) -> tuple[Breaker, bool]:
    """Say whether a call may go now, and return what stands after it: half open, one at a time may."""
    match breaker_state(breaker, now_seconds):
        case BreakerState.CLOSED:
            return breaker, True
        case BreakerState.OPEN:
            return breaker, False
        case BreakerState.HALF_OPEN:
            since = breaker.probing_since
            if since is not None and now_seconds < since + PROBE_SECONDS:
                return breaker, False
            return replace(breaker, probing_since=now_seconds), True


def tell_breaker(breaker: Breaker, ok: bool, *, now_seconds: float) -> Breaker:
    """Return what stands after a call: `ok` unless the server failed. A client's own mistake is no failure of the server.

    While it is open only a probe says anything: what was sent before it opened and fails late changes nothing.
    """
    if breaker.opened_at is not None:
        if breaker.probing_since is None:
            return breaker
        if ok:
            return Breaker()
        longer = min(breaker.open_seconds * 2, OPEN_SECONDS_MAX)
        return replace(breaker, opened_at=now_seconds, open_seconds=longer, probing_since=None)
    failed = ((breaker.failed << 1) | (not ok)) & ((1 << WINDOW_CALLS) - 1)
    calls = min(breaker.calls + 1, WINDOW_CALLS)
    in_a_row = 0 if ok else breaker.in_a_row + 1
    half = calls == WINDOW_CALLS and failed.bit_count() * 2 >= WINDOW_CALLS
    opens = not ok and (in_a_row >= FAILURES_MAX or half)
    return Breaker(failed, calls, in_a_row, now_seconds if opens else None)


def error_per_mille(breaker: Breaker) -> int:
    """Return how many of the last calls failed, in a thousand."""
    return breaker.failed.bit_count() * 1_000 // breaker.calls if breaker.calls else 0


class Latencies:
    """The last times to the first byte, in milliseconds, and their percentiles."""

    __slots__ = ("_recent", "_sorted")

    def __init__(self) -> None:
        self._recent: deque[int] = deque()
        self._sorted: list[int] = []

    def add(self, milliseconds: int) -> None:
        """Take in one time; of more than LATENCIES_MAX the oldest is forgotten."""
        if len(self._recent) == LATENCIES_MAX:
            del self._sorted[bisect_left(self._sorted, self._recent.popleft())]
        self._recent.append(milliseconds)
        insort(self._sorted, milliseconds)

    def percentile(self, percent: int) -> int | None:
        """Return the smallest time that so many per cent did not exceed; None before the first."""
        if not self._sorted:
            return None
        return self._sorted[max(-(-len(self._sorted) * percent // 100) - 1, 0)]


@dataclass(frozen=True, slots=True)
class RetryBudget:
    """How many retries may still be made, so that a server in trouble is not buried under them."""

    saved: float = RETRIES_MAX


def earn_retry(budget: RetryBudget) -> RetryBudget:
    """Return the budget after a first attempt."""
    return RetryBudget(min(budget.saved + RETRY_SHARE, RETRIES_MAX))


def spend_retry(budget: RetryBudget) -> tuple[RetryBudget, bool]:
    """Say whether one more retry is within the budget, and return what is left of it."""
    return (RetryBudget(budget.saved - 1), True) if budget.saved >= 1 else (budget, False)


@dataclass(frozen=True, slots=True)
class Health:
    """What a choice sees of a model's server."""

    breaker: BreakerState = BreakerState.CLOSED
    error_per_mille: int = 0
    p50_ms: int | None = None
    """To the first byte; None: no call yet."""
    p95_ms: int | None = None
    room: str = ""
    """Why its rate limit has no room for this request; empty where it has or none is known."""
    again_seconds: float = 0.0
    """After how long it may be asked again, where it may not be now."""
    cause: str = ""
    """What its last failure was; empty where it has not failed."""

    @property
    def open(self) -> str:
        """Say why its breaker keeps it from being asked; nothing where it may be."""
        if self.breaker is not BreakerState.OPEN:
            return ""
        last = f", the last: {self.cause}" if self.cause else ""
        return f"its breaker is open: {self.error_per_mille / 10:g} % of its last calls failed{last}"


class ModelHealth:
    """All that a process has seen of one model's server."""

    __slots__ = ("breaker", "cause", "latencies", "retries", "room")

    def __init__(self) -> None:
        self.breaker = Breaker()
        self.cause = ""
        self.latencies = Latencies()
        self.retries = RetryBudget()
        self.room = RateRoom()

    def look(self, *, input_tokens: int, now_seconds: float) -> Health:
        """Return what a choice sees for a request with so many input tokens."""
        state = breaker_state(self.breaker, now_seconds)
        lacks, again = self.room.lacks(input_tokens, now_seconds)
        if state is BreakerState.OPEN and self.breaker.opened_at is not None:
            again = max(again, self.breaker.opened_at + self.breaker.open_seconds - now_seconds)
        return Health(
            state,
            error_per_mille(self.breaker),
            self.latencies.percentile(50),
            self.latencies.percentile(95),
            lacks,
            again,
            self.cause,
        )

    def ask(self, now_seconds: float) -> bool:
        """Say whether a call may go now; a yes while half open makes it the probe, whose end must be told."""
        self.breaker, may = ask_breaker(self.breaker, now_seconds)
        return may

    def tell(self, ok: bool, *, now_seconds: float, first_byte_ms: int | None = None, cause: str = "") -> None:
        """Take in how a call went; `first_byte_ms` where it came to a first byte, `cause` where it failed."""
        self.breaker = tell_breaker(self.breaker, ok, now_seconds=now_seconds)
        if not ok:
            self.cause = cause
        if first_byte_ms is not None:
            self.latencies.add(first_byte_ms)

    def may_retry(self) -> bool:
        """Spend one retry, if the budget has one."""
        self.retries, may = spend_retry(self.retries)
        return may

    def attempted(self) -> None:
        """Earn a part of a retry by a first attempt."""
        self.retries = earn_retry(self.retries)
