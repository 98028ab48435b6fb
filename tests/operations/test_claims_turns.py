"""Who answers the bell: a worker that found nothing lets others go first, and comes at once where something is left."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast
from uuid import UUID

from aos.kernel.workflow.spec import TaskSpec, WorkflowSpec
from aos.operations.claimed import ClaimedTask
from aos.operations.ends import Completion
from aos.operations.tasks import MORE, Taken
from aos.workers.runners import Runners
from aos.workers.task_passes import TaskPasses
from aos.workers.tasks import CLAIM_MAX, TaskDuty
from tests.databases import Database
from tests.working import add_workflow, working
from tests.worlds import agent, make_world


class NothingReady:
    """An engine whose tasks are all somebody else's."""

    async def claim(self, tasks_max: int, *, of: UUID | None = None) -> list[Taken]:
        return []

    async def renew(self, held: Sequence[ClaimedTask]) -> dict[UUID, bool]:
        return {}

    async def complete(self, member: Completion) -> bool:
        return False

    async def fail(self, task: ClaimedTask, *, delay_seconds: float = 0.0, pass_ms: int = 0) -> bool:
        return False

    async def cancel(self, task: ClaimedTask, *, delay_seconds: float = 0.0, pass_ms: int = 0) -> bool:
        return False


def test_who_found_nothing_lets_others_go_first_and_comes_at_once_where_something_is_left(
    database: Database,
) -> None:
    async def go() -> None:
        async with working(make_world(database, agents=[agent("idle")]), started=False) as aos:
            engine = NothingReady()
            passes = TaskPasses(aos.do, cast(Any, Runners), engine)
            duty = TaskDuty(aos.do, passes, engine=engine, tasks_at_once=1)
            woken = asyncio.Event()
            duty.on_work(woken.set)

            duty.ring("")
            assert woken.is_set(), "one that has not been disappointed comes at once"
            await duty.work_once(None)

            woken.clear()
            duty.ring("")
            assert not woken.is_set(), "one that found nothing comes later"
            await asyncio.wait_for(woken.wait(), 5)

            await duty.work_once(None)
            woken.clear()
            duty.ring(MORE)
            assert woken.is_set(), "what another left is for everyone at once"

    asyncio.run(go())


def test_a_claim_that_may_have_left_something_calls_the_others(database: Database) -> None:
    async def go() -> None:
        world = make_world(database, agents=[agent("idle")])
        add_workflow(world, WorkflowSpec("flat", tuple(TaskSpec(f"t{n}", "idle") for n in range(CLAIM_MAX + 1))))
        async with working(world, started=False) as aos:
            heard: list[str] = []
            aos.bell.on("aos_ready", heard.append)
            await aos.start("flat")
            taken = await aos.do.tasks.claim(CLAIM_MAX)
            assert len(taken) == CLAIM_MAX
            async with asyncio.timeout(10):
                while MORE not in heard:
                    await aos.bell.wait("aos_ready", MORE, timeout_seconds=1)
            assert len(await aos.do.tasks.claim(CLAIM_MAX)) == 1

    asyncio.run(go())
