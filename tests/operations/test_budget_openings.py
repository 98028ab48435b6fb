"""The first acts of a budget's period come from several processes at once: one opens the account, all are admitted."""

from __future__ import annotations

import asyncio

import psycopg

from aos.kernel.acts import ActionState, Recorded
from aos.kernel.money import Money
from tests.databases import Database
from tests.worlds import agent, make_world, tool

OPENED = (
    "insert into budget_account (organization_id, budget_id, period_start)"
    " select organization_id, id, date_trunc('month', now() at time zone 'UTC')::date from budget"
)
WAITS = "select 1 from pg_locks l join pg_locks h using (transactionid) where not l.granted and h.granted"


def test_an_account_that_another_process_opens_meanwhile_is_found(database: Database) -> None:
    budgets = [("company", "organization", Money(5_000_000, "EUR"))]
    priced = tool("erp.read", price=Money(2_000_000, "EUR"))
    world = make_world(database, agents=[agent("finance", "*")], tools=[priced], budgets=budgets)

    async def story() -> None:
        async with world.running() as aos, await psycopg.AsyncConnection.connect(database.owner) as other:
            await other.execute(OPENED)
            acting = asyncio.create_task(aos.gate.perform(world.act("finance", "erp.read")))
            async with asyncio.timeout(20):
                while not world.rows(WAITS):
                    await asyncio.sleep(0.005)
            await other.commit()
            done = await acting
            assert isinstance(done, Recorded)
            assert done.state is ActionState.PERFORMED

    asyncio.run(story())
    assert world.rows("select held_nanos, settled_nanos from budget_account") == [(0, 2_000_000)]
