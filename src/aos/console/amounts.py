"""Figures as people read them: money, durations, counts and times, with their units."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, Protocol

from aos.kernel.money import Money, money_text

_SPANS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"))


class Priced(Protocol):
    """What has a cost: one amount in the organization's currency, and what was charged in others before."""

    @property
    def cost(self) -> Money:
        """Return the cost in the organization's currency."""

    @property
    def other_costs(self) -> tuple[Money, ...]:
        """Return what was charged in other currencies."""


def cost_text(priced: Priced) -> str:
    """Return what something cost, one amount for each currency."""
    return " + ".join(money_text(each) for each in (priced.cost, *priced.other_costs))


def share_percent(part: Money, whole: Money) -> float:
    """Return how much of `whole` a part is, in percent; of nothing, everything is over it."""
    if whole.nanos <= 0:
        return 100.0 if part.nanos > 0 else 0.0
    return part.nanos * 100 / whole.nanos


def duration_text(milliseconds: float) -> str:
    """Return a duration in at most two units: `240 ms`, `3.2 s`, `4 min 12 s`, `2 h 5 min`."""
    if milliseconds < 1_000:
        return f"{milliseconds:.0f} ms"
    seconds = milliseconds / 1_000
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = int(seconds)
    for size, unit, below, below_size in ((86_400, "d", "h", 3_600), (3_600, "h", "min", 60), (60, "min", "s", 1)):
        if whole >= size:
            first, rest = divmod(whole, size)
            second = rest // below_size
            return f"{first} {unit} {second} {below}" if second else f"{first} {unit}"
    return f"{whole} s"


def between_ms(start: datetime | None, end: datetime | None) -> float | None:
    """Return the milliseconds from one moment to another, None where either is missing."""
    return None if start is None or end is None else max(0.0, (end - start) / timedelta(milliseconds=1))


def ago_text(moment: datetime, now: datetime) -> str:
    """Return how long ago, or in how long, a moment is."""
    seconds = (now - moment).total_seconds()
    text = _span(abs(seconds))
    if text == "now":
        return "just now"
    return f"{text} ago" if seconds > 0 else f"in {text}"


def count_text(count: int, one: str, many: str = "") -> str:
    """Return a count with its noun: `1 task`, `2,410 tasks`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def _span(seconds: float) -> str:
    for size, short in _SPANS:
        if seconds >= size:
            return f"{int(seconds // size)} {short}"
    return f"{int(seconds)} s" if seconds >= 5 else "now"
