"""The one gate: every governed act passes `admit`, is performed, and passes `conclude`; `perform` joins them.

The two halves may run in different processes. Whatever a door, a worker or an agent wants done comes through here; there
is no privileged path. Rules a reader must not break:
- Nothing is performed before its intent is committed, and nothing is answered before its outcome is.
- A decision made on facts that changed before the intent was written is made again, at most twice.
- `conclude` is shielded from the caller's cancellation and writes an outcome once.
- An outcome that cannot be committed is answered `unavailable` with the action's id; the act is never made again for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias
from uuid import UUID

from aos.kernel.acts import Act, ActionState, ActKind, Pending, Permit, Recorded, Refused
from aos.kernel.budget import NoRoom, NoTurn
from aos.kernel.errors import (
    AosError,
    BudgetSpent,
    Denied,
    RateLimited,
    StaleClaim,
    StaleFacts,
    Unauthenticated,
    Unavailable,
)
from aos.kernel.identity import Principal
from aos.kernel.json import MISSING, Json, read_path
from aos.kernel.limits import REPEATS_MAX, STALE_RETRIES_MAX
from aos.kernel.policy.values import Decision, Outcome
from aos.kernel.ports import ToolOutcome
from aos.kernel.schema import check
from aos.kernel.tools import Tool
from aos.operations.admission import Admission, AdmissionWriter, Written
from aos.operations.authenticate import claim_stands, credential_stands
from aos.operations.concluded import conclusion
from aos.operations.conclusion import Conclusion, ConclusionWriter
from aos.operations.decided import Decided, escalation, intent, reasons_of, refusal, with_bad_arguments_refused
from aos.operations.decider import Decider
from aos.operations.drivers import Drivers
from aos.operations.facts import FactsCache, OrganizationFacts
from aos.operations.group_commit import GATHER_SECONDS, GroupCommit
from aos.operations.offers import Offer, offer_of, smaller
from aos.operations.prior import Approved, PriorReader, Unknown
from aos.operations.repeats import is_repeatable, may_repeat, repeat_key
from aos.operations.rooms import LineKey, Rooms, missing_of
from aos.operations.run_facts import RunFactsCache
from aos.store.hot.database import Database

log = logging.getLogger("aos.operations")

Admitted: TypeAlias = Permit | Recorded | Pending | Refused
Performed: TypeAlias = Recorded | Pending | Refused
Granted: TypeAlias = Written | NoRoom | NoTurn

CONCLUDE_GRACE_SECONDS: Final = 30.0
"""How long after an act's own deadline the sweep leaves it to its performer."""
TURN_SECONDS: Final = 1
"""After how long a caller is told to ask again for a tool or a model of which as many calls are under way as may be."""
_CONCLUDE_PAUSES_SECONDS: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0)


@dataclass(slots=True)
class _Asking:
    """An allowed act on its way to its intent; what it offers shrinks where there is less room."""

    decided: Decided
    offer: Offer
    permit: Permit


