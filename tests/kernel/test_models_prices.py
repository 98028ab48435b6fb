"""Prices: what a call costs is exact, and what is held for it is never less."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aos.kernel.dialects.values import Dialect, Tokens
from aos.kernel.errors import Misconfigured
from aos.kernel.models.catalogue import models
from aos.kernel.models.prices import FREE, affordable_output, cost, measures, most, price_of
from aos.kernel.models.values import Model, Price, Provider
from aos.kernel.money import Money, parse_money

TODAY = date(2026, 11, 23)
UNIT = 1_000_000_000

MODEL = Model(
    UUID(int=1),
    "some",
    1,
    Provider.COMPATIBLE,
    "some",
    "https://models.example/v1",
    (Dialect.CHAT,),
    output_tokens_max=10_000,
)
TIERED = (
    Price("USD", 3 * UNIT, 15 * UNIT, UNIT * 3 // 10, UNIT * 15 // 4),
    Price("USD", 6 * UNIT, 22 * UNIT, UNIT * 6 // 10, UNIT * 15 // 2, above_tokens=200_001),
    Price("USD", 2 * UNIT, 10 * UNIT, since=date(2026, 3, 13)),
)

rates = st.integers(0, 200 * UNIT)
some_prices = st.lists(
    st.builds(
        Price,
        st.just("USD"),
        rates,
        rates,
        st.none() | rates,
        st.none() | rates,
        st.none() | rates,
        since=st.sampled_from([date(1970, 1, 1), date(2026, 3, 13), date(2027, 1, 1)]),
        above_tokens=st.sampled_from([0, 1_000, 200_001]),
    ),
    min_size=1,
    max_size=5,
).map(tuple)
counts = st.integers(0, 400_000)
some_tokens = st.builds(
    Tokens, input=counts, cached=counts, cache_writes=counts, cache_writes_hour=counts, output=counts, reasoning=counts
)
days = st.dates(date(2026, 1, 1), date(2027, 6, 1))


@pytest.mark.parametrize(
    ("tokens", "on", "expected"),
    [
        (Tokens(input=1_000_000, output=1_000_000), date(2026, 3, 13), "12.00 USD"),
        (Tokens(input=1_000_000, output=1_000_000), date(2026, 3, 12), "28.00 USD"),
        (Tokens(input=200_000), date(2026, 3, 12), "0.60 USD"),
        (Tokens(input=200_001), date(2026, 3, 12), "1.200006 USD"),
        (Tokens(input=1_000, cached=400, cache_writes=100), date(2026, 3, 12), "0.001995 USD"),
        (Tokens(input=1_000, cached=1_000), date(2026, 3, 13), "0.002 USD"),
        (Tokens(output=1_000, reasoning=900), date(2026, 3, 13), "0.01 USD"),
        (Tokens(), TODAY, "0.00 USD"),
    ],
)
def test_a_call_costs_what_the_price_of_its_day_and_length_says(tokens: Tokens, on: date, expected: str) -> None:
    assert cost(TIERED, tokens, on=on) == parse_money(expected)


def test_a_cost_is_rounded_half_up_once_over_all_its_parts() -> None:
    price = (Price("USD", 400_000, 100_000),)
    assert cost(price, Tokens(input=1), on=TODAY).nanos == 0
    assert cost(price, Tokens(input=1, output=1), on=TODAY).nanos == 1


def test_what_is_kept_for_an_hour_in_a_cache_has_its_own_rate() -> None:
    price = (Price("USD", 3_000_000, 0, 300_000, 4_000_000, 6_000_000),)
    assert cost(price, Tokens(input=10, cache_writes=10, cache_writes_hour=4), on=TODAY).nanos == 6 * 4 + 4 * 6


def test_before_the_first_day_named_the_first_price_holds() -> None:
    price = (Price("USD", 1, 1, since=date(2027, 1, 1)), Price("USD", 2, 2, since=date(2028, 1, 1)))
    assert price_of(price, input_tokens=0, on=TODAY) is price[0]


def test_a_model_without_a_price_is_an_error_and_never_free() -> None:
    with pytest.raises(Misconfigured, match="no price"):
        cost((), Tokens(), on=TODAY)
    with pytest.raises(Misconfigured, match="no price"):
        most(MODEL, input_tokens_max=1, output_tokens_max=1, choices=1, on=TODAY)


@given(some_prices, some_tokens, days)
def test_the_lines_of_a_usage_add_up_to_its_cost_and_none_is_negative(
    prices: tuple[Price, ...], tokens: Tokens, on: date
) -> None:
    lines = measures(prices, tokens, on=on)
    assert sum(line.cost_nanos for line in lines) == cost(prices, tokens, on=on).nanos
    assert all(line.cost_nanos >= 0 and line.quantity > 0 for line in lines)
    inputs = sum(line.quantity for line in lines if line.unit.endswith("input_tokens") or "cache_write" in line.unit)
    assert inputs == tokens.input
    assert {line.unit: line.quantity for line in lines}.get("reasoning_tokens", 0) == tokens.reasoning


@given(some_prices, some_tokens, days, st.integers(1, 8), st.data())
def test_no_call_within_its_bounds_costs_more_than_was_held(
    prices: tuple[Price, ...], tokens: Tokens, on: date, choices: int, data: st.DataObject
) -> None:
    input_max = tokens.input + data.draw(counts)
    output_max = -(-tokens.output // choices) + data.draw(st.integers(0, 1_000))
    held = most(
        replace(MODEL, prices=prices), input_tokens_max=input_max, output_tokens_max=output_max, choices=choices, on=on
    )
    assert cost(prices, tokens, on=on).nanos <= held.nanos


@given(some_prices, counts, days, st.integers(1, 8), st.integers(0, 3_000 * UNIT))
def test_the_output_that_a_room_affords_fits_it_and_one_more_would_not(
    prices: tuple[Price, ...], input_max: int, on: date, choices: int, room: int
) -> None:
    model = replace(MODEL, prices=prices)

    def held(output: int) -> Money:
        return most(model, input_tokens_max=input_max, output_tokens_max=output, choices=choices, on=on)

    output = affordable_output(model, room, input_tokens_max=input_max, choices=choices, on=on)
    assert 0 <= output <= model.output_tokens_max
    assert held(output).nanos <= room or output == 0
    assert output == model.output_tokens_max or held(output + 1).nanos > room


@pytest.mark.parametrize("known", [model for model in models() if model.prices], ids=lambda model: str(model.name))
def test_every_priced_model_of_the_catalogue_has_one_currency_a_source_and_a_price_for_any_length(known) -> None:
    assert {price.currency for price in known.prices} == {"USD"}
    assert all(price.source for price in known.prices)
    assert all(price.cached is None or price.cached <= price.input for price in known.prices)
    for input_tokens in (0, 1, 272_000, 272_001, 10_000_000):
        found = price_of(known.prices, input_tokens=input_tokens, on=TODAY)
        assert found.above_tokens <= input_tokens
    longer = cost(known.prices, Tokens(input=300_000, output=10), on=TODAY)
    assert longer.nanos >= cost(known.prices, Tokens(input=1_000, output=10), on=TODAY).nanos


def test_the_free_price_costs_nothing() -> None:
    assert cost((FREE,), Tokens(input=10**9, output=10**9), on=TODAY).nanos == 0
