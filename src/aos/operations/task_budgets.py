"""What one task may cost: a budget that whoever spawned it gave it, or that its agent's own runtime sets for every task.

It counts all that the task causes, the tasks that it spawns among them; a budget of theirs can only be tighter in effect.
"""

from __future__ import annotations

from aos.kernel.errors import InvalidRequest
from aos.kernel.json import Json
from aos.kernel.money import Money, parse_money
from aos.operations.claimed import ClaimedTask
from aos.operations.drivers import Drivers
from aos.store.hot.database import Database, MachineTransaction


def read_task_budget(given: Json) -> Money | None:
    """Return the budget of a spawn, `2 EUR` or `{"amount": "2", "currency": "EUR"}`; raise InvalidRequest for what is none."""
    match given:
        case None:
            return None
        case str():
            budget = parse_money(given)
        case {"amount": str(amount), "currency": str(currency), **more} if not more:
            budget = parse_money(f"{amount} {currency}")
        case _:
            raise InvalidRequest('the budget of a task reads `2 EUR`, or {"amount": "2", "currency": "EUR"}')
    if budget.nanos < 0:
        raise InvalidRequest("a budget cannot be less than nothing")
    return budget


async def open_task_budget(database: Database, task: ClaimedTask, limit: Money, *, drivers: Drivers) -> None:
    """Limit what a task may cost by its agent's own word; the same task again changes nothing."""
    row = {
        "organization_id": task.organization_id,
        "task_id": task.id,
        "claim_token": task.token,
        "id": drivers.ids.new(),
        "currency": limit.currency,
        "limit_nanos": limit.nanos,
    }

    async def work(transaction: MachineTransaction) -> None:
        await transaction.run("open_task_budget", row)

    await database.write(work)
