"""Rate limits: what providers' headers say is believed, what they do not say is not made up."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aos.kernel.models.rates import (
    BACKOFF_SECONDS_MAX,
    RESET_SECONDS,
    RESET_SECONDS_MAX,
    RateRoom,
    learn_rates,
    retry_after_seconds,
    retry_delay,
)

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


def learned(headers: dict[str, str], *, status: int = 200, room: RateRoom | None = None) -> RateRoom:
    return learn_rates(room or RateRoom(), headers, status=status, now_seconds=100.0, now=NOW)


@pytest.mark.parametrize(
    ("headers", "room"),
    [
        (
            {
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": "6m0s",
                "x-ratelimit-remaining-tokens": "149984",
                "x-ratelimit-reset-tokens": "20ms",
            },
            RateRoom(0, 460.0, 149_984, 100.02),
        ),
        ({"x-ratelimit-remaining-requests": "3", "x-ratelimit-reset-requests": "1h2m3.5s"}, RateRoom(3, 3700.0)),
        ({"x-ratelimit-remaining-requests": "3", "x-ratelimit-reset-requests": "1m30s"}, RateRoom(3, 190.0)),
        ({"x-ratelimit-remaining-tokens": "7"}, RateRoom(tokens_left=7, tokens_until=100 + RESET_SECONDS)),
        (
            {
                "anthropic-ratelimit-requests-remaining": "0",
                "anthropic-ratelimit-requests-reset": "2026-11-23T12:00:09Z",
                "anthropic-ratelimit-input-tokens-remaining": "500",
                "anthropic-ratelimit-input-tokens-reset": "2026-11-23T13:00:30+01:00",
                "anthropic-ratelimit-tokens-remaining": "900",
            },
            RateRoom(0, 109.0, 500, 130.0),
        ),
        (
            {"x-ratelimit-remaining-req-minute": "5", "x-ratelimit-remaining-tokens-minute": "9"},
            RateRoom(5, 160.0, 9, 160.0),
        ),
        (
            {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "9999h"},
            RateRoom(0, 100 + RESET_SECONDS_MAX),
        ),
        (
            {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "soon"},
            RateRoom(0, 100 + RESET_SECONDS),
        ),
        ({"x-ratelimit-remaining-requests": "many"}, RateRoom()),
        ({"x-ratelimit-remaining-requests": "-1"}, RateRoom()),
        ({"content-type": "application/json"}, RateRoom()),
    ],
)
def test_what_a_provider_says_of_its_limits_is_learned(headers: dict[str, str], room: RateRoom) -> None:
    found = learned(headers)
    assert (found.requests_left, found.tokens_left) == (room.requests_left, room.tokens_left)
    assert found.requests_until == pytest.approx(room.requests_until)
    assert found.tokens_until == pytest.approx(room.tokens_until)
    assert found.blocked_until == 0


def test_a_limit_that_a_later_answer_does_not_speak_of_stands() -> None:
    room = learned({"x-ratelimit-remaining-tokens": "7"})
    both = learned({"x-ratelimit-remaining-requests": "1"}, room=room)
    assert (both.requests_left, both.tokens_left) == (1, 7)


@pytest.mark.parametrize(
    ("room", "tokens", "now_seconds", "reason"),
    [
        (RateRoom(), 10**9, 0.0, ""),
        (RateRoom(0, 10.0), 1, 8.0, "no request left for 2.0 s"),
        (RateRoom(0, 10.0), 1, 10.0, ""),
        (RateRoom(1, 10.0), 1, 8.0, ""),
        (RateRoom(tokens_left=99, tokens_until=10.0), 100, 9.5, "99 tokens left for 0.5 s"),
        (RateRoom(tokens_left=100, tokens_until=10.0), 100, 9.5, ""),
        (RateRoom(blocked_until=10.0), 1, 9.0, "asked to wait 1.0 s"),
    ],
)
def test_a_request_has_no_room_only_while_its_limit_stands(
    room: RateRoom, tokens: int, now_seconds: float, reason: str
) -> None:
    found, seconds = room.lacks(tokens, now_seconds)
    assert reason in found
    assert bool(found) is bool(reason) is (seconds > 0)


@pytest.mark.parametrize(
    ("status", "headers", "until"),
    [
        (429, {"retry-after": "7"}, 107.0),
        (429, {}, 101.0),
        (529, {"retry-after": "2.5"}, 102.5),
        (429, {"retry-after": "86400"}, 100 + RESET_SECONDS_MAX),
        (500, {"retry-after": "7"}, 0.0),
    ],
)
def test_a_provider_that_refuses_is_left_alone_as_long_as_it_asks(
    status: int, headers: dict[str, str], until: float
) -> None:
    assert learned(headers, status=status).blocked_until == until


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": " 0 "}, 0.0),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after": "Mon, 23 Nov 2026 12:00:05 GMT"}, 5.0),
        ({"retry-after": "Mon, 23 Nov 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after": "Mon, 31 Feb 2026 11:00:00 GMT"}, None),
        ({"retry-after": "Mon, 23 Foo 2026 11:00:00 GMT"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "1e9"}, None),
        ({"retry-after": ""}, None),
        ({}, None),
    ],
)
def test_how_long_to_wait_is_read_in_every_form_or_not_at_all(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_seconds(headers, now=NOW) == seconds


@pytest.mark.parametrize(
    ("status", "headers", "attempt", "seconds"),
    [
        (500, {}, 1, 0.5),
        (502, {}, 2, 1.0),
        (503, {}, 3, 2.0),
        (504, {}, 4, 4.0),
        (529, {}, 5, BACKOFF_SECONDS_MAX),
        (429, {}, 10_000, BACKOFF_SECONDS_MAX),
        (408, {}, 1, 0.5),
        (429, {"retry-after": "3"}, 1, 3.0),
        (429, {"retry-after": "61"}, 1, None),
        (500, {"x-should-retry": "false"}, 1, None),
        (400, {"x-should-retry": "true"}, 1, 0.5),
        (400, {}, 1, None),
        (401, {}, 1, None),
        (404, {}, 1, None),
        (422, {}, 1, None),
        (501, {}, 1, None),
    ],
)
def test_an_answer_is_tried_again_only_where_that_can_help(
    status: int, headers: dict[str, str], attempt: int, seconds: float | None
) -> None:
    assert retry_delay(status, headers, attempt, fraction=0.0) == seconds


@given(st.integers(1, 100), st.floats(0, 1, exclude_max=True))
def test_the_jitter_takes_at_most_a_quarter_off(attempt: int, fraction: float) -> None:
    full, less = (retry_delay(503, {}, attempt, fraction=each) for each in (0.0, fraction))
    assert full is not None
    assert less is not None
    assert full * 0.75 <= less <= full <= BACKOFF_SECONDS_MAX


names = st.sampled_from(
    [
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-requests",
        "x-ratelimit-remaining-tokens",
        "anthropic-ratelimit-requests-remaining",
        "anthropic-ratelimit-requests-reset",
        "retry-after",
        "retry-after-ms",
        "x-should-retry",
    ]
)


@given(st.dictionaries(names, st.text(max_size=30) | st.integers().map(str)), st.sampled_from([200, 429, 500, 529]))
def test_no_header_however_malformed_fails_a_call_or_blocks_for_ever(headers: dict[str, str], status: int) -> None:
    room = learned(headers, status=status)
    latest = max(room.requests_until, room.tokens_until, room.blocked_until)
    assert latest <= 100 + RESET_SECONDS_MAX
    assert room.lacks(10**9, 100 + RESET_SECONDS_MAX) == ("", 0)
    retry_delay(status, headers, 1, fraction=0.5, now=NOW)
