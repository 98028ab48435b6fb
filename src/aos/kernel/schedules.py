"""Schedules: what is started at which times, and which of the times that passed unused still count.

Times are computed by `operations.cron_times`, which knows zones; here they are given. A time is one instant: where clocks
are set back it comes once, where they are set forward it comes at the first instant that exists.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from aos.kernel.json import Json

LATE_SECONDS_MAX: Final = 60
"""A time is missed when nobody acted on it for this long."""
CATCH_UP_MAX: Final = 100
"""How many of the missed times are caught up with at most; older ones are left."""
PRIORITY_MAX: Final = 100

_SPANS: Final = ((timedelta(days=7), "a week"), (timedelta(days=1), "a day"), (timedelta(hours=1), "an hour"))

DUE: Final = "due"
"""The name under which a schedule's templates read the time that the run is for: `${due.date}`."""


class CatchUp(StrEnum):
    """What becomes of times that were missed: left, the last one made good, or each of them."""

    NONE = "none"
    LAST = "last"
    ALL = "all"


class Overlap(StrEnum):
    """Whether a run starts while the one before is still open."""

    ALLOW = "allow"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class ScheduleSpec:
    """Times at which a run of a workflow or an agent starts, with the rights of `owner`.

    An empty `timezone` is the organization's, an empty `owner` whoever writes it. `input` and `goal` are templates over
    `due`. Paused schedules are not enabled.
    """

    name: str
    cron: str
    workflow: str = ""
    agent: str = ""
    timezone: str = ""
    input: Json = None
    goal: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    priority: int = 0
    catch_up: CatchUp = CatchUp.LAST
    overlap: Overlap = Overlap.SKIP
    owner: str = ""
    enabled: bool = True

    @property
    def target(self) -> str:
        """Return the name of what is run."""
        return self.workflow or self.agent


def choose_due(passed: Sequence[datetime], now: datetime, catch_up: CatchUp) -> datetime | None:
    """Return which of the times that passed (oldest first, none acted on) a run starts for now; None for none of them.

    With `all`, the later ones are chosen on later calls; with the others, none of the rest ever is.
    """
    if not passed:
        return None
    if catch_up is CatchUp.ALL:
        return passed[0]
    newest = passed[-1]
    if catch_up is CatchUp.NONE and now - newest > timedelta(seconds=LATE_SECONDS_MAX):
        return None
    return newest


def how_often(times: Sequence[datetime], *, known: int) -> str:
    """Return how many times come in a span: `60 an hour`, `24 a day`, `5 a week`; empty where it is one or none.

    `times` are the next ones, at most `known` of them. The span is the longest that they fill, from the first of them on.
    """
    for span, word in _SPANS:
        if len(times) < known or times[-1] - times[0] >= span:
            count = sum(each - times[0] < span for each in times)
            return f"{count} {word}" if count > 1 else ""
    return ""


def due_values(local: datetime) -> dict[str, Json]:
    """Return what templates read as `due`, from the time in the schedule's own zone."""
    last_month = local.replace(day=1) - timedelta(days=1)
    return {
        DUE: {
            "at": local.isoformat(),
            "date": local.date().isoformat(),
            "time": local.strftime("%H:%M"),
            "month": local.strftime("%Y-%m"),
            "last_month": last_month.strftime("%Y-%m"),
        }
    }


def due_key(schedule_id: object, due_at: datetime) -> str:
    """Return the Idempotency-Key of the run that a schedule starts for a time."""
    return f"schedule:{schedule_id}:{due_at.astimezone(UTC).isoformat()}"
