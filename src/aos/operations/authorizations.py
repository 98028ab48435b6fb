"""Decisions alone, for those who enforce them elsewhere: no hold, no approval, no claim that anything was done.

One decision writes nothing. A batch is committed as one record before it is answered: the record lists what was decided
under which rules, and what was asked for lies in one piece of content, erasable like any other. A batch that was decided on
facts that changed before it was written is decided again, at most twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from aos.kernel.acts import Act
from aos.kernel.errors import InvalidRequest, StaleFacts, TooLarge
from aos.kernel.json import Json
from aos.kernel.ledger.record import Listed, Record, RecordKind, principal_ids, record_time, rule_ids
from aos.kernel.limits import AUTHORIZE_BATCH_MAX, STALE_RETRIES_MAX
from aos.kernel.policy.values import Decision
from aos.operations.drivers import Drivers
from aos.operations.ends import seal
from aos.operations.facts import FactsCache, OrganizationFacts
from aos.operations.gate import Gate
from aos.operations.group_commit import GroupCommit
from aos.operations.records import place, record_row
from aos.store.hot.database import Database
from aos.store.rows import ContentRow, DecidedRow, RecordRow, contents_bytes, rows_json


@dataclass(frozen=True, slots=True)
class Batch:
    """What was decided on each of a batch's acts, and the record that lists it."""

    record_id: UUID
    decisions: tuple[Decision, ...]
    rules: tuple[tuple[str, ...], ...]
    """Of each decision the rules that matched, as the record names them."""


@dataclass(slots=True)
class _Listing:
    row: DecidedRow
    content: ContentRow
    record: RecordRow


class Authorizations:
    """Decides without doing."""

    def __init__(self, database: Database, facts: FactsCache, gate: Gate, drivers: Drivers) -> None:
        self._database = database
        self._facts = facts
        self._gate = gate
        self._drivers = drivers
        self._listings = GroupCommit(
            self._write, name="decisions", weigh=lambda member: contents_bytes([member.content])
        )

    async def authorize(self, act: Act) -> Decision:
        """Decide on one act and write nothing. Raises Unavailable where the epochs were not read within the last second."""
        return await self._gate.decide(act)

    async def authorize_batch(self, acts: Sequence[Act]) -> Batch:
        """Decide on acts of one principal, and return once the record that lists them is committed.

        Raises InvalidRequest for none and TooLarge for more than `AUTHORIZE_BATCH_MAX`, Unavailable as `authorize`, StaleFacts
        where facts changed at every try.
        """
        if not acts:
            raise InvalidRequest("a batch names at least one act")
        if len(acts) > AUTHORIZE_BATCH_MAX:
            raise TooLarge(f"{len(acts)} acts are asked for at once, at most {AUTHORIZE_BATCH_MAX} are decided on")
        newer_than: int | None = None
        for _ in range(STALE_RETRIES_MAX + 1):
            facts = await self._facts.of(acts[0].principal.organization_id, newer_than=newer_than)
            decisions = await self._gate.decide_all(acts, facts)
            rules = tuple(rule_ids(each) for each in decisions)
            listing = self._listing(acts, decisions, rules, facts=facts)
            if await self._listings.submit(listing):
                return Batch(listing.record.id, tuple(decisions), rules)
            newer_than = await self._outdated(facts)
        raise StaleFacts(f"what a batch was decided on changed {STALE_RETRIES_MAX + 1} times; nothing was written")

    async def drain(self) -> None:
        """Return when every batch is written."""
        await self._listings.drain()

    async def _outdated(self, facts: OrganizationFacts) -> int | None:
        """Return the epoch that was decided on if it is still the last that is known."""
        await self._facts.refresh()
        fresh = await self._facts.of(facts.id)
        return facts.epoch if fresh.epoch == facts.epoch else None

    def _listing(
        self,
        acts: Sequence[Act],
        decisions: Sequence[Decision],
        rules: Sequence[tuple[str, ...]],
        *,
        facts: OrganizationFacts,
    ) -> _Listing:
        asked: Json = [{"kind": act.kind.value, "name": act.name, "arguments": act.arguments} for act in acts]
        sealed = seal(asked, "arguments", facts, self._drivers)
        principal, agent = acts[0].principal, facts.agent_of(acts[0].principal)
        claim = principal.claim
        record = Record(
            id=self._drivers.ids.new(),
            kind=RecordKind.ACTS_DECIDED,
            organization_id=facts.id,
            at=record_time(self._facts.now()),
            agent_version=agent.version if agent is not None else None,
            args_digest=sealed.digest,
            args_id=sealed.row.id,
            decisions=tuple(
                Listed(act_kind=act.kind, act_name=act.name, decision=each.outcome, rules=matched)
                for act, each, matched in zip(acts, decisions, rules, strict=True)
            ),
            epoch=facts.epoch,
            principal=principal_ids(principal),
            run_id=claim.run_id if claim is not None else None,
            task_id=claim.task_id if claim is not None else None,
        )
        row = DecidedRow(n=0, organization_id=facts.id, epoch=facts.epoch)
        return _Listing(row, sealed.row, record_row(record))

    async def _write(self, batch: Sequence[_Listing]) -> list[bool]:
        for n, member in enumerate(batch):
            member.row.n = member.content.n = member.record.n = n
        params = {
            "members": rows_json([member.row for member in batch]),
            "contents": rows_json([member.content for member in batch]),
            "records": rows_json(place([member.record for member in batch])),
        }
        rows = await self._database.write_in_order(("append_decisions", params))
        written = {row["n"] for row in rows}
        return [n in written for n in range(len(batch))]
