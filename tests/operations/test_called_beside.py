"""A worker whose places are all one organization's has places beside them for others that call, and only for those."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from aos.kernel.agents import Runtime
from aos.kernel.identity import ChainLink, Principal, PrincipalKind
from aos.operations.run_rows import RunRequest
from aos.operations.runs import RunStarted
from aos.workers.worker import WorkerConfig
from tests import run_agents
from tests.databases import Database
from tests.working import working
from tests.worlds import World, agent, make_world

PLACES = 2


def companies(database: Database) -> tuple[World, World]:
    """Return two companies on one database, with agents that wait for the test's word and agents that do not."""
    agents = [
        replace(agent(name), runtime=Runtime("python", f"tests.run_agents:{name}", inline=True))
        for name in ("waits", "echo")
    ]
    large = make_world(database, agents=agents)
    return large, make_world(database, agents=agents, keys=large.keys)


def test_nobody_waits_for_room_until_another_organizations_tasks_end(database: Database) -> None:
    large, small = companies(database)
    visitor = Principal(
        small.organization_id,
        (ChainLink(PrincipalKind.PERSON, small.person_id, "maria@larkspur.example"),),
        roles=("operator",),
    )

    async def story() -> None:
        async with working(large, config=WorkerConfig(tasks_at_once=PLACES)) as aos:
            waiting = [await aos.start(agent="waits") for _ in range(PLACES + 1)]
            running = "select 1 from task where organization_id = %s and state = 'running' having count(*) = %s"
            await aos.until(running, large.organization_id, PLACES)

            for _ in range(3):
                came = await aos.do.runs.start_run(visitor, RunRequest(agent="echo", input="hello"))
                assert isinstance(came, RunStarted)
                await aos.until("select 1 from run where id = %s and state = 'succeeded'", came.run_id)

            left = aos.rows("select state from task where organization_id = %s order by state", large.organization_id)
            assert [row["state"] for row in left] == ["ready", *["running"] * PLACES]
            for run_id in waiting:
                run_agents.gates.setdefault(str(run_id), asyncio.Event()).set()
            for run_id in waiting:
                assert (await aos.ended(run_id))["state"] == "succeeded"

    asyncio.run(story())
