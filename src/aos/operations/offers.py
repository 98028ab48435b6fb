"""What an act may cost at most before it is done: what the gate holds on its budgets.

A tool has one price. A model act has a bound: its input counted as if every byte were a token, and the output limit; where
the caller gave none, the limit is the smaller of the model's own and what the budget affords.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from aos.kernel.acts import Act, ModelAsk
from aos.kernel.budget import NoRoom, in_currency
from aos.kernel.errors import BudgetSpent, FieldError, NotFound
from aos.kernel.models.prices import affordable_output, most
from aos.kernel.models.values import Model
from aos.kernel.money import Money
from aos.kernel.tools import Tool
from aos.operations.facts import OrganizationFacts, Settings

OUTPUT_TOKENS_LEAST = 16
"""With fewer tokens to answer with than these an answer is not worth asking for: the budget is spent."""
_NANOS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Offer:
    """What an act costs at most, and how long it may take."""

    price: Money | None
    timeout_seconds: float
    models: tuple[Model, ...] = ()
    output_limit: int | None = None
    shrinks: bool = False
    """Whether the output limit is ours to choose."""
    priced_on: date | None = None


def offer_of(act: Act, tool: Tool | None, facts: OrganizationFacts, *, now: datetime) -> Offer:
    """Return what `act` may cost; raise BudgetSpent where a price is in a currency without a rate."""
    if tool is not None:
        return Offer(tool.price if tool.price is not None and tool.price.nanos else None, tool.timeout_seconds)
    ask = act.model
    if ask is None:
        return Offer(None, 60)
    models = tuple(facts.models[name] for name in ask.models if name in facts.models)
    if not models:
        detail = f"there is no model `{act.name}` any more"
        raise NotFound(detail, errors=[FieldError("/model", detail)])
    timeout = max((model.timeout_seconds for model in models), default=60)
    if ask.free:
        return Offer(None, timeout, models, priced_on=now.date())
    limit = ask.output_limit if ask.output_limit is not None else max(model.output_tokens_max for model in models)
    on = now.date()
    price = bound_price(models, ask, limit, settings=facts.settings, on=on)
    shrinks = ask.output_limit is None
    return Offer(price if price.nanos else None, timeout, models, limit, shrinks=shrinks, priced_on=on)


def smaller(offer: Offer, act: Act, grant: NoRoom, facts: OrganizationFacts) -> Offer | None:
    """Return an offer whose output fits the room that there is, None where that is too little to answer with."""
    ask = act.model
    on = offer.priced_on
    if ask is None or not offer.shrinks or offer.output_limit is None or on is None:
        return None
    fits = min(_affordable(model, ask, grant, facts.settings, on=on) for model in offer.models)
    if not OUTPUT_TOKENS_LEAST <= fits < offer.output_limit:
        return None
    price = bound_price(offer.models, ask, fits, settings=facts.settings, on=on)
    return replace(offer, price=price, output_limit=fits)


def bound_price(models: Sequence[Model], ask: ModelAsk, limit: int, *, settings: Settings, on: date) -> Money:
    """Return what the dearest of the models that may be asked cost together, in the organization's currency.

    Raises BudgetSpent where a currency has no rate.
    """
    prices = [
        most(
            model,
            input_tokens_max=ask.input_tokens_max,
            output_tokens_max=limit,
            choices=ask.choices,
            on=on,
        )
        for model in models
    ]
    ours = sorted((_ours(price, settings).nanos for price in prices), reverse=True)
    return Money(sum(ours[: ask.at_most]), settings.currency)


def _ours(price: Money, settings: Settings) -> Money:
    """Return a price in the organization's currency; what is free is free in every currency."""
    return in_currency(price, settings.currency, rates=settings.rates) if price.nanos else Money(0, settings.currency)


def _affordable(model: Model, ask: ModelAsk, grant: NoRoom, settings: Settings, *, on: date) -> int:
    """Return how many tokens of output the room pays for, the share of each model where several may be asked."""
    room = max(grant.room_nanos, 0) // ask.at_most
    currency = most(model, input_tokens_max=0, output_tokens_max=0, choices=1, on=on).currency
    if currency != grant.currency:
        rate = settings.rates.get(currency)
        if grant.currency != settings.currency or not rate:
            raise BudgetSpent(f"no rate from {currency} to {grant.currency}")
        room = room * _NANOS // rate
    return affordable_output(model, room, input_tokens_max=ask.input_tokens_max, choices=ask.choices, on=on)