class Gate:
    """The gate of one process."""

    def __init__(self, database: Database, facts: FactsCache, runs: RunFactsCache, drivers: Drivers) -> None:
        self._database = database
        self._facts = facts
        self._runs = runs
        self._decider = Decider(database, facts, runs)
        self._drivers = drivers
        self._prior = PriorReader(database, drivers)
        self._admissions = GroupCommit(
            AdmissionWriter(database).flush, name="admit", weigh=Admission.bytes, gather_seconds=GATHER_SECONDS
        )
        self._conclusions = GroupCommit(
            ConclusionWriter(database).flush, name="conclude", weigh=Conclusion.bytes, gather_seconds=GATHER_SECONDS
        )
        self._rooms = Rooms()
        self._concluding: set[asyncio.Task[Recorded]] = set()

    async def perform(self, act: Act) -> Performed:
        """Admit `act`, call its tool once and record the outcome; or return what stands instead of it.

        A call that was cut off, so that its outcome is unknown, is recorded as that; where the tool's `repeat` allows it
        the act is then admitted and made again at once, under the same key, while the tool's time lasts.
        """
        return await self._perform(act, looks_up=True)

    async def _perform(self, act: Act, *, looks_up: bool) -> Performed:
        ticker = self._drivers.ticker
        began = ticker.seconds()
        for repeats_left in reversed(range(REPEATS_MAX + 1)):
            admitted = await self._admit(act, looks_up=looks_up)
            if not isinstance(admitted, Permit):
                return admitted
            recorded = await self.perform_permitted(admitted)
            if not (repeats_left and is_repeatable(admitted, recorded, seconds=ticker.seconds() - began)):
                return recorded
        raise AssertionError("the last time is always returned")

    async def perform_permitted(self, permit: Permit) -> Recorded:
        """Call the tool of a permit and record the outcome, even where the caller stops waiting."""
        return await asyncio.shield(self._concluded(permit, self._call_and_conclude(permit)))

    async def conclude_shielded(self, permit: Permit, outcome: ToolOutcome) -> Recorded:
        """Record the outcome of a permit, even where the caller stops waiting; as `conclude`."""
        try:
            return await self.conclude(permit, outcome)
        except asyncio.CancelledError:
            self.conclude_soon(permit, outcome)  # written once, whichever of the two comes first
            raise

    def conclude_soon(self, permit: Permit, outcome: ToolOutcome) -> None:
        """Record the outcome of a permit whose caller is gone already; what goes wrong then is the sweep's."""
        self._concluded(permit, self.conclude(permit, outcome)).add_done_callback(_log_unrecorded)

    def _concluded(self, permit: Permit, work: Coroutine[Any, Any, Recorded]) -> asyncio.Task[Recorded]:
        task = asyncio.create_task(work, name=f"act-{permit.action_id}")
        self._concluding.add(task)
        task.add_done_callback(self._concluding.discard)
        return task

    async def check_stands(self, act: Act) -> OrganizationFacts:
        """Return the facts of now for an act under way; raise Unauthenticated or Denied where it would no longer be allowed.

        What a person's yes covers stays covered.
        """
        facts = await self._facts.of(act.principal.organization_id)
        await self._check_credential(act.principal, facts)
        decision = await self._decider.decision(act, facts, looked_up={}, approved={})
        if decision.outcome is Outcome.DENY:
            raise Denied(decision.reason, reasons=reasons_of(decision))
        return facts

    async def drain(self) -> None:
        """Return when every act that was admitted here is concluded."""
        while self._concluding:
            await asyncio.wait(self._concluding)
        await self._admissions.drain()
        await self._conclusions.drain()

    async def admit(self, act: Act) -> Admitted:
        """Decide `act` and record what was decided: a permit, what was recorded before, an approval, or a refusal.

        Raises StaleClaim where the task was taken away, StaleFacts where facts changed at every try, Unauthenticated
        where the credential was revoked since the principal was made of it, RateLimited where as many calls of the tool
        or model are under way as its limit allows, of a model for as long as an act waits: then nothing was written.
        """
        return await self._admit(act, looks_up=True)

    async def _admit(self, act: Act, *, looks_up: bool) -> Admitted:
        newer_than: int | None = None
        for _ in range(STALE_RETRIES_MAX + 1):
            facts = await self._facts.of(act.principal.organization_id, newer_than=newer_than)
            await self._check_credential(act.principal, facts)
            prior = await self._prior.prior(act, facts.data_keys)
            if isinstance(prior, Recorded | Pending):
                return prior
            answer = await self._decide_and_write(act, facts, prior, looks_up=looks_up)
            if answer is not None:
                return answer
            await self._raise_if_stale(act)
            newer_than = await self._outdated(facts)
        raise StaleFacts(f"what `{act.action}` was decided on changed {STALE_RETRIES_MAX + 1} times; nothing was done")

    async def recorded(self, act: Act) -> Recorded | None:
        """Return what came of the same act before, None where it is new, waits, or may be asked for again.

        Raises what `admit` raises for a key that was used for another act, or whose act is under way.
        """
        facts = await self._facts.of(act.principal.organization_id)
        await self._check_credential(act.principal, facts)
        prior = await self._prior.prior(act, facts.data_keys)
        return prior if isinstance(prior, Recorded) else None

    async def decide(self, act: Act, *, looked_up: Mapping[str, Json] | None = None) -> Decision:
        """Decide alone: no hold, no record, no claim that anything was done. Refuses on stale epochs."""
        if not self._facts.is_fresh():
            raise Unavailable("the epochs were not read within the last second; try again")
        facts = await self._facts.of(act.principal.organization_id)
        return await self._decider.decision(act, facts, looked_up=looked_up or {}, approved={})

    async def decide_all(self, acts: Sequence[Act], facts: OrganizationFacts) -> list[Decision]:
        """Decide each of many acts of one principal alone, as `decide`, on given facts; refuses on stale epochs.

        Raises Unauthenticated where the principal's credential ended under these facts.
        """
        if not self._facts.is_fresh():
            raise Unavailable("the epochs were not read within the last second; try again")
        await self._check_credential(acts[0].principal, facts)
        return await self._decider.decisions(acts, facts)

    async def judge(self, act: Act, facts: OrganizationFacts, *, approved: Mapping[str, int]) -> Decision:
        """Decide on given facts, for a statement that writes the act with its effect and compares their epoch itself."""
        return await self._decider.decision(act, facts, looked_up={}, approved=approved)

    async def conclude(self, permit: Permit, outcome: ToolOutcome) -> Recorded:
        """Record the outcome of a permit, once; a second conclusion returns the first.

        What the ledger says counts: an outcome that comes after the sweep recorded the act as unknown is not written, and
        `unknown` is the answer, as it is to whoever asks later.
        Raises StaleClaim where the permit's task was taken away: then nothing was written, and the sweep records the
        action as unknown.
        """
        act = permit.act
        facts = await self._facts.of(act.principal.organization_id)
        run = await self._runs.of(act) if act.principal.claim is not None else None
        member, recorded = conclusion(permit, outcome, facts, run=run, now=self._facts.now(), drivers=self._drivers)
        if await self._write_conclusion(permit, member):
            self._rooms.give_back(permit)
            return recorded
        await self._raise_if_stale(act)
        stands = await self._prior.outcome(facts.id, permit.action_id, facts.data_keys)
        if stands is None:
            raise _unrecorded(permit)
        return stands

    # --- the first half ------------------------------------------------------------------------------------------

    async def _decide_and_write(
        self, act: Act, facts: OrganizationFacts, prior: Approved | Unknown | None, *, looks_up: bool
    ) -> Admitted | None:
        """Return what was decided and written, None where the facts no longer held."""
        agent, tool = facts.agent_of(act.principal), facts.tools.get(act.name) if act.kind is ActKind.TOOL else None
        approval_id = prior.approval_id if isinstance(prior, Approved) else None
        action_id = prior.action_id if isinstance(prior, Approved) else self._drivers.ids.new()
        if isinstance(prior, Unknown) and not may_repeat(act, tool):
            detail = (
                f"`{act.name}` was called before and its outcome is not known; it is not made again without a person"
            )
            return Recorded(prior.action_id, ActionState.UNKNOWN, error="outcome-unknown", detail=detail, replayed=True)
        wrong = check(act.arguments, tool.schema) if tool is not None else []
        looked_up = await self._look_up(act, tool) if looks_up and not wrong else {}
        approved = prior.rules if isinstance(prior, Approved | Unknown) else {}
        decision = await self._decider.decision(act, facts, looked_up=looked_up, approved=approved)
        if tool is None:
            decided = Decided(act, decision, facts, action_id, agent)
        else:
            decided = Decided(act, decision, facts, action_id, agent, tool.id, tool.version, tool.effect.value)
            decided = with_bad_arguments_refused(decided, tool, wrong)
        match decided.decision.outcome:
            case Outcome.ALLOW:
                return await self._intend(decided, tool, approval_id=approval_id)
            case Outcome.ESCALATE:
                return await self._escalate(decided, supersedes=approval_id)
            case Outcome.DENY:
                return await self._refuse(decided)

    async def _intend(self, decided: Decided, tool: Tool | None, *, approval_id: UUID | None) -> Admitted | None:
        try:
            offer = offer_of(decided.act, tool, decided.facts, now=self._facts.now())
            asking = _Asking(decided, offer, await self._permit(decided, tool, offer, approval_id=approval_id))
            result = await self._ask(asking)
        except BudgetSpent as error:
            decision = replace(decided.decision, outcome=Outcome.DENY, reason=error.detail)
            return await self._refuse(replace(decided, decision=decision, error=error.slug))
        if isinstance(result, NoTurn):
            raise RateLimited(f"{result}; nothing was done", extra={"retry_after_seconds": TURN_SECONDS})
        if isinstance(result, NoRoom):
            return Refused(decided.action_id, "budget-spent", str(result), reasons_of(decided.decision))
        return asking.permit if result is Written.WRITTEN else None

    async def _permit(self, decided: Decided, tool: Tool | None, offer: Offer, *, approval_id: UUID | None) -> Permit:
        act = decided.act
        holds = await self._decider.holds(act, decided.facts, agent=decided.agent, price=offer.price)
        key = "" if offer.models else repeat_key(act, decided.action_id)  # no model's server is told one
        return Permit(
            decided.action_id,
            act,
            tool,
            holds,
            offer.price,
            key,
            approval_id,
            models=offer.models,
            output_limit=offer.output_limit,
            timeout_seconds=offer.timeout_seconds,
            priced_on=offer.priced_on,
        )

    async def _ask(self, asking: _Asking) -> Granted:
        """Return whether the intent was written; a model's act waits where others hold what is missing, and may ask for less."""
        waits = bool(asking.permit.models)
        line = self._rooms.line_of(asking.permit) if waits else None
        if line is None:
            result = await self._write_intent(asking, asks_again=waits)
            if isinstance(result, NoRoom) and await self._shrunk(asking, result):
                result = await self._write_intent(asking, asks_again=True)
            line = missing_of(result) if waits else None
            if line is None:
                return result
        return await self._wait(asking, line)

    async def _wait(self, asking: _Asking, line: LineKey) -> Granted:
        """Ask again in the order of arrival, as long as others hold what is missing; the last answer is written.

        Who has got to lack something of another kind goes over to that line: nobody waits behind it who does not need it.
        """
        until: dict[type[LineKey], float] = {}
        while True:
            ends = until.setdefault(type(line), self._drivers.ticker.seconds() + self._rooms.wait_seconds(line))
            with self._rooms.joined(line) as head:
                async with head:
                    result, following = await self._ask_in_line(asking, line, until=ends)
            if following is None:
                return result
            line = following

    async def _ask_in_line(self, asking: _Asking, line: LineKey, *, until: float) -> tuple[Granted, LineKey | None]:
        """Ask until an act is granted or refused, or has to go over to another line, which is returned with the answer."""
        while True:
            self._rooms.asks(line)
            result = await self._write_intent(asking, asks_again=True)
            missing = missing_of(result)
            if missing is None:
                return result, None
            if isinstance(result, NoRoom) and await self._shrunk(asking, result):
                continue
            elsewhere = type(missing) is not type(line)
            hopeless = isinstance(result, NoRoom) and not result.may_pass
            if hopeless or (not elsewhere and self._drivers.ticker.seconds() >= until):
                return await self._write_intent(asking, asks_again=False), None
            if elsewhere:
                return result, missing
            await self._rooms.given_back(missing)

    async def _write_intent(self, asking: _Asking, *, asks_again: bool) -> Granted:
        permit = asking.permit
        deadline = permit.timeout_seconds + CONCLUDE_GRACE_SECONDS
        member = intent(asking.decided, permit, now=self._facts.now(), drivers=self._drivers, deadline_seconds=deadline)
        member.asks_again = asks_again
        return await self._admissions.submit(member)

    async def _shrunk(self, asking: _Asking, grant: NoRoom) -> bool:
        """Have an act ask for as much less as there is room for; return whether it can."""
        decided, permit = asking.decided, asking.permit
        less = smaller(asking.offer, decided.act, grant, decided.facts)
        if less is None:
            return False
        asking.offer = less
        asking.permit = await self._permit(decided, permit.tool, less, approval_id=permit.approval_id)
        return True

    async def _escalate(self, decided: Decided, *, supersedes: UUID | None) -> Admitted | None:
        approval_id = self._drivers.ids.new()
        now = self._facts.now()
        member = escalation(decided, approval_id=approval_id, now=now, drivers=self._drivers, supersedes=supersedes)
        if await self._admissions.submit(member) is Written.STALE:
            return None
        return Pending(decided.action_id, approval_id, decided.decision.reason)

    async def _refuse(self, decided: Decided) -> Admitted | None:
        member = refusal(decided, now=self._facts.now(), drivers=self._drivers)
        if await self._admissions.submit(member) is Written.STALE:
            return None
        decision = decided.decision
        return Refused(decided.action_id, decided.error or "denied", decision.reason, reasons_of(decision))

    async def _look_up(self, act: Act, tool: Tool | None) -> dict[str, Json]:
        """Return the facts that the tool's lookups load: each is an act of the same principal, through this gate.

        What is looked up looks nothing up itself, so one act makes as many calls as its tool has lookups and no more.
        """
        found: dict[str, Json] = {}
        for lookup in tool.lookups if tool is not None else ():
            arguments = {name: read_path(act.arguments, path) for name, path in lookup.arguments}
            if any(value is MISSING for value in arguments.values()):
                continue  # what is not loaded cannot be read: a rule that names it fails closed
            asked = Act(act.principal, ActKind.TOOL, lookup.tool, dict(arguments), clock=act.clock)  # type: ignore[arg-type]
            done = await self._perform(asked, looks_up=False)
            if isinstance(done, Recorded) and done.state is ActionState.PERFORMED:
                found[lookup.name] = done.value
        return found

    async def _outdated(self, facts: OrganizationFacts) -> int | None:
        """Return the epoch that was decided on if it is no longer the organization's."""
        await self._facts.refresh()
        return None if (await self._facts.of(facts.id)).epoch != facts.epoch else facts.epoch - 1

    async def _check_credential(self, principal: Principal, facts: OrganizationFacts) -> None:
        """Look a credential up again where the facts are of another epoch than the one it was found under.

        It is read after the facts were: what ends it later raises the epoch, and the write under these facts is refused.
        """
        if principal.credential_id is None or principal.epoch == facts.epoch:
            return
        if not await credential_stands(self._database, principal):
            raise Unauthenticated("the key or token was revoked; nothing was done")

    async def _raise_if_stale(self, act: Act) -> None:
        claim = act.principal.claim
        if claim is not None and not await claim_stands(self._database, act.principal.organization_id, claim):
            raise StaleClaim("the task was taken from this worker; nothing was written")

    # --- the second half -----------------------------------------------------------------------------------------

    async def _write_conclusion(self, permit: Permit, member: Conclusion) -> bool:
        """Write an outcome, again while the database is away: the effect has happened and must not be forgotten."""
        for pause_seconds in _CONCLUDE_PAUSES_SECONDS:
            try:
                return await self._conclusions.submit(member)
            except Unavailable:
                await asyncio.sleep(pause_seconds)
            except AosError as error:  # whatever keeps it from being written: the effect has happened
                raise _unrecorded(permit) from error
        try:
            return await self._conclusions.submit(member)
        except AosError as error:
            raise _unrecorded(permit) from error

    async def _call_and_conclude(self, permit: Permit) -> Recorded:
        return await self.conclude(permit, await self._call(permit))

    async def _call(self, permit: Permit) -> ToolOutcome:
        tool = permit.tool
        assert tool is not None
        caller = self._drivers.tools.get(tool.transport)
        if caller is None:
            return ToolOutcome(ok=False, error=f"this process has no `{tool.transport}` transport", sent=False)
        arguments = permit.act.arguments
        assert isinstance(arguments, dict)
        try:
            return await caller.call(
                tool,
                arguments,
                principal=permit.act.principal,
                idempotency_key=permit.idempotency_key,
                deadline_seconds=tool.timeout_seconds,
            )
        except AosError as error:
            return ToolOutcome(ok=False, error=error.detail, unknown=True)


def _log_unrecorded(task: asyncio.Task[Recorded]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.warning("an outcome was not recorded: %s", error)


def _unrecorded(permit: Permit) -> Unavailable:
    detail = f"`{permit.act.action}` was called but its outcome could not be recorded; ask again under the same key"
    return Unavailable(detail, extra={"action_id": str(permit.action_id)})
