"""What starts by itself: schedules with their last and next runs and a picture of the coming days, and hooks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.http import HttpResponse
from django.urls import path

from aos.console.amounts import count_text
from aos.console.binding import services
from aos.console.doors import Visit, page, page_cursor
from aos.console.states import State, state_of
from aos.operations.hooks import list_hooks
from aos.operations.pages import PageQuery
from aos.operations.schedules import TIMES_MAX, ScheduleDetail, list_schedules

SCHEDULES_SHOWN: Final = 40
HOOKS_SHOWN: Final = 40
DAYS: Final = 7
CHART_WIDTH: Final = 1_000


@dataclass(frozen=True, slots=True)
class Row:
    """One schedule with its state, and where its next times lie on `CHART_WIDTH`, which is `DAYS` long."""

    schedule: ScheduleDetail
    state: State
    marks: tuple[int, ...]


def show_schedules(visit: Visit) -> HttpResponse:
    """Show the schedules by name, each with its next times, and the hooks."""
    query = PageQuery(limit=SCHEDULES_SHOWN, order="name", cursor=page_cursor(visit))
    found = list_schedules(services().drivers, visit.actor, query)
    hooks = list_hooks(visit.actor, PageQuery(limit=HOOKS_SHOWN, order="name"))
    now = visit.standing.now
    rows = [
        Row(each, schedule_state(each), lay_out_times(each.next_times(now, TIMES_MAX), now)) for each in found.items
    ]
    return visit.show(
        "schedules.html",
        "schedules",
        rows=rows,
        next=found.next,
        hooks=hooks.items,
        days=DAYS,
        ticks=tuple(range(0, CHART_WIDTH + 1, CHART_WIDTH // DAYS)),
        answer=_answer(found.items, len(hooks.items)),
    )


def schedule_state(schedule: ScheduleDetail) -> State:
    """Return how a schedule stands: what it could not start last is said before that it is on."""
    if not schedule.spec.enabled:
        return state_of("schedule", "stopped" if schedule.last_error else "paused")
    if schedule.last_error:
        return state_of("schedule", "waits" if schedule.last_error.startswith("waits for") else "failing")
    return state_of("schedule", "on")


def lay_out_times(times: Iterable[datetime], now: datetime) -> tuple[int, ...]:
    """Return where times of the coming days lie, from left to right, each place once."""
    span = timedelta(days=DAYS)
    places = [int((each - now) / span * CHART_WIDTH) for each in times]
    return tuple(dict.fromkeys(max(place, 0) for place in places if place < CHART_WIDTH))


def _answer(schedules: Sequence[ScheduleDetail], hooks: int) -> str:
    if not schedules and not hooks:
        return "Nothing starts by itself: no schedule and no hook stands."
    on = [each for each in schedules if each.spec.enabled]
    failing = sum(bool(each.last_error) for each in schedules)
    said = f"{count_text(len(on), 'schedule is', 'schedules are')} on"
    said += f", {failing} could not do what was due" if failing else ""
    return f"{said}; {count_text(hooks, 'hook lets', 'hooks let')} systems outside start runs or signal them."


urlpatterns = [path("console/schedules", page(show_schedules))]
