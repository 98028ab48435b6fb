"""What starts by itself: schedules with their last and next runs and a picture of the coming days, and hooks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

from django.http import HttpResponse
from django.urls import path

from aos.console.amounts import count_text
from aos.console.binding import services
from aos.console.doors import Visit, page, page_cursor
from aos.console.states import State, state_of
from aos.kernel.schedules import how_often
from aos.operations.hooks import list_hooks
from aos.operations.pages import PageQuery
from aos.operations.schedules import TIMES_MAX, ScheduleDetail, list_schedules

SCHEDULES_SHOWN: Final = 40
HOOKS_SHOWN: Final = 40
DAYS: Final = 7
CHART_WIDTH: Final = 1_000
MARK_WIDTH: Final = 4
LATER_SHOWN: Final = 2
"""How many times are told in words beside the next one."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One time, or a stretch of hours of which each holds some."""

    x: int
    width: int


@dataclass(frozen=True, slots=True)
class Row:
    """One schedule with its state, its times in words, and where they lie on `CHART_WIDTH`, which is `DAYS` long."""

    schedule: ScheduleDetail
    state: State
    often: str
    later: tuple[str, ...]
    marks: tuple[Mark, ...]


def show_schedules(visit: Visit) -> HttpResponse:
    """Show the schedules by name, each with its next times, and the hooks."""
    query = PageQuery(limit=SCHEDULES_SHOWN, order="name", cursor=page_cursor(visit))
    found = list_schedules(services().drivers, visit.actor, query)
    hooks = list_hooks(visit.actor, PageQuery(limit=HOOKS_SHOWN, order="name"))
    now = visit.standing.now
    rows = [_row(each, now) for each in found.items]
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


def _row(schedule: ScheduleDetail, now: datetime) -> Row:
    times = schedule.next_times(now, TIMES_MAX)
    end = now + timedelta(days=DAYS)
    if len(times) < TIMES_MAX or times[-1] >= end:
        marks = lay_out_times(times, now)
    else:
        marks = lay_out_hours(schedule.hours_with_times(now, DAYS * 24))
    often = how_often(times, known=TIMES_MAX)
    return Row(schedule, schedule_state(schedule), often, tell_later(times, schedule.spec.timezone), marks)


def lay_out_times(times: Iterable[datetime], now: datetime) -> tuple[Mark, ...]:
    """Return where times of the coming days lie, from left to right, each place once."""
    span = timedelta(days=DAYS)
    places = [int((each - now) / span * CHART_WIDTH) for each in times]
    return tuple(Mark(x, MARK_WIDTH) for x in dict.fromkeys(max(place, 0) for place in places if place < CHART_WIDTH))


def lay_out_hours(hours: Iterable[int]) -> tuple[Mark, ...]:
    """Return the stretches of hours that hold times, from left to right: neighbours are one."""
    stretches: list[tuple[int, int]] = []
    for hour in hours:
        begins = stretches.pop()[0] if stretches and stretches[-1][1] == hour else hour
        stretches.append((begins, hour + 1))
    places = [(begin * CHART_WIDTH // (DAYS * 24), end * CHART_WIDTH // (DAYS * 24)) for begin, end in stretches]
    return tuple(Mark(begin, max(end - begin, MARK_WIDTH)) for begin, end in places)


def tell_later(times: Sequence[datetime], timezone: str) -> tuple[str, ...]:
    """Return the times after the next one, in the schedule's own zone: `14:06`; with the day where it is another."""
    local = [each.astimezone(ZoneInfo(timezone)) for each in times[: 1 + LATER_SHOWN]]
    return tuple(
        f"{each:%H:%M}" if each.date() == before.date() else f"{each:%a} {each.day} {each:%b %H:%M}"
        for before, each in pairwise(local)
    )


def _answer(schedules: Sequence[ScheduleDetail], hooks: int) -> str:
    if not schedules and not hooks:
        return "Nothing starts by itself: no schedule and no hook stands."
    on = [each for each in schedules if each.spec.enabled]
    failing = sum(bool(each.last_error) for each in schedules)
    said = f"{count_text(len(on), 'schedule is', 'schedules are')} on"
    said += f", {failing} could not do what was due" if failing else ""
    return f"{said}; {count_text(hooks, 'hook lets', 'hooks let')} systems outside start runs or signal them."


urlpatterns = [path("console/schedules", page(show_schedules))]
