"""What a run comes to when it ends: what its last task returned, and nothing while that cannot be read."""

from __future__ import annotations

import asyncio

import pytest

from aos.kernel.errors import Unavailable
from aos.kernel.workflow.spec import TaskSpec
from aos.operations.run_ends import RunEnds
from aos.store.hot.database import Database as Pools
from aos.store.hot.database import DatabaseConfig
from tests.databases import Database
from tests.flows import company, flow
from tests.working import working

FORGET = "update run set state = 'running', finished_at = null, output_content_id = null where id = %s"


def test_a_run_refers_to_what_its_last_task_returned(database: Database) -> None:
    first, last = TaskSpec("first", "echo", input={"n": 1}), TaskSpec("last", "echo", input={"n": 2}, after=("first",))

    async def story() -> None:
        async with working(company(database, flow(first, last))) as aos:
            run = await aos.ended(await aos.start("flow"))
            assert run["output"] == {"n": 2}
            assert run["output_content_id"] == aos.tasks(run["id"])["last"]["output_content_id"]
            await aos.check_books()

    asyncio.run(story())


def test_a_run_whose_output_cannot_be_read_now_does_not_fail_but_ends_later(database: Database) -> None:
    async def story() -> None:
        async with working(company(database, flow(TaskSpec("only", "echo", input={"n": 1})))) as aos:
            run = await aos.ended(await aos.start("flow"))
            await aos.worker.stop()
            aos.world.rows(FORGET, run["id"])
            roles = aos.world.test_database
            away = Pools(DatabaseConfig("host=127.0.0.1 port=1", roles.machine, connect_timeout_seconds=0.2))
            await away._machine.open(wait=True)
            try:
                with pytest.raises(Unavailable):
                    await RunEnds(away, aos.do.facts, aos.do.drivers).finish()
            finally:
                await away.close()
            assert aos.run(run["id"])["state"] == "running"
            assert await aos.do.ends.finish() == 1
            assert (aos.run(run["id"])["state"], aos.run(run["id"])["output"]) == ("succeeded", {"n": 1})

    asyncio.run(story())
