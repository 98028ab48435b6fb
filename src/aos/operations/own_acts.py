"""Acts whose effect lies in AOS's own database (a run, a spawned task): decided like any act, performed by a statement.

Intent, effect and outcome of such an act are one transaction, so it is never unknown. This module decides, and records a
refusal or an escalation as the gate does; the caller writes what is allowed, with its effect, in a statement of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

from aos.kernel.acts import Act, Pending, Recorded, Refused
from aos.kernel.agents import Agent
from aos.kernel.errors import StaleFacts
from aos.kernel.limits import STALE_RETRIES_MAX
from aos.kernel.policy.values import Decision, Outcome
from aos.operations.admission import Admission, AdmissionWriter, Written
from aos.operations.decided import Decided, escalation, reasons_of, refusal
from aos.operations.drivers import Drivers
from aos.operations.facts import FactsCache, OrganizationFacts
from aos.operations.gate import Gate
from aos.operations.group_commit import GroupCommit
from aos.operations.prior import Approved, PriorReader
from aos.store.hot.database import Database


@dataclass(frozen=True, slots=True)
class Allowed:
    """An act that may be performed, with all it was decided on; the approval that it needed is used with its effect."""

    act: Act
    decision: Decision
    facts: OrganizationFacts
    agent: Agent | None
    action_id: UUID
    approval_id: UUID | None = None


Ruling: TypeAlias = Allowed | Recorded | Pending | Refused


class OwnActs:
    """Decides acts on behalf of the statements that perform them."""

    def __init__(self, database: Database, facts: FactsCache, gate: Gate, drivers: Drivers) -> None:
        self._facts = facts
        self._gate = gate
        self._drivers = drivers
        self._prior = PriorReader(database, drivers)
        self._admissions = GroupCommit(AdmissionWriter(database).flush, name="own-admit", weigh=Admission.bytes)

    async def rule_on(self, act: Act, *, look_back: bool = True) -> Ruling:
        """Return what is recorded of `act`, or decide it: allowed acts are the caller's to perform.

        `look_back` False skips the look for what is recorded, where the caller knows that there is nothing. Raises
        StaleFacts where facts changed at every try.
        """
        newer_than: int | None = None
        for _ in range(STALE_RETRIES_MAX + 1):
            facts = await self._facts.of(act.principal.organization_id, newer_than=newer_than)
            prior = await self._prior.prior(act, facts.data_keys) if look_back else None
            if isinstance(prior, Recorded | Pending):
                return prior
            approved = prior if isinstance(prior, Approved) else None
            ruling = await self._decide(act, facts, approved)
            if ruling is not None:
                return ruling
            newer_than = await self.outdated(facts)
        raise StaleFacts(f"what `{act.action}` was decided on changed {STALE_RETRIES_MAX + 1} times; nothing was done")

    async def outdated(self, facts: OrganizationFacts) -> int | None:
        """Return the epoch that was decided on if it is no longer the organization's; call it when a write found none."""
        await self._facts.refresh()
        fresh = await self._facts.of(facts.id)
        return facts.epoch if fresh.epoch == facts.epoch else None

    async def drain(self) -> None:
        """Return when every refusal and escalation is written."""
        await self._admissions.drain()

    async def _decide(self, act: Act, facts: OrganizationFacts, approved: Approved | None) -> Ruling | None:
        """Return the ruling, None where its record found that the facts no longer held."""
        rules = approved.rules if approved is not None else {}
        decision = await self._gate.judge(act, facts, approved=rules)
        agent = facts.agent_of(act.principal)
        action_id = approved.action_id if approved is not None else self._drivers.ids.new()
        if decision.outcome is Outcome.ALLOW:
            approval_id = approved.approval_id if approved is not None else None
            return Allowed(act, decision, facts, agent, action_id, approval_id)
        decided = Decided(act, decision, facts, action_id, agent)
        now = self._facts.now()
        if decision.outcome is Outcome.DENY:
            member = refusal(decided, now=now, drivers=self._drivers)
            if await self._admissions.submit(member) is Written.STALE:
                return None
            return Refused(action_id, "denied", decision.reason, reasons_of(decision))
        approval_id = self._drivers.ids.new()
        supersedes = approved.approval_id if approved is not None else None
        member = escalation(decided, approval_id=approval_id, now=now, drivers=self._drivers, supersedes=supersedes)
        if await self._admissions.submit(member) is Written.STALE:
            return None
        return Pending(action_id, approval_id, decision.reason)
