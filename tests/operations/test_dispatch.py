"""Who is told of tasks, how often, and what a worker makes of it, with the queue and the clock in the test's hands."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest

from aos.kernel.agents import Runtime
from aos.kernel.errors import Unavailable
from aos.kernel.workflow.spec import TaskSpec, WorkflowSpec
from aos.operations.dispatch import ReadyTask
from aos.workers.dispatch import AGAIN_SECONDS, LOOK_SECONDS, MESSAGES_MAX, READY_MAX, DispatchDuty
from aos.workers.offers import Offered, OfferedEngine
from tests.databases import Database
from tests.working import Working, add_workflow, working
from tests.worlds import IDS, World, agent, make_world

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Around:
    """What a dispatcher sees: a clock, a list, and a queue."""

    now_seconds: float = 100.0
    ready: list[ReadyTask] | None = field(default_factory=list)
    queued: int = 0
    away: bool = False
    sent: list[tuple[UUID, UUID]] = field(default_factory=list)
    looks: int = 0
    closed: bool = False

    def seconds(self) -> float:
        return self.now_seconds

    async def list_ready(self, tasks_max: int) -> list[ReadyTask] | None:
        self.looks += 1
        return None if self.ready is None else self.ready[:tasks_max]

    async def close(self) -> None:
        self.closed = True

    async def send(self, named: Sequence[tuple[UUID, UUID]]) -> None:
        if self.away:
            raise Unavailable("the broker cannot be reached")
        self.sent += named
        self.queued += len(named)

    async def waiting(self) -> int:
        if self.away:
            raise Unavailable("the broker cannot be reached")
        return self.queued

    def beats(self, duty: DispatchDuty, *, after_seconds: float = 0.0) -> int:
        """Let one beat pass and return how many were told of."""
        self.now_seconds += after_seconds
        before = len(self.sent)
        asyncio.run(duty.work_once(None))
        return len(self.sent) - before


def tasks(count: int) -> list[ReadyTask]:
    organization = IDS.new()
    return [ReadyTask(organization, IDS.new(), BEGAN) for _ in range(count)]


def test_a_task_is_told_of_once_and_again_only_when_it_stays_ready() -> None:
    around = Around(ready=tasks(3))
    duty = DispatchDuty(around, around, around)
    assert around.beats(duty) == 3
    assert around.beats(duty, after_seconds=AGAIN_SECONDS / 2) == 0
    assert around.ready is not None
    around.ready.pop()  # claimed
    assert around.beats(duty, after_seconds=AGAIN_SECONDS / 2) == 2


def test_a_task_that_is_ready_anew_is_told_of_at_once() -> None:
    around = Around(ready=tasks(1))
    duty = DispatchDuty(around, around, around)
    assert around.beats(duty) == 1
    assert around.ready is not None
    (former,) = around.ready
    around.ready = [ReadyTask(former.organization_id, former.id, BEGAN + timedelta(seconds=1))]
    assert around.beats(duty) == 1


def test_a_queue_that_is_full_gets_nothing_more() -> None:
    around = Around(ready=tasks(READY_MAX + 5), queued=MESSAGES_MAX - 10)
    duty = DispatchDuty(around, around, around)
    assert around.beats(duty) == 10
    assert around.beats(duty, after_seconds=AGAIN_SECONDS) == 0
    around.queued = 0
    assert around.beats(duty) == READY_MAX


def test_what_a_broker_did_not_take_is_told_of_when_it_is_back() -> None:
    around = Around(ready=tasks(2), away=True)
    duty = DispatchDuty(around, around, around)
    assert around.beats(duty) == 0
    around.away = False
    assert around.beats(duty) == 2


def test_a_process_that_does_not_lead_tells_nothing_and_looks_seldom() -> None:
    around = Around(ready=None)
    duty = DispatchDuty(around, around, around)
    for _ in range(5):
        assert around.beats(duty, after_seconds=LOOK_SECONDS / 10) == 0
    assert around.looks == 1
    around.ready = tasks(1)
    assert around.beats(duty, after_seconds=LOOK_SECONDS) == 1


# --- what is offered


def company(database: Database) -> World:
    """Return an organization with a workflow of three tasks."""
    runtime = Runtime("python", "tests.run_agents:counted", inline=True)
    world = make_world(database, agents=[agent("counted", runtime=runtime)])
    add_workflow(world, WorkflowSpec("three", tuple(TaskSpec(f"t{n}", "counted") for n in range(3))))
    return world


def named(aos: Working) -> list[tuple[UUID, UUID]]:
    return [(row["organization_id"], row["id"]) for row in aos.rows("select * from task order by id")]


def test_only_what_was_offered_is_claimed_and_the_same_offer_twice_is_one_claim(database: Database) -> None:
    async def story() -> None:
        async with working(company(database), started=False) as aos:
            await aos.start("three")
            engine = OfferedEngine(aos.do.tasks)
            first, second, _ = named(aos)
            offers = [asyncio.create_task(engine.offer(*each)) for each in (first, second, first)]
            await asyncio.sleep(0)
            taken = await engine.claim(10)
            assert {each.task.id for each in taken} == {first[1], second[1]}
            assert [await each for each in offers] == [Offered.TAKEN] * 3
            late = asyncio.create_task(engine.offer(*first))
            await asyncio.sleep(0)
            assert await engine.claim(10) == []
            assert await late is Offered.NOT_READY

    asyncio.run(story())


def test_an_offer_without_room_is_put_off_and_forgotten(database: Database) -> None:
    async def story() -> None:
        async with working(company(database), started=False) as aos:
            await aos.start("three")
            engine = OfferedEngine(aos.do.tasks)
            first, second, _ = named(aos)
            offers = [asyncio.create_task(engine.offer(*each)) for each in (first, second)]
            await asyncio.sleep(0)
            (taken,) = await engine.claim(1)
            assert taken.task.id == first[1]
            assert [await each for each in offers] == [Offered.TAKEN, Offered.PUT_OFF]
            assert await engine.claim(10) == []
            engine.close()
            assert await engine.offer(*second) is Offered.PUT_OFF
            assert await engine.claim(10) == []

    asyncio.run(story())


def test_an_offer_that_the_database_could_not_answer_stays_until_its_time_is_up(database: Database) -> None:
    async def story() -> None:
        async with working(company(database), started=False) as aos:
            await aos.start("three")
            engine = OfferedEngine(aos.do.tasks)
            first, *_ = named(aos)
            offer = asyncio.create_task(engine.offer(*first))
            await asyncio.sleep(0)
            aos.world.rows("alter table task rename to away")
            with pytest.raises(psycopg.errors.UndefinedTable):
                await engine.claim(10)
            aos.world.rows("alter table away rename to task")
            assert [each.task.id for each in await engine.claim(10)] == [first[1]]
            assert await offer is Offered.TAKEN

    asyncio.run(story())
