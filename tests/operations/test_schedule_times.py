"""The instants of cron lines in time zones, as tables: hours that clocks skip, hours that come twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aos.kernel.errors import InvalidRequest
from aos.operations.cron_times import check_cron, hours_with_times, newest_between, next_times, times_after

BERLIN, NEW_YORK, LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"


def spelled(cron: str, zone: str, after: str, count: int) -> list[str]:
    """Return the next times as a clock on the wall shows them."""
    start = datetime.fromisoformat(after)
    found = next_times(cron, zone, start, at_most=count)
    return [each.astimezone(ZoneInfo(zone)).isoformat(timespec="minutes") for each in found]


@pytest.mark.parametrize(
    ("cron", "zone", "after", "times"),
    [
        # The hour from two to three does not exist on 29 March: what stands in it comes when it is over, once.
        ("30 2 * * *", BERLIN, "2026-03-28T12:00Z", ["2026-03-29T03:00+02:00", "2026-03-30T02:30+02:00"]),
        ("15,45 2 * * *", BERLIN, "2026-03-28T12:00Z", ["2026-03-29T03:00+02:00", "2026-03-30T02:15+02:00"]),
        ("0 2,3 * * *", BERLIN, "2026-03-28T12:00Z", ["2026-03-29T03:00+02:00", "2026-03-30T02:00+02:00"]),
        ("*/30 * * * *", BERLIN, "2026-03-29T00:15Z", ["2026-03-29T01:30+01:00", "2026-03-29T03:00+02:00"]),
        ("30 2 8 3 *", NEW_YORK, "2026-03-01T00:00Z", ["2026-03-08T03:00-04:00", "2027-03-08T02:30-05:00"]),
        ("15 2 * * *", LORD_HOWE, "2026-10-03T00:00Z", ["2026-10-04T02:30+11:00", "2026-10-05T02:15+11:00"]),
        # The hour from two to three comes twice on 25 October: a fixed time counts at its first coming.
        ("30 2 * * *", BERLIN, "2026-10-24T12:00Z", ["2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"]),
        ("30 2 * * *", BERLIN, "2026-10-25T00:29Z", ["2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"]),
        ("30 2 * * *", BERLIN, "2026-10-25T00:30Z", ["2026-10-26T02:30+01:00", "2026-10-27T02:30+01:00"]),
        ("30 2 * * *", BERLIN, "2026-10-25T01:15Z", ["2026-10-26T02:30+01:00", "2026-10-27T02:30+01:00"]),
        ("30 2 * * *", BERLIN, "2026-10-25T01:45Z", ["2026-10-26T02:30+01:00", "2026-10-27T02:30+01:00"]),
        # What comes by the minute or the hour comes in both of them.
        ("0 * * * *", BERLIN, "2026-10-24T23:30Z", ["2026-10-25T02:00+02:00", "2026-10-25T02:00+01:00"]),
        ("*/30 * * * *", BERLIN, "2026-10-25T00:10Z", ["2026-10-25T02:30+02:00", "2026-10-25T02:00+01:00"]),
        # Midnight does not exist on the day that clocks are set forward in Cairo.
        ("0 0 * * *", "Africa/Cairo", "2026-04-23T12:00Z", ["2026-04-24T01:00+03:00", "2026-04-25T00:00+03:00"]),
        ("0 6 29 2 *", "UTC", "2026-01-01T00:00Z", ["2028-02-29T06:00+00:00", "2032-02-29T06:00+00:00"]),
        ("0 18 L * *", BERLIN, "2026-02-01T00:00Z", ["2026-02-28T18:00+01:00", "2026-03-31T18:00+02:00"]),
        ("0 8 * * MON#1", BERLIN, "2026-11-01T00:00Z", ["2026-11-02T08:00+01:00", "2026-12-07T08:00+01:00"]),
        ("0 8 1 * MON", BERLIN, "2026-11-01T12:00Z", ["2026-11-02T08:00+01:00", "2026-11-09T08:00+01:00"]),
    ],
)
def test_a_time_in_a_zone_is_one_instant_that_exists(cron: str, zone: str, after: str, times: list[str]) -> None:
    assert spelled(cron, zone, after, len(times)) == times


CRONS = ["30 2 * * *", "*/7 * * * *", "0 * * * *", "15,45 1-3 * * *", "0 0 1 * *", "5 4 * * SUN", "0 */6 * * *"]


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(CRONS),
    st.sampled_from([BERLIN, NEW_YORK, LORD_HOWE, "UTC", "Africa/Cairo", "America/Santiago"]),
    st.datetimes(min_value=datetime(2025, 1, 1), max_value=datetime(2028, 1, 1)),
)
def test_times_only_grow_and_asking_from_one_of_them_goes_on_with_the_next(
    cron: str, zone: str, naive: datetime
) -> None:
    after = naive.replace(tzinfo=UTC)
    times = next_times(cron, zone, after, at_most=5)
    assert all(early < late for early, late in zip((after, *times), times, strict=False))
    assert next_times(cron, zone, times[0], at_most=4) == times[1:]


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(CRONS), st.integers(1, 12), st.integers(1, 40))
def test_the_newest_times_of_a_span_are_its_last_ones(cron: str, days: int, at_most: int) -> None:
    after = datetime(2026, 8, 20, 7, 11, tzinfo=UTC)
    until = after + timedelta(days=days)
    every = [each for each in next_times(cron, BERLIN, after, at_most=3_000) if each <= until]
    assert list(newest_between(cron, BERLIN, after, until=until, at_most=at_most)) == every[-at_most:]


@pytest.mark.parametrize(
    ("cron", "zone", "place"),
    [
        ("61 * * * *", "UTC", "/cron"),
        ("* * * *", "UTC", "/cron"),
        ("0 * * * * *", "UTC", "/cron"),
        ("@daily", "UTC", "/cron"),
        ("", "UTC", "/cron"),
        ("0 0 30 2 *", "UTC", "/cron"),
        ("* * */20 * 1L", "UTC", "/cron"),
        ("0 0 * * *", "Europe/Atlantis", "/timezone"),
        ("0 0 * * *", "../../etc/localtime", "/timezone"),
        ("0 0 * * *", "", "/timezone"),
    ],
)
def test_what_names_no_times_is_refused_by_its_place(cron: str, zone: str, place: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_cron(cron, zone)
    assert [each.pointer for each in refused.value.errors] == [place]


@pytest.mark.parametrize("cron", ["* * * * *", "*/5 9-17 * * MON-FRI", "0 6 * * *", "0 * * * *", "30 2 * * SUN"])
def test_the_hours_that_hold_a_time_are_those_of_all_times(cron: str) -> None:
    after = datetime(2026, 3, 27, 10, 9, tzinfo=UTC)  # clocks are set forward two days later
    until = after + timedelta(days=7)
    all_times = takewhile(lambda each: each < until, times_after(cron, "Europe/Berlin", after))
    wanted = sorted({(each - after) // timedelta(hours=1) for each in all_times})
    assert list(hours_with_times(cron, "Europe/Berlin", after, hours=7 * 24)) == wanted
