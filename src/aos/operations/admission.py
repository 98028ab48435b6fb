"""The first half of the gate in the store: decided acts, gathered into one group commit.

A member carries everything its decision needs written. The flush locks claims, approvals, limits of tools and models, and budget
accounts in one order, lets the kernel grant turns and holds, and writes all members in one statement; a member that the
statement does not return was decided on facts that no longer hold. A member that got no turn is not written at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias
from uuid import UUID

from aos.kernel.budget import Account, AccountKey, Grant, Hold, NoRoom, NoTurn, TurnKey, Turns, allocate
from aos.kernel.errors import Unavailable
from aos.operations.records import place
from aos.store.hot.database import Database, Overtaken, Row
from aos.store.rows import AdmitRow, ApprovalRow, ContentRow, HoldRow, RecordRow, TurnRow, contents_bytes, rows_json


class Written(Enum):
    """What became of a member that found room."""

    WRITTEN = "written"
    STALE = "stale"


Admitted: TypeAlias = Written | NoRoom | NoTurn


@dataclass(slots=True)
class Admission:
    """One decided act on its way into the store. `refuse` makes the refusal to write where a hold finds no room."""

    row: AdmitRow
    contents: list[ContentRow] = field(default_factory=list)
    records: list[RecordRow] = field(default_factory=list)
    approval: ApprovalRow | None = None
    holds: tuple[Hold, ...] = ()
    refuse: Callable[[NoRoom], Admission] | None = None
    asks_again: bool = False
    """Whether nothing is written where a hold finds no room, since its caller will ask for less or once more."""

    def bytes(self) -> int:
        """Return how much content it brings."""
        return contents_bytes(self.contents)


class AdmissionWriter:
    """Writes batches of admissions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def flush(self, batch: Sequence[Admission]) -> list[Admitted]:
        """Write what may be written and return, for each member in order, what became of it."""

        try:
            return await self._write(batch)
        except Unavailable:
            return await self._write_again(batch)

    async def _write(self, batch: Sequence[Admission]) -> list[Admitted]:
        flush = _Flush(batch)
        written = {row["n"] for row in await self._database.write_decided(flush.locks(), flush.decide)}
        return flush.results(written)

    async def _write_again(self, batch: Sequence[Admission]) -> list[Admitted]:
        """Write what a lost connection left unwritten; the action's id is the fence that tells.

        A member that was refused for want of room is found by neither state and simply asks again.
        """
        rows = await self._database.read("find_actions", {"members": rows_json([member.row for member in batch])})
        stand = {row["id"] for row in rows}
        rest = [member for member in batch if member.row.action_id not in stand]
        results = iter(await self._write(rest) if rest else [])
        return [Written.WRITTEN if member.row.action_id in stand else next(results) for member in batch]


class _Flush:
    """One batch on its way: what it locks, what the kernel grants on the locked rows, what is written of it."""

    def __init__(self, batch: Sequence[Admission]) -> None:
        self._batch = batch
        self._grants: list[Grant] = []
        self._members: dict[int, Admission] = {}

    def locks(self) -> list[tuple[str, Mapping[str, object]]]:
        """Return the statements that lock claims and approvals, limits, then accounts; nothing for what the batch has none of."""
        found: list[tuple[str, Mapping[str, object]]] = []
        rested = [member.row for member in self._batch if member.row.task_id or member.row.approval_id]
        if rested:
            found.append(("lock_members", {"members": rows_json(rested)}))
        limited = {_turn_key(row): _turn_row(row) for row in (each.row for each in self._batch) if row.limited}
        if limited:
            # What is counted stands until the transaction ends: whoever admits another such act needs the same lock.
            turns = {"turns": rows_json(list(limited.values()))}
            found += [("lock_turns", turns), ("count_turns", turns)]
        holds = [hold for member in self._batch for hold in member.holds]
        if holds:
            found.append(lock_of_accounts(holds))
        self._names = [name for name, _ in found]
        return found

    def decide(self, locked: Sequence[Sequence[Row]]) -> tuple[str, Mapping[str, object]] | None:
        """Grant turns and holds on the locked rows; return the statement that writes the members, None where none is."""
        rows = dict(zip(self._names, locked, strict=True))
        turns = _turns(rows.get("lock_turns", ()), rows.get("count_turns", ()))
        accounts = accounts_of(rows.get("lock_budgets", ()))
        batch = self._batch
        if any(hold.account not in accounts for member in batch for hold in member.holds):
            # Another process opened the account while this statement ran, which does not see it yet.
            raise Overtaken
        wanted = [_turn_key(member.row) if member.row.limited else None for member in batch] if turns else ()
        self._grants = allocate([member.holds for member in batch], accounts, wanted=wanted, turns=turns)
        self._members = {
            n: member if not isinstance(grant, NoRoom) or member.refuse is None else member.refuse(grant)
            for n, (member, grant) in enumerate(zip(batch, self._grants, strict=True))
            if not isinstance(grant, NoTurn) and not (isinstance(grant, NoRoom) and member.asks_again)
        }
        return ("admit", _admitted(self._members)) if self._members else None

    def results(self, written: set[int]) -> list[Admitted]:
        """Return for each member in order what became of it."""
        return [
            Written.STALE
            if n in self._members and n not in written
            else grant
            if grant is not None
            else Written.WRITTEN
            for n, grant in enumerate(self._grants)
        ]


