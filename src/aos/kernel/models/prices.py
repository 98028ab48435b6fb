"""What a model call costs: exactly afterwards, and at most beforehand.

Both read the same dated prices. A sum is taken over all parts and rounded once: half up for what is paid, up for what is
held. So a hold never lies under the cost it stands for, whatever of the input turns out to be cached or written to a cache.
Hand the same day to `most` and `cost` of one call: a price that changes at midnight must not come between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from aos.kernel.dialects.values import Tokens
from aos.kernel.errors import Misconfigured
from aos.kernel.models.values import Model, Price
from aos.kernel.money import Money

PER: Final = 1_000_000
"""Prices are for so many tokens."""

FREE: Final = Price(currency="USD", input=0, output=0)
"""The price of a model that costs nothing."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One line of a call's usage: how much of what, and its part of the cost."""

    unit: str
    quantity: int
    cost_nanos: int


def price_of(prices: Sequence[Price], *, input_tokens: int, on: date) -> Price:
    """Return the price that holds for a call with so many input tokens on a day.

    Of the days named the last that is not in the future counts, before the first of them the first; of its prices the one
    for the longest input that is reached. Raises Misconfigured where there is no price at all.
    """
    return _reached(prices, input_tokens, on)[-1]


def cost(prices: Sequence[Price], tokens: Tokens, *, on: date) -> Money:
    """Return what a call costs, in nanos rounded half up once. Raises Misconfigured where there is no price."""
    price = price_of(prices, input_tokens=tokens.input, on=on)
    return Money(_half_up(sum(quantity * rate for _, quantity, rate in _parts(price, tokens))), price.currency)


def measures(prices: Sequence[Price], tokens: Tokens, *, on: date) -> tuple[Measure, ...]:
    """Return the lines of a call's usage, whose costs add up to `cost` exactly; parts that were not used are left out.

    The lines do not overlap: `input_tokens` are those at the full rate, beside `cached_input_tokens`, `cache_write_tokens`
    and `cache_write_hour_tokens`; together they are the input that the provider reported. `reasoning_tokens` alone is
    a part of another line, `output_tokens`, and therefore costs nothing of its own.
    """
    price = price_of(prices, input_tokens=tokens.input, on=on)
    lines, scaled, paid = [], 0, 0
    for unit, quantity, rate in _parts(price, tokens):
        scaled += quantity * rate
        upto = _half_up(scaled)
        if quantity:
            lines.append(Measure(unit, quantity, upto - paid))
            paid = upto
    if tokens.reasoning:
        lines.append(Measure("reasoning_tokens", tokens.reasoning, 0))
    return tuple(lines)


def most(model: Model, *, input_tokens_max: int, output_tokens_max: int, choices: int, on: date) -> Money:
    """Return what a call costs at most: all input at its dearest rate, every choice as long as it may be, rounded up.

    Every price that an input within the bound can reach is looked at. Raises Misconfigured where there is no price.
    """
    reached = _reached(model.prices, input_tokens_max, on)
    output = output_tokens_max * choices
    dearest = max(input_tokens_max * _dearest_input(price) + output * price.output for price in reached)
    return Money(-(-dearest // PER), reached[-1].currency)


def affordable_output(model: Model, room_nanos: int, *, input_tokens_max: int, choices: int, on: date) -> int:
    """Return the longest output of each choice, within the model's own limit, whose `most` is within the room.

    The room is in nanos of the prices' currency. 0: not one token can be afforded. Raises Misconfigured where there is
    no price.
    """
    longest = model.output_tokens_max
    for price in _reached(model.prices, input_tokens_max, on):
        left = room_nanos * PER - input_tokens_max * _dearest_input(price)
        if left < 0:
            return 0
        if price.output and choices:
            longest = min(longest, left // (price.output * choices))
    return longest


def _reached(prices: Sequence[Price], input_tokens: int, on: date) -> list[Price]:
    """Return the prices of the day that an input of up to so many tokens can reach, the one it does reach last."""
    if not prices:
        raise Misconfigured("the model has no price: say `price:` for it, or `price: free`")
    if len(prices) == 1:
        return [*prices]
    begun = [price.since for price in prices if price.since <= on]
    day = max(begun) if begun else min(price.since for price in prices)
    of_day = sorted((price for price in prices if price.since == day), key=lambda price: price.above_tokens)
    return [price for price in of_day if price.above_tokens <= input_tokens] or of_day[:1]


def _parts(price: Price, tokens: Tokens) -> tuple[tuple[str, int, int], ...]:
    """Return unit, quantity and rate of the parts of a call that do not overlap.

    A provider that reports a part larger than its whole is held to the whole, which is what the hold was made for.
    """
    cached = min(tokens.cached, tokens.input)
    written = min(tokens.cache_writes, tokens.input - cached)
    for_hour = min(tokens.cache_writes_hour, written)
    writes = _cache_writes(price)
    return (
        ("input_tokens", tokens.input - cached - written, price.input),
        ("cached_input_tokens", cached, price.input if price.cached is None else price.cached),
        ("cache_write_tokens", written - for_hour, writes),
        ("cache_write_hour_tokens", for_hour, _cache_writes_hour(price)),
        ("output_tokens", tokens.output, price.output),
    )


def _cache_writes(price: Price) -> int:
    return price.input if price.cache_writes is None else price.cache_writes


def _cache_writes_hour(price: Price) -> int:
    return _cache_writes(price) if price.cache_writes_hour is None else price.cache_writes_hour


def _dearest_input(price: Price) -> int:
    return max(price.input, price.cached or 0, _cache_writes(price), _cache_writes_hour(price))


def _half_up(scaled: int) -> int:
    return (scaled + PER // 2) // PER
