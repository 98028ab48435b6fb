"""The first half of the gate in the store: decided acts, gathered into one group commit.

A member carries everything its decision needs written. The flush locks claims, approvals, limits of tools and budget
accounts in one order, lets the kernel grant turns and holds, and writes all members in one statement; a member that the
statement does not return was decided on facts that no longer hold. A member that got no turn is not written at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias
from uuid import UUID

from aos.kernel.budget import Account, AccountKey, Hold, NoRoom, NoTurn, ToolKey, Turns, allocate
from aos.kernel.errors import Unavailable
from aos.operations.records import place
from aos.store.hot.database import Database, MachineTransaction
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
    turns = await lock_turns(transaction, [member.row for member in batch if member.row.limited])
    accounts = await lock_accounts(transaction, [hold for member in batch for hold in member.holds])
    tools = [_tool_key(member.row) if member.row.limited else None for member in batch] if turns else ()
    grants = allocate([member.holds for member in batch], accounts, tools=tools, turns=turns)
    members = {
        n: member if not isinstance(grant, NoRoom) or member.refuse is None else member.refuse(grant)
        for n, (member, grant) in enumerate(zip(batch, grants, strict=True))
        if not isinstance(grant, NoTurn) and not (isinstance(grant, NoRoom) and member.asks_again)
    }
    written = await _admit(transaction, members) if members else set()
    return [
        Written.STALE if n in members and n not in written else grant if grant is not None else Written.WRITTEN
        for n, grant in enumerate(grants)
    ]


async def _admit(transaction: MachineTransaction, members: Mapping[int, Admission]) -> set[int]:
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
    rows = await transaction.run(
        "admit",
        {
            "members": rows_json([member.row for member in members.values()]),
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


async def lock_turns(transaction: MachineTransaction, rows: Sequence[AdmitRow]) -> dict[ToolKey, Turns]:
    """Lock the limits of the tools that acts call and return how many of each are under way; nothing where none has any.

    What is counted stands until the transaction ends: whoever admits another act of such a tool needs the same lock.
    """
    if not rows:
        return {}
    wanted = {
        _tool_key(row): TurnRow(organization_id=row.organization_id, tool_id=_uuid(row.tool_id), name=row.name)
        for row in rows
    }
    tools = {"tools": rows_json(list(wanted.values()))}
    limits = await transaction.run("lock_turns", tools)
    at_most = {ToolKey(_uuid(row["organization_id"]), row["name"]): row["at_most"] for row in limits}
    counted = await transaction.run("count_turns", tools)
    keys = [(ToolKey(_uuid(row["organization_id"]), row["name"]), row["under_way"]) for row in counted]
    return {key: Turns(at_most[key], under_way) for key, under_way in keys if key in at_most}


def _tool_key(row: AdmitRow) -> ToolKey:
    return ToolKey(row.organization_id, row.name)


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
