"""Health: breakers, latencies and retries, driven by times that are handed in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aos.kernel.models.health import (
    FAILURES_MAX,
    LATENCIES_MAX,
    OPEN_SECONDS,
    OPEN_SECONDS_MAX,
    PROBE_SECONDS,
    RETRIES_MAX,
    WINDOW_CALLS,
    Breaker,
    BreakerState,
    Latencies,
    ModelHealth,
    RetryBudget,
    ask_breaker,
    breaker_state,
    earn_retry,
    error_per_mille,
    spend_retry,
    tell_breaker,
)


def told(outcomes: str, breaker: Breaker | None = None, now_seconds: float = 0.0) -> Breaker:
    """Return the breaker after outcomes written as `+` and `-`."""
    breaker = breaker or Breaker()
    for outcome in outcomes:
        breaker = tell_breaker(breaker, outcome == "+", now_seconds=now_seconds)
    return breaker


@pytest.mark.parametrize(
    ("outcomes", "state"),
    [
        ("", BreakerState.CLOSED),
        ("-" * (FAILURES_MAX - 1), BreakerState.CLOSED),
        ("-" * FAILURES_MAX, BreakerState.OPEN),
        ("----+----", BreakerState.CLOSED),
        ("+-" * (WINDOW_CALLS // 2), BreakerState.OPEN),
        ("-+" * (WINDOW_CALLS // 2), BreakerState.CLOSED),
        ("+-" * (WINDOW_CALLS // 2 - 1) + "++", BreakerState.CLOSED),
        ("++-" * WINDOW_CALLS, BreakerState.CLOSED),
        ("+" * 1_000 + "-" * FAILURES_MAX, BreakerState.OPEN),
    ],
)
def test_a_breaker_opens_on_failures_in_a_row_or_half_of_the_last_calls(outcomes: str, state: BreakerState) -> None:
    assert breaker_state(told(outcomes), 0.0) is state


def test_an_open_breaker_lets_nothing_through_until_its_time_is_over_and_then_one() -> None:
    breaker = told("-" * FAILURES_MAX)
    assert not ask_breaker(breaker, OPEN_SECONDS - 0.001)[1]
    assert breaker_state(breaker, OPEN_SECONDS) is BreakerState.HALF_OPEN
    breaker, first = ask_breaker(breaker, OPEN_SECONDS)
    _, second = ask_breaker(breaker, OPEN_SECONDS)
    assert (first, second) == (True, False)


def test_a_probe_that_succeeds_closes_the_breaker_and_forgets_what_was() -> None:
    breaker, _ = ask_breaker(told("-" * FAILURES_MAX), OPEN_SECONDS)
    assert tell_breaker(breaker, ok=True, now_seconds=6.0) == Breaker()


def test_each_probe_that_fails_doubles_the_wait_up_to_its_maximum() -> None:
    breaker, now, waits = told("-" * FAILURES_MAX), 0.0, []
    for _ in range(6):
        waits.append(breaker.open_seconds)
        now += breaker.open_seconds
        breaker, may = ask_breaker(breaker, now)
        assert may
        breaker = tell_breaker(breaker, ok=False, now_seconds=now)
        assert not ask_breaker(breaker, now)[1]
    assert waits == [5.0, 10.0, 20.0, 40.0, OPEN_SECONDS_MAX, OPEN_SECONDS_MAX]


def test_a_probe_that_is_lost_is_followed_by_another() -> None:
    breaker, _ = ask_breaker(told("-" * FAILURES_MAX), OPEN_SECONDS)
    assert not ask_breaker(breaker, OPEN_SECONDS + PROBE_SECONDS - 0.001)[1]
    assert ask_breaker(breaker, OPEN_SECONDS + PROBE_SECONDS)[1]


def test_what_was_sent_before_it_opened_changes_nothing_when_it_ends_late() -> None:
    breaker = told("-" * FAILURES_MAX)
    assert told("+-+", breaker, now_seconds=1.0) == breaker


@given(st.lists(st.tuples(st.sampled_from(["ask", "ok", "failed"]), st.floats(0, 100)), max_size=200))
def test_whatever_happens_a_breaker_is_bounded_and_lets_a_call_through_in_the_end(
    steps: list[tuple[str, float]],
) -> None:
    breaker, now = Breaker(), 0.0
    for what, passed in steps:
        now += passed
        if what == "ask":
            breaker, may = ask_breaker(breaker, now)
            assert not (may and breaker_state(breaker, now) is BreakerState.OPEN)
        else:
            breaker = tell_breaker(breaker, what == "ok", now_seconds=now)
        assert breaker.failed < 1 << WINDOW_CALLS
        assert breaker.calls <= WINDOW_CALLS
        assert 0 <= error_per_mille(breaker) <= 1_000
    assert ask_breaker(breaker, now + OPEN_SECONDS_MAX + PROBE_SECONDS)[1]


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=3 * LATENCIES_MAX), st.integers(0, 100))
def test_percentiles_are_those_of_the_last_times(times: list[int], percent: int) -> None:
    latencies = Latencies()
    for time in times:
        latencies.add(time)
    found = latencies.percentile(percent)
    last = times[-LATENCIES_MAX:]
    assert found in last
    assert sum(time <= found for time in last) * 100 >= len(last) * percent
    assert found == min(last) or sum(time < found for time in last) * 100 < len(last) * percent


def test_before_the_first_call_no_latency_is_known() -> None:
    assert Latencies().percentile(50) is None


def test_retries_are_a_tenth_of_the_calls_after_what_was_saved_up() -> None:
    budget, retries = RetryBudget(), 0
    for _ in range(1_000):
        budget = earn_retry(budget)
        budget, may = spend_retry(budget)
        retries += may
    assert 1_000 * 0.1 <= retries <= 1_000 * 0.1 + RETRIES_MAX
    assert earn_retry(RetryBudget()).saved == RETRIES_MAX


def test_a_models_health_is_what_was_told_of_it() -> None:
    health = ModelHealth()
    for ms in (100, 200, 900):
        assert health.ask(0.0)
        health.tell(ok=True, now_seconds=0.0, first_byte_ms=ms)
    seen = health.look(input_tokens=10, now_seconds=0.0)
    assert (seen.breaker, seen.error_per_mille, seen.p50_ms, seen.p95_ms, seen.room) == ("closed", 0, 200, 900, "")
    for _ in range(FAILURES_MAX):
        health.tell(ok=False, now_seconds=1.0)
    assert health.look(input_tokens=10, now_seconds=1.0).breaker is BreakerState.OPEN
    assert not health.ask(1.0)
    assert health.look(input_tokens=10, now_seconds=6.0).breaker is BreakerState.HALF_OPEN
    assert health.ask(6.0)
    assert not health.ask(6.0)
    retries = sum(health.may_retry() for _ in range(20))
    assert retries == RETRIES_MAX
    for _ in range(11):
        health.attempted()
    assert health.may_retry()
