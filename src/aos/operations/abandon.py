"""Acts that were intended and never concluded: their worker is gone, and whether they were done is not known.

Such an act becomes `unknown`: it is charged in full, marked estimated, and a call that waits for it is told. It is never
made again for that; whether it may be is the tool's `repeat`, or a person's word.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from aos.kernel.acts import Act, ActKind, Permit
from aos.kernel.budget import AccountKey, Hold
from aos.kernel.identity import Claim, Principal
from aos.kernel.money import Money
from aos.kernel.ports import ToolOutcome
from aos.kernel.tools import Tool
from aos.operations.claimed import chain_of
from aos.operations.concluded import conclusion
from aos.operations.conclusion import Conclusion, ConclusionWriter
from aos.operations.drivers import Drivers
from aos.operations.facts import FactsCache
from aos.store.hot.database import Database, MachineTransaction, Row
from aos.store.rows import rows_json
from aos.store.task_rows import TaskKey

ACTIONS_MAX = 500
_NOBODY = UUID(int=0)


class Abandonment:
    """Records acts without conclusion as unknown."""

    def __init__(self, database: Database, facts: FactsCache, drivers: Drivers) -> None:
        self._database = database
        self._facts = facts
        self._drivers = drivers
        self._writer = ConclusionWriter(database)

    async def of_tasks(self, tasks: Sequence[tuple[UUID, UUID]]) -> int:
        """Record what earlier claims of these tasks left open, before a new pass begins; return how many acts."""
        keys = rows_json([TaskKey(organization_id=organization, id=task) for organization, task in tasks])
        return await self._abandon(await self._database.read("load_open_calls", {"tasks": keys}))

    async def overdue(self) -> int:
        """Record acts that were not concluded by their deadline, up to ACTIONS_MAX; return how many."""
        return await self._abandon(await self._database.read("load_overdue_actions", {"actions_max": ACTIONS_MAX}))

    async def _abandon(self, rows: Sequence[Row]) -> int:
        if not rows:
            return 0
        members = [await self._member(row) for row in rows]
        written = await self._writer.flush(members)
        keys = rows_json([TaskKey(organization_id=row["organization_id"], id=row["id"]) for row in rows])

        async def work(transaction: MachineTransaction) -> list[Row]:
            return await transaction.run("abandon_calls", {"actions": keys})

        await self._database.write(work)
        return sum(written)

    async def _member(self, row: Row) -> Conclusion:
        facts = await self._facts.of(row["organization_id"])
        claim = None
        if row["run_id"] is not None and row["task_id"] is not None:
            claim = Claim(row["run_id"], row["task_id"], row["attempt"] or 0, _NOBODY)
        principal = Principal(row["organization_id"], chain_of(row["chain"]), claim=claim)
        kind = ActKind(row["kind"])
        tool = facts.tools.get(row["name"]) if kind is ActKind.TOOL else None
        permit = Permit(
            action_id=row["id"],
            act=Act(principal, kind, row["name"], {}),
            tool=tool,
            holds=_holds(row["organization_id"], row["holds"]),
            price=_price(row, tool),
            idempotency_key="",
            approval_id=row["approval_id"],
        )
        lost = ToolOutcome(
            ok=False, error="the worker that made this call is gone; its outcome is not known", unknown=True
        )
        member, _ = conclusion(permit, lost, facts, run=None, now=self._facts.now(), drivers=self._drivers)
        # The claim under which it was intended is gone: what fences it is that the action is still intended.
        member.row.task_id = None
        member.row.claim_token = None
        member.row.call_key = None
        return member


def _price(row: Row, tool: Tool | None) -> Money | None:
    """Return what the act may have cost: as it stood when it was intended."""
    if row["price_nanos"] is not None:
        return Money(row["price_nanos"], row["price_currency"])
    return tool.price if tool is not None else None


def _holds(organization_id: UUID, stored: Any) -> tuple[Hold, ...]:
    return tuple(
        Hold(AccountKey(organization_id, UUID(budget), date.fromisoformat(start)), nanos)
        for budget, start, nanos in stored
    )
