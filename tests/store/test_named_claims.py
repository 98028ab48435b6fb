"""Claims of tasks by name keep the rules of claims in turn; the list of whom to name keeps them too; one process lists."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID, uuid5

import psycopg
import pytest
from psycopg.rows import dict_row
from uuid_utils.compat import uuid7

from aos.store.hot.database import Database as HotDatabase
from aos.store.hot.database import DatabaseConfig, prefer_indexes
from aos.store.hot.lead import Lead
from aos.store.rows import rows_json
from aos.store.sql_files import sql
from aos.store.task_rows import ClaimRow, TaskKey
from tests.databases import Database
from tests.store.test_claims import Queue

WORKER = uuid7()


@pytest.fixture
def queue(any_database: Database) -> Iterator[Queue]:
    """An empty queue, on the oldest and on the newest Postgres."""
    with psycopg.connect(any_database.owner, autocommit=True) as owner:
        yield Queue(owner, any_database)


def ids(queue: Queue, organization: UUID) -> list[UUID]:
    """Return the tasks of an organization, the oldest first."""
    rows = queue.owner.execute("select id from task where organization_id = %s order by id", [organization]).fetchall()
    return [row[0] for row in rows]


def claim_named(connection: psycopg.Connection[Any], organization: UUID, named: Sequence[UUID]) -> list[dict[str, Any]]:
    """Claim by name in one transaction, and load what was claimed."""
    tasks = {"tasks": rows_json([TaskKey(organization_id=organization, id=id) for id in named])}
    with connection.transaction():
        connection.execute(sql("lock_named_limits").encode(), tasks)
        params = {**tasks, "worker_id": WORKER, "lease_seconds": 15}
        claims = connection.execute(sql("claim_named_tasks").encode(), params).fetchall()
        loaded = {"claims": rows_json([ClaimRow(**each) for each in claims])}
        return connection.execute(sql("load_claimed").encode(), loaded).fetchall()


def named(queue: Queue, organization: UUID, wanted: Sequence[UUID]) -> list[dict[str, Any]]:
    """Claim by name as a worker does."""
    with psycopg.connect(queue.database.machine, autocommit=True, row_factory=dict_row) as connection:
        connection.execute(prefer_indexes().encode())
        return claim_named(connection, organization, wanted)


def listed(queue: Queue, tasks_max: int) -> list[dict[str, Any]]:
    """List as a dispatcher does."""
    with psycopg.connect(queue.database.machine, autocommit=True, row_factory=dict_row) as connection:
        return connection.execute(sql("list_ready_tasks").encode(), {"tasks_max": tasks_max}).fetchall()


def test_what_is_named_is_claimed_once_under_a_token_of_its_own_and_nothing_else_is(queue: Queue) -> None:
    only = queue.organization("only")
    queue.ready(only, 5)
    wanted = ids(queue, only)[1:3]
    rows = named(queue, only, [*wanted, *wanted])
    assert {row["id"] for row in rows} == set(wanted)
    assert len({row["claim_token"] for row in rows}) == 2
    assert named(queue, only, wanted) == []
    (states,) = queue.owner.execute("select array_agg(state order by id) from task").fetchall()
    assert states[0] == ["ready", "running", "running", "ready", "ready"]


def test_a_named_claim_gives_a_worker_what_a_claim_in_turn_gives(queue: Queue) -> None:
    only = queue.organization("only")
    queue.ready(only, 2)
    (by_turn,) = queue.claim(1)
    (by_name,) = named(queue, only, ids(queue, only))
    assert list(by_name) == [column for column in by_turn if column != "bell"], (
        "only a claim in turn may leave something"
    )


def test_what_is_paused_not_due_ended_or_unknown_is_not_claimed_by_name(queue: Queue) -> None:
    only = queue.organization("only")
    queue.ready(only, 1, "held", paused=True)
    queue.ready(only, 1, "soon")
    queue.owner.execute("update task set ready_at = aos_now() + interval '1 hour' where name = 'soon'")
    queue.ready(only, 1, "over")
    queue.owner.execute("update task set state = 'succeeded' where name = 'over'")
    other = queue.organization("other")
    assert named(queue, only, [*ids(queue, only), uuid7()]) == []
    queue.ready(other, 1)
    assert named(queue, only, ids(queue, other)) == []


def test_a_task_that_another_transaction_holds_is_not_waited_for(queue: Queue) -> None:
    only = queue.organization("only")
    queue.ready(only, 2)
    first, second = ids(queue, only)
    with psycopg.connect(queue.database.owner) as holding:
        holding.execute("select 1 from task where id = %s for update", [first])
        assert [row["id"] for row in named(queue, only, [first, second])] == [second]


def test_no_more_of_an_agent_or_queue_are_claimed_by_name_than_the_limit_leaves(queue: Queue) -> None:
    only = queue.organization("only")
    slow = queue.agent(only, "slow")
    queue.limit(only, "agent", "slow", 3)
    queue.limit(only, "queue", "gpu", 2)
    queue.ready(only, 5, agent_id=slow)
    queue.ready(only, 5, queue="gpu")
    every = ids(queue, only)
    assert Counter(row["agent_id"] == slow for row in named(queue, only, every)) == {True: 3, False: 2}
    assert named(queue, only, every) == []


def test_two_named_claims_at_once_never_count_the_same_room_and_the_second_waits(queue: Queue) -> None:
    only = queue.organization("only")
    queue.limit(only, "queue", "gpu", 2)
    queue.ready(only, 4, queue="gpu")
    every = ids(queue, only)

    async def story() -> tuple[int, int]:
        with (
            psycopg.connect(queue.database.machine, row_factory=dict_row) as first,
            psycopg.connect(queue.database.machine, row_factory=dict_row) as second,
        ):
            first.execute(prefer_indexes().encode())  # begins the transaction around the claim
            one = claim_named(first, only, every[:1])
            pid = second.info.backend_pid
            two = asyncio.create_task(asyncio.to_thread(claim_named, second, only, every[1:]))
            blocked = "select cardinality(pg_blocking_pids(%s)) > 0"
            async with asyncio.timeout(30):
                while not (queue.owner.execute(blocked, [pid]).fetchone() or (False,))[0]:
                    await asyncio.sleep(0.01)
            first.commit()
            return len(one), len(await two)

    assert asyncio.run(story()) == (1, 1)


def test_the_list_takes_organizations_in_turn_the_urgent_first_and_no_more_than_limits_leave(queue: Queue) -> None:
    large, small = queue.organization("large"), queue.organization("small")
    queue.ready(large, 100)
    queue.ready(large, 2, priority=9)
    queue.ready(small, 10, queue="gpu", lane=uuid5(small, "gpu"))
    queue.limit(small, "queue", "gpu", 3)
    rows = listed(queue, 20)
    assert Counter(row["organization_id"] for row in rows) == {large: 10, small: 3}
    assert [row["id"] for row in rows[:2]] == ids(queue, large)[100:]
    assert named(queue, small, [row["id"] for row in rows if row["organization_id"] == small])
    assert Counter(row["organization_id"] for row in listed(queue, 20)) == {large: 20}
    assert queue.owner.execute("select count(*) from task where state = 'ready'").fetchone() == (109,)


def test_one_session_leads_until_it_ends_and_one_that_says_nothing_is_ended(any_database: Database) -> None:
    async def story() -> None:
        hot = HotDatabase(DatabaseConfig(any_database.app, any_database.machine))
        one, two = Lead(hot, "test", idle_seconds=1), Lead(hot, "test", idle_seconds=1)
        nothing = {"tasks_max": 1}

        async def takes_over(lead: Lead) -> None:
            async with asyncio.timeout(30):
                while await lead.read("list_ready_tasks", nothing) is None:
                    await asyncio.sleep(0.02)

        assert await one.read("list_ready_tasks", nothing) == []
        assert await two.read("list_ready_tasks", nothing) is None
        await one.close()
        await takes_over(two)
        await takes_over(one)  # the second says nothing more
        await one.close()
        await two.close()

    asyncio.run(story())
