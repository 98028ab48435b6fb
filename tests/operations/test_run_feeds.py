"""Whoever watches runs shares what is looked up for them, each from its own place, and is woken by what concerns it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from uuid import UUID

import pytest

from aos.kernel.errors import NotFound
from aos.kernel.ledger.record import Record, RecordKind, record_time
from aos.operations.integrate import integrate_all
from aos.operations.records import record_row
from aos.operations.run_events import EVENTS_MAX
from aos.operations.run_feeds import RunFeeds
from tests.databases import Database
from tests.doors import claim_task
from tests.worlds import IDS, Running, World, agent, make_world

Happen = Callable[..., Awaitable[None]]


@pytest.fixture
def world(database: Database) -> World:
    return make_world(database, agents=[agent("finance")])


@asynccontextmanager
async def feeds_of(world: World) -> AsyncIterator[tuple[RunFeeds, Happen]]:
    """Give feeds that look only when they are told to, and what makes something happen in a run."""
    async with world.running() as aos:
        feeds = RunFeeds(aos.database, sweep_seconds=3_600.0)

        async def happen(run: UUID, times: int = 1) -> None:
            for _ in range(times):
                record(world, aos, run)
            await integrate_all(aos.database, aos.facts, aos.drivers)

        try:
            yield feeds, happen
        finally:
            await feeds.close()


def record(world: World, aos: Running, run: UUID) -> None:
    """Write one record of a run, as a transaction does."""
    row = record_row(
        Record(
            id=IDS.new(), kind=RecordKind.RUN_CHANGED, organization_id=world.organization_id,
            at=record_time(aos.facts.now()), run_id=run, change="paused",
        )
    )  # fmt: skip
    ids = (world.organization_id, row.id)
    world.rows(
        "with written as (insert into record (organization_id, id, kind, run_id, bytes)"
        " values (%s, %s, %s, %s, %s::text::bytea))"
        " insert into ledger_pending (organization_id, record_id, leaf, position) values (%s, %s, %s::text::bytea, 0)",
        *ids, row.kind, run, row.bytes, *ids, row.leaf,
    )  # fmt: skip


def test_watchers_of_a_run_share_one_reading(world: World) -> None:
    run = claim_task(world, "finance")[0]

    async def go() -> None:
        async with feeds_of(world) as (feeds, happen):
            await happen(run, 3)
            with feeds.watch(world.organization_id, run) as one, feeds.watch(world.organization_id, run) as other:
                read = await one.after(-1)
                assert [event.index for event in read] == [0, 1, 2]
                assert [id(event) for event in await other.after(-1)] == [id(event) for event in read]
                assert await other.after(1) == read[2:]
                assert await other.after(2) == []

    asyncio.run(go())


def test_a_look_wakes_who_watches_what_grew_and_nobody_else(world: World) -> None:
    run, quiet, unwatched = (claim_task(world, "finance")[0] for _ in range(3))

    async def go() -> None:
        async with feeds_of(world) as (feeds, happen):
            with feeds.watch(world.organization_id, run) as feed, feeds.watch(world.organization_id, quiet) as other:
                await feeds.look()
                before = (feed.version, other.version)
                assert await feed.after(-1) == []
                await feeds.look()
                assert (feed.version, other.version) == before
                await happen(unwatched)
                await feeds.look()
                assert (feed.version, other.version) == before
                await happen(run)
                await feeds.look()
                assert (feed.version, other.version) == (before[0] + 1, before[1])
                assert [event.index for event in await feed.after(-1)] == [1]

    asyncio.run(go())


def test_who_waits_is_woken_by_a_look_and_by_the_end(world: World) -> None:
    run = claim_task(world, "finance")[0]

    async def go() -> None:
        async with feeds_of(world) as (feeds, happen):
            with feeds.watch(world.organization_id, run) as feed:
                here = asyncio.get_running_loop().create_future()
                await feeds.look()
                for cause in (happen(run), None):
                    waiting = asyncio.create_task(feed.wait(feed.version, here, timeout_seconds=60))
                    await asyncio.sleep(0)
                    if cause is None:
                        feeds.end()
                    else:
                        await cause
                        assert not waiting.done()
                        await feeds.look()
                    await asyncio.wait_for(waiting, 10)
                assert feeds.ended

    asyncio.run(go())


def test_who_is_gone_waits_no_longer(world: World) -> None:
    run = claim_task(world, "finance")[0]

    async def go() -> None:
        async with feeds_of(world) as (feeds, _):
            with feeds.watch(world.organization_id, run) as feed:
                gone = asyncio.get_running_loop().create_future()
                waiting = asyncio.create_task(feed.wait(feed.version, gone, timeout_seconds=60))
                await asyncio.sleep(0)
                gone.set_result(None)
                await asyncio.wait_for(waiting, 10)

    asyncio.run(go())


def test_who_reads_slowly_misses_nothing_and_takes_nothing_from_the_others(world: World) -> None:
    run = claim_task(world, "finance")[0]

    async def go() -> None:
        async with feeds_of(world) as (feeds, happen):
            await happen(run)
            world.rows(
                "insert into record (organization_id, id, kind, run_id, bytes) select organization_id, uuidv7(), kind,"
                " run_id, null from record, generate_series(1, %s)",
                EVENTS_MAX + 100,
            )
            world.rows(
                "insert into ledger_leaf (organization_id, index, record_id, hash) select r.organization_id,"
                " row_number() over (order by r.id), r.id, sha256('') from record r where bytes is null"
            )
            world.rows("update ledger_head set size = %s", EVENTS_MAX + 101)
            with feeds.watch(world.organization_id, run) as feed:
                assert [event.index for event in await feed.after(EVENTS_MAX + 98)] == [
                    EVENTS_MAX + 99,
                    EVENTS_MAX + 100,
                ]
                slow: list[int] = []
                while found := await feed.after(slow[-1] if slow else -1):
                    slow += [event.index for event in found]
                    assert await feed.after(EVENTS_MAX + 100) == []
                assert slow == list(range(EVENTS_MAX + 101))

    asyncio.run(go())


def test_a_run_of_nobody_is_not_found_and_nothing_is_kept_of_it(world: World) -> None:
    async def go() -> None:
        async with feeds_of(world) as (feeds, _):
            with pytest.raises(NotFound), feeds.watch(world.organization_id, IDS.new()) as feed:
                await feed.after(-1)
            assert feeds._logs == {}

    asyncio.run(go())
