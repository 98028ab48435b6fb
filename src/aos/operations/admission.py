"""The first half of the gate in the store: decided acts, gathered into one group commit.

A member carries everything its decision needs written. The flush locks claims, approvals and budget accounts in one
order, lets the kernel grant the holds, and writes all members in one statement; a member that the statement does not
return was decided on facts that no longer hold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias
from uuid import UUID

from aos.kernel.budget import Account, AccountKey, Hold, NoRoom, allocate
from aos.kernel.errors import Unavailable
from aos.operations.records import place
from aos.store.hot.database import Database, MachineTransaction
from aos.store.rows import AdmitRow, ApprovalRow, ContentRow, HoldRow, RecordRow, contents_bytes, rows_json


class Written(Enum):
    """What became of a member that found room."""

    WRITTEN = "written"
    STALE = "stale"


Admitted: TypeAlias = Written | NoRoom


@dataclass(slots=True)
class Admission:
    """One decided act on its way into the store. `refuse` makes the refusal to write where a hold finds no room."""

    row: AdmitRow
    contents: list[ContentRow] = field(default_factory=list)
    records: list[RecordRow] = field(default_factory=list)
    approval: ApprovalRow | None = None
    holds: tuple[Hold, ...] = ()
    refuse: Callable[[NoRoom], Admission] | None = None

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
        async def work(transaction: MachineTransaction) -> list[Admitted]:
            return await _write(transaction, batch)

        return await self._database.write(work)

    async def _write_again(self, batch: Sequence[Admission]) -> list[Admitted]:
        """Write what a lost connection left unwritten; the action's id is the fence that tells.

        A member that was refused for want of room is found by neither state and simply asks again.
        """
        rows = await self._database.read("find_actions", {"members": rows_json([member.row for member in batch])})
        stand = {row["id"] for row in rows}
        rest = [member for member in batch if member.row.action_id not in stand]
        results = iter(await self._write(rest) if rest else [])
        return [Written.WRITTEN if member.row.action_id in stand else next(results) for member in batch]


async def _write(transaction: MachineTransaction, batch: Sequence[Admission]) -> list[Admitted]:
    await lock_members(transaction, [member.row for member in batch])
    accounts = await lock_accounts(transaction, [hold for member in batch for hold in member.holds])
    grants = allocate([member.holds for member in batch], accounts)
    members = [
        member if grant is None or member.refuse is None else member.refuse(grant)
        for member, grant in zip(batch, grants, strict=True)
    ]
    written = await _admit(transaction, members)
    return [
        Written.STALE if n not in written else grant if grant is not None else Written.WRITTEN
        for n, grant in enumerate(grants)
    ]


async def _admit(transaction: MachineTransaction, members: Sequence[Admission]) -> set[int]:
    contents, records, approvals, holds = [], [], [], []
    for n, member in enumerate(members):
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
    rows = await transaction.run(
        "admit",
        {
            "members": rows_json([member.row for member in members]),
            "contents": rows_json(contents),
            "records": rows_json(place(records)),
            "approvals": rows_json(approvals),
            "holds": rows_json(holds),
        },
    )
    return {row["n"] for row in rows}


def _hold_row(n: int, hold: Hold) -> HoldRow:
    key = hold.account
    return HoldRow(
        n=n,
        organization_id=key.organization_id,
        budget_id=key.budget_id,
        period_start=key.period_start,
        nanos=hold.nanos,
    )


async def lock_members(transaction: MachineTransaction, rows: Sequence[AdmitRow]) -> None:
    """Lock the claims and approvals that a batch rests on; nothing where it rests on none."""
    wanted = [row for row in rows if row.task_id is not None or row.approval_id is not None]
    if wanted:
        await transaction.run("lock_members", {"members": rows_json(wanted)})


async def lock_accounts(transaction: MachineTransaction, holds: Sequence[Hold]) -> dict[AccountKey, Account]:
    """Lock the accounts that holds touch and return what stands on them; nothing where there are none."""
    if not holds:
        return {}
    wanted = {hold.account for hold in holds}
    rows = await transaction.run(
        "lock_budgets", {"accounts": rows_json([_hold_row(0, Hold(key, 0)) for key in wanted])}
    )
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
