"""Organizations take turns at the integrator: one that never runs dry keeps nobody else waiting."""

from __future__ import annotations

import asyncio
from uuid import UUID

from aos.operations.integrate import integrate_once
from tests.databases import Database
from tests.worlds import agent, make_world, tool


def test_a_busy_organization_keeps_no_other_waiting(database: Database) -> None:
    first = make_world(database, agents=[agent("finance", "erp.*")], tools=[tool("erp.read")])
    others = [make_world(database, agents=[agent("finance", "erp.*")], tools=[tool("erp.read")], keys=first.keys)]
    others.append(make_world(database, agents=[agent("finance", "erp.*")], tools=[tool("erp.read")], keys=first.keys))
    busy, *quiet = sorted([first, *others], key=lambda world: world.organization_id)

    async def go() -> list[UUID]:
        async with busy.running() as aos:
            for world in quiet:
                await aos.gate.perform(world.act("finance", "erp.read"))
            turns = []
            for _ in range(4):
                await aos.gate.perform(busy.act("finance", "erp.read"))
                done = await integrate_once(aos.database, aos.facts, aos.drivers)
                assert done is not None
                assert done.leaves
                turns.append(done.organization_id)
            return turns

    ids = [world.organization_id for world in (busy, *quiet)]
    assert asyncio.run(go()) == [*ids, ids[0]]
