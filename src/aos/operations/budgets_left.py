"""What may still be spent for a task: the least room of any budget above it."""

from __future__ import annotations

from aos.kernel.agents import Agent
from aos.kernel.budget import holds_of
from aos.kernel.identity import Principal
from aos.kernel.money import Money
from aos.operations.admission import read_accounts
from aos.operations.facts import FactsCache
from aos.operations.run_facts import RunFactsCache
from aos.store.hot.database import Database


async def budget_left(
    database: Database, facts: FactsCache, runs: RunFactsCache, *, principal: Principal, agent: Agent
) -> Money | None:
    """Return the least room of the budgets above an agent's task, in the organization's currency; None without any.

    Budgets in another currency are left out: what is told to others is one amount.
    """
    known = await facts.of(principal.organization_id)
    budgets = (*(await runs.budgets_of(principal)), *known.budgets_above(agent))
    currency, now = known.settings.currency, facts.now().astimezone(known.settings.zone)
    nothing = Money(0, currency)
    holds = holds_of(nothing, budgets, organization_id=known.id, now=now, rates=known.settings.rates)
    accounts = [each for each in await read_accounts(database, holds) if each.currency == currency]
    room = min((each.room_nanos for each in accounts), default=None)
    return None if room is None else Money(max(room, 0), currency)
