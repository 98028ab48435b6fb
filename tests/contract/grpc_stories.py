"""A world with an agent that fetches its tasks, and a way to play a scenario on its Work stream."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from aos.kernel.workflow.spec import WorkflowSpec
from tests.contract.grpc_peer import Peer, Stream, api_key, one_task, outside, serving
from tests.contract.mcp_peer import ASK
from tests.databases import Database
from tests.working import Working, add_workflow, working
from tests.worlds import World, agent, make_world, payments

Scenario = Callable[[Working, Peer, str], Awaitable[None]]
RULES = [replace(ASK, agents=("clerk",))]


def clerks(database: Database) -> World:
    """Return a company whose clerk works outside."""
    agents = [outside("clerk", "payments.create", slots=3), outside("other"), agent("finance")]
    return make_world(database, agents=agents, tools=[payments()], rules=RULES)


def played(world: World, scenario: Scenario, *workflows: WorkflowSpec) -> None:
    """Run a scenario against a server beside a worker, with a key of `clerk`."""
    for each in workflows or (one_task("clerk", input={"n": "${input.n}"}),):
        add_workflow(world, each)

    async def main() -> None:
        async with working(world) as aos, serving(aos) as peer:
            await scenario(aos, peer, api_key(world, "clerk"))

    asyncio.run(main())


async def opened(peer: Peer, key: str, slots: int = 0) -> Stream:
    """Open a stream and say Hello."""
    stream = peer.work(key)
    await stream.hello(slots)
    return stream
