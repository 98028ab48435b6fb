"""Workers as processes of their own: each task is done once, whoever dies, and whatever becomes of Celery's messages.

The messages go over a real server of the Redis protocol.
"""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from aos.drivers.celery_queue import OFFERS_AT_ONCE
from tests.contract.celery_fleet import QUEUE, Fleet, fleet
from tests.databases import Database

TASKS = 200
ENGINES = ("postgres", "celery")
LEADS = (
    "select 1 from pg_locks l join pg_database d on d.oid = l.database"
    " where l.locktype = 'advisory' and l.granted and d.datname = current_database()"
)


async def begun(company: Fleet, count: int) -> Counter[str]:
    """Return how often each task was begun, once so many were."""
    await company.until(lambda: len(company.noted("begun")) >= count, f"{count} tasks are begun")
    return company.noted("begun")


def count_of(company: Fleet, state: str) -> int:
    """Return how many tasks are in a state."""
    return int(company.rows("select count(*) as n from task where state = %s", state)[0]["n"])


async def leases_renewed(company: Fleet) -> None:
    """Return when every lease ends later than it did."""

    def earliest() -> Any:
        return company.rows("select min(lease_until) as until from task")[0]["until"]

    former = earliest()
    await company.until(lambda: earliest() > former, "the leases are renewed")


async def hands_full(company: Fleet) -> None:
    """Return when every worker has as many messages in hand as it takes."""
    in_hand = len(company.workers) * OFFERS_AT_ONCE
    await company.until(lambda: company.redis().hlen(f"{QUEUE}:unacked") >= in_hand, "all hands are full")


async def both_receive(company: Fleet) -> None:
    """Return when every worker has done tasks of another run."""
    run_id = await company.start_run(TASKS)
    every = {str(worker.pid) for worker in company.workers}
    await company.ended(run_id)
    assert set(company.workers_of(run_id)) == every


@pytest.mark.parametrize("engine", ENGINES)
def test_two_workers_share_a_run(database: Database, tmp_path: Path, engine: str) -> None:
    async def story() -> None:
        async with fleet(database, tmp_path) as company:
            one, two = company.start_worker(engine=engine), company.start_worker("--no-house", engine=engine)
            await company.working(2)
            run_id = await company.start_run(TASKS, after=50)
            assert (await company.ended(run_id))["state"] == "succeeded"
            company.check_once(run_id, TASKS)
            for worker in (one, two):
                worker.send_signal(signal.SIGTERM)
            assert [worker.wait(30) for worker in (one, two)] == [0, 0]

    asyncio.run(story())


def test_each_message_five_times_is_each_task_once(database: Database, tmp_path: Path) -> None:
    async def story() -> None:
        async with fleet(database, tmp_path) as company:
            run_id = await company.start_run(TASKS)
            named = [(row["organization_id"], row["id"]) for row in company.rows("select * from task")]
            await company.messages().send(named * 5)
            assert await company.messages().waiting() == 5 * TASKS
            company.start_worker()
            company.start_worker()
            await company.ended(run_id)
            await company.until(lambda: not company.redis().llen(f"{QUEUE}:{QUEUE}"), "every message is received")
            await company.until(lambda: not company.redis().hlen(f"{QUEUE}:unacked"), "every message is acknowledged")
            company.check_once(run_id, TASKS)

    asyncio.run(story())


def test_lost_messages_are_sent_again(database: Database, tmp_path: Path) -> None:
    async def story() -> None:
        async with fleet(database, tmp_path) as company:
            company.start_worker("--tasks-at-once", "5")
            company.start_worker("--tasks-at-once", "5")
            run_id = await company.start_run(TASKS, agent="waits_then_writes")
            await begun(company, 10)
            queue = f"{QUEUE}:{QUEUE}"
            await company.until(lambda: company.redis().llen(queue), "messages wait for room")
            assert company.redis().delete(queue) == 1
            company.go()
            assert (await company.ended(run_id))["state"] == "succeeded"
            company.check_once(run_id, TASKS)

    asyncio.run(story())


def test_a_broker_that_dies_with_its_messages_costs_no_run(database: Database, tmp_path: Path) -> None:
    async def story() -> None:
        async with fleet(database, tmp_path) as company:
            company.start_worker("--tasks-at-once", "5")
            company.start_worker("--tasks-at-once", "5")
            run_id = await company.start_run(TASKS, agent="waits_then_writes")
            await begun(company, 10)
            await hands_full(company)
            company.kill_broker()
            company.go()
            await company.until(lambda: len(company.noted("done")) >= 10, "what was held is done without the broker")
            await company.until(lambda: "tasks wait for the broker" in company.logs(), "the broker is missed")
            missed = "no messages come, for the broker cannot be reached"
            await company.until(lambda: company.logs().count(missed) == 2, "both workers miss it")
            assert count_of(company, "ready") > 0
            company.start_broker()
            assert (await company.ended(run_id))["state"] == "succeeded"
            company.check_once(run_id, TASKS)
            await both_receive(company)

    asyncio.run(story())


