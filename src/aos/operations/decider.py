"""One decision: what the kernel is given to read of an act, and what it says. Nothing here writes or holds anything.

The gate decides by it, and so does whoever asks only what would be decided.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from aos.kernel.acts import Act, ActKind
from aos.kernel.agents import Agent
from aos.kernel.budget import Hold, holds_of
from aos.kernel.identity import PrincipalKind
from aos.kernel.json import Json
from aos.kernel.money import Money
from aos.kernel.policy.decide import decide
from aos.kernel.policy.values import Decision, Facts, Subject
from aos.kernel.tools import Tool
from aos.operations.admission import read_accounts
from aos.operations.facts import FactsCache, OrganizationFacts
from aos.operations.run_facts import RunFactsCache
from aos.store.hot.database import Database


class Decider:
    """Decides in one process."""

    def __init__(self, database: Database, facts: FactsCache, runs: RunFactsCache) -> None:
        self._database = database
        self._facts = facts
        self._runs = runs

    async def decision(
        self,
        act: Act,
        facts: OrganizationFacts,
        *,
        looked_up: Mapping[str, Json],
        approved: Mapping[str, int],
    ) -> Decision:
        """Decide on given facts, with what was looked up and what a person's yes covers."""
        agent, tool = facts.agent_of(act.principal), facts.tools.get(act.name) if act.kind is ActKind.TOOL else None
        seen = self._seen(
            facts,
            _subject(act, agent),
            clock=act.clock,
            origins=await self._runs.origins(act, tool) if tool is not None and tool.sinks else {},
            looked_up=looked_up,
            budget_left_nanos=await self._budget_left(act, facts, agent=agent, tool=tool),
            approved=approved,
        )
        return decide(facts.policies, act, agents=facts.agents, tool=tool, facts=seen)

    async def decisions(self, acts: Sequence[Act], facts: OrganizationFacts) -> list[Decision]:
        """Decide each of many acts of one principal, with nothing looked up and nothing approved."""
        agent = facts.agent_of(acts[0].principal)
        # What does not differ from act to act is made once: sixty-four decisions then cost little more than their rules.
        alike = self._seen(facts, _subject(acts[0], agent))
        known: dict[tuple[ActKind, str], tuple[Tool | None, bool]] = {}
        decisions = []
        for act in acts:
            found = known.get((act.kind, act.name))
            if found is None:
                tool = facts.tools.get(act.name) if act.kind is ActKind.TOOL else None
                differs = (tool is not None and bool(tool.sinks)) or _reads_budget(act, facts, agent=agent, tool=tool)
                found = known[act.kind, act.name] = tool, differs
            tool, differs = found
            if differs or act.clock is not None:
                decisions.append(await self.decision(act, facts, looked_up={}, approved={}))
            else:
                decisions.append(decide(facts.policies, act, agents=facts.agents, tool=tool, facts=alike))
        return decisions

    async def holds(
        self, act: Act, facts: OrganizationFacts, *, agent: Agent | None, price: Money | None
    ) -> tuple[Hold, ...]:
        """Return what of a price is held on which budgets above an act."""
        if price is None:
            return ()
        budgets = (*await self._runs.budgets(act), *facts.budgets_above(agent))
        now = self._facts.now().astimezone(facts.settings.zone)
        return holds_of(price, budgets, organization_id=facts.id, now=now, rates=facts.settings.rates)

    def _seen(self, facts: OrganizationFacts, subject: Subject, *, clock: datetime | None = None, **more: Any) -> Facts:
        """Return what a decision of now may read, beside the act itself."""
        now = self._facts.now()
        zone = facts.settings.zone
        return Facts(
            subject=subject,
            now=(clock or now).astimezone(zone),
            decided_at=now.astimezone(zone),
            environment=facts.settings.environment,
            **more,
        )

    async def _budget_left(
        self, act: Act, facts: OrganizationFacts, *, agent: Agent | None, tool: Tool | None
    ) -> int | None:
        """Return the least room of any budget above the act, read only where a rule names it."""
        if not _reads_budget(act, facts, agent=agent, tool=tool):
            return None
        holds = await self.holds(act, facts, agent=agent, price=Money(0, facts.settings.currency))
        accounts = await read_accounts(self._database, holds)
        return min((account.room_nanos for account in accounts), default=None)


def _reads_budget(act: Act, facts: OrganizationFacts, *, agent: Agent | None, tool: Tool | None) -> bool:
    """Say whether a rule that may match an act names what is left of its budgets."""
    found = facts.policies.rules_for(act, agent=agent, tool=tool)
    return any(name == "budget.left" for name, _ in found.inputs)


def _subject(act: Act, agent: Agent | None) -> Subject:
    chain = tuple(str(link) for link in act.principal.chain)
    actor = act.principal.actor
    if agent is None:
        kind = actor.kind.value if actor.kind is not PrincipalKind.AGENT else "unknown"
        return Subject(actor.name, kind, "", "normal", chain)
    return Subject(agent.name, agent.type.value, agent.department, agent.risk, chain, agent.owner)
