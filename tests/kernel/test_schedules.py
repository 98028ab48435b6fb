"""Which times of a schedule still count, as tables; and what a message from outside must be to count."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aos.kernel.schedules import LATE_SECONDS_MAX, CatchUp, choose_due, due_key, due_values, how_often

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)


def ago(*seconds: int) -> list[datetime]:
    """Return times so many seconds before now, oldest first."""
    return [NOW - timedelta(seconds=each) for each in seconds]


@pytest.mark.parametrize(
    ("catch_up", "passed", "chosen"),
    [
        (CatchUp.NONE, (), None),
        (CatchUp.LAST, (), None),
        (CatchUp.ALL, (), None),
        (CatchUp.NONE, (0,), 0),
        (CatchUp.NONE, (LATE_SECONDS_MAX,), LATE_SECONDS_MAX),
        (CatchUp.NONE, (LATE_SECONDS_MAX + 1,), None),
        (CatchUp.NONE, (7_200, 3_600), None),
        (CatchUp.NONE, (7_200, 3_600, 5), 5),
        (CatchUp.LAST, (7_200, 3_600), 3_600),
        (CatchUp.LAST, (86_400,), 86_400),
        (CatchUp.ALL, (7_200, 3_600, 5), 7_200),
    ],
)
def test_of_the_times_that_passed_the_policy_says_which_counts(
    catch_up: CatchUp, passed: tuple[int, ...], chosen: int | None
) -> None:
    expected = None if chosen is None else ago(chosen)[0]
    assert choose_due(ago(*passed), NOW, catch_up) == expected


@given(st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2090, 1, 1)))
def test_the_key_of_a_time_names_the_time(naive: datetime) -> None:
    due = naive.replace(microsecond=0, tzinfo=UTC)
    assert due_key("0192-ab", due) == f"schedule:0192-ab:{due.isoformat()}"


def test_templates_are_told_the_time_in_the_zone_of_the_schedule() -> None:
    local = datetime(2026, 1, 1, 0, 30, tzinfo=timezone(timedelta(hours=1)))
    assert due_values(local) == {
        "due": {
            "at": "2026-01-01T00:30:00+01:00",
            "date": "2026-01-01",
            "time": "00:30",
            "month": "2026-01",
            "last_month": "2025-12",
        }
    }


def test_how_often_times_come_is_told_for_the_longest_span_that_they_fill() -> None:
    first = datetime(2026, 3, 2, 6, tzinfo=UTC)

    def every(step: timedelta, count: int = 100) -> list[datetime]:
        return [first + n * step for n in range(count)]

    assert how_often(every(timedelta(minutes=1)), known=100) == "60 an hour"
    assert how_often(every(timedelta(hours=1)), known=100) == "24 a day"
    assert how_often(every(timedelta(days=1)), known=100) == "7 a week"
    assert how_often(every(timedelta(days=30)), known=100) == ""
    assert how_often(every(timedelta(minutes=5), 3), known=100) == "3 a week", "there are no more of them"
    assert how_often([], known=100) == ""