def test_a_broker_that_comes_back_at_once_is_received_from_again(database: Database, tmp_path: Path) -> None:
    """Every message in hand fails to be given back, and none of them is counted on."""

    async def story() -> None:
        async with fleet(database, tmp_path) as company:
            company.start_worker("--tasks-at-once", "5")
            company.start_worker("--tasks-at-once", "5")
            run_id = await company.start_run(TASKS, agent="waits_then_writes")
            await begun(company, 10)
            await hands_full(company)
            company.kill_broker()
            company.start_broker()
            company.go()
            assert (await company.ended(run_id))["state"] == "succeeded"
            company.check_once(run_id, TASKS)
            await both_receive(company)

    asyncio.run(story())


@pytest.mark.parametrize("engine", ENGINES)
def test_a_worker_killed_with_tasks_held_and_the_lead_costs_no_task(
    database: Database, tmp_path: Path, engine: str
) -> None:
    async def story() -> None:
        async with fleet(database, tmp_path) as company:
            leader = company.start_worker(engine=engine)
            if engine == "celery":
                await company.until(lambda: company.rows(LEADS), "the first one leads")
            company.start_worker(engine=engine)
            await company.working(2)
            run_id = await company.start_run(40, agent="waits_then_writes", after=20)
            await begun(company, 20)
            held = [line.split() for line in (tmp_path / "begun").read_text().splitlines()]
            lost = [task for task, pid in held if int(pid) == leader.pid]
            company.kill(leader)
            company.change("update task set lease_until = aos_now() where id = any(%s::uuid[])", lost)
            again = {task: 2 if task in lost else 1 for task, _ in held}
            await company.until(lambda: company.noted("begun") == again, "what the killed one held is begun again")
            company.go()
            assert (await company.ended(run_id))["state"] == "succeeded"
            company.check_once(run_id, 40)

    asyncio.run(story())


def test_a_task_longer_than_the_visibility_timeout_is_delivered_once(database: Database, tmp_path: Path) -> None:
    async def story() -> None:
        async with fleet(database, tmp_path, visibility_seconds=1) as company:
            company.start_worker()
            company.start_worker()
            run_id = await company.start_run(10, agent="waits_then_writes")
            await begun(company, 10)
            await company.until(lambda: not company.redis().hlen(f"{QUEUE}:unacked"), "claimed is acknowledged")
            await leases_renewed(company)  # three seconds after one another
            await leases_renewed(company)
            assert set(company.noted("begun").values()) == {1}
            company.go()
            await company.ended(run_id)
            assert set(company.noted("begun").values()) == {1}
            company.check_once(run_id, 10)

    asyncio.run(story())


@pytest.mark.parametrize("engine", ENGINES)
def test_a_worker_asked_to_end_claims_nothing_more_and_finishes_what_it_holds(
    database: Database, tmp_path: Path, engine: str
) -> None:
    async def story() -> None:
        async with fleet(database, tmp_path) as company:
            first = company.start_worker("--tasks-at-once", "5", engine=engine)
            run_id = await company.start_run(10, agent="waits_then_writes")
            await begun(company, 5)
            first.send_signal(signal.SIGTERM)
            await company.until(lambda: "the worker is ending" in company.logs(), "the worker heard")
            company.go()
            assert first.wait(30) == 0
            assert len(company.noted("done")) == 5
            assert (count_of(company, "ready"), count_of(company, "running")) == (5, 0)
            company.start_worker(engine=engine)
            assert (await company.ended(run_id))["state"] == "succeeded"
            company.check_once(run_id, 10)

    asyncio.run(story())


def test_a_second_signal_ends_a_worker_on_the_spot(database: Database, tmp_path: Path) -> None:
    async def story() -> None:
        async with fleet(database, tmp_path) as company:
            worker = company.start_worker("--no-house", engine="postgres")
            await company.start_run(5, agent="waits_then_writes")
            await begun(company, 5)
            worker.send_signal(signal.SIGTERM)
            await company.until(lambda: "the worker is ending" in company.logs(), "the worker heard")
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(5) == 128 + signal.SIGTERM
            assert count_of(company, "running") == 5

    asyncio.run(story())


def test_without_a_broker_the_worker_says_what_to_set(database: Database, tmp_path: Path) -> None:
    async def story() -> None:
        async with fleet(database, tmp_path) as company:
            company.broker_named = False
            assert company.start_worker().wait(60) == 1
            assert "set AOS_CELERY_BROKER or AOS_REDIS_URL" in company.logs()

    asyncio.run(story())