def _admitted(members: Mapping[int, Admission]) -> dict[str, object]:
    """Return the parameters of `admit.sql`."""
    contents, records, approvals, holds = [], [], [], []
    for n, member in members.items():
        member.row.n = n
        for content in member.contents:
            content.n = n
        for record in member.records:
            record.n = n
        contents += member.contents
        records += member.records
        if member.approval is not None:
            member.approval.n = n
            approvals.append(member.approval)
        holds += [_hold_row(n, hold) for hold in member.holds]
    return {
        "members": rows_json([member.row for member in members.values()]),
        "contents": rows_json(contents),
        "records": rows_json(place(records)),
        "approvals": rows_json(approvals),
        "holds": rows_json(holds),
    }


def _hold_row(n: int, hold: Hold) -> HoldRow:
    key = hold.account
    return HoldRow(
        n=n,
        organization_id=key.organization_id,
        budget_id=key.budget_id,
        period_start=key.period_start,
        nanos=hold.nanos,
    )


def _turn_row(row: AdmitRow) -> TurnRow:
    return TurnRow(organization_id=row.organization_id, kind=row.kind, name=row.name)


def _turns(limits: Sequence[Row], counted: Sequence[Row]) -> dict[TurnKey, Turns]:
    at_most = {_key(row): row["at_most"] for row in limits}
    found = {_key(row): row["under_way"] for row in counted}
    return {key: Turns(at_most[key], under_way) for key, under_way in found.items() if key in at_most}


def _key(row: Row) -> TurnKey:
    return TurnKey(_uuid(row["organization_id"]), row["kind"], row["name"])


def _turn_key(row: AdmitRow) -> TurnKey:
    return TurnKey(row.organization_id, row.kind, row.name)


def lock_of_accounts(holds: Sequence[Hold]) -> tuple[str, dict[str, object]]:
    """Return the statement that locks the accounts which holds touch."""
    wanted = {hold.account for hold in holds}
    return "lock_budgets", {"accounts": rows_json([_hold_row(0, Hold(key, 0)) for key in wanted])}


def accounts_of(rows: Sequence[Row]) -> dict[AccountKey, Account]:
    """Return what stands on the locked accounts."""
    return {
        AccountKey(_uuid(row["organization_id"]), _uuid(row["budget_id"]), row["period_start"]): Account(
            limit_nanos=row["limit_nanos"],
            held_nanos=row["held_nanos"],
            settled_nanos=row["settled_nanos"],
            currency=row["currency"],
            name=row["name"],
        )
        for row in rows
    }


async def read_accounts(database: Database, holds: Sequence[Hold]) -> list[Account]:
    """Return what stands on the accounts that holds would touch, without locking them; unopened ones are untouched."""
    rows = await database.read("read_budgets", {"accounts": rows_json([_hold_row(0, hold) for hold in holds])})
    return [
        Account(row["limit_nanos"], row["held_nanos"], row["settled_nanos"], row["currency"], row["name"])
        for row in rows
    ]


def _uuid(value: object) -> UUID:
    assert isinstance(value, UUID)
    return value
