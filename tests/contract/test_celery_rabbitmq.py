"""RabbitMQ as the broker: each task is done once, whatever becomes of its messages, and a broker that was killed is found again."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from kombu import Connection

from tests.contract.celery_fleet import QUEUE, fleet
from tests.contract.rabbit_server import NoRabbit, Rabbit, rabbitmq
from tests.databases import Database

TASKS = 200
pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def server() -> Iterator[Rabbit]:
    """A server for all tests of this file."""
    try:
        with rabbitmq() as made:
            yield made
    except NoRabbit as missing:
        pytest.skip(str(missing))


@pytest.fixture
def rabbit(server: Rabbit) -> Iterator[Rabbit]:
    """The server, with no message left by the test before."""
    yield server
    with Connection(server.url) as connection:
        connection.default_channel.queue_purge(QUEUE)


def test_two_workers_share_a_run(database: Database, tmp_path: Path, rabbit: Rabbit) -> None:
    async def story() -> None:
        async with fleet(database, tmp_path, amqp_url=rabbit.url) as company:
            one, two = company.start_worker(), company.start_worker("--no-house")
            await company.working(2)
            run_id = await company.start_run(TASKS, after=50)
            assert (await company.ended(run_id))["state"] == "succeeded"
            company.check_once(run_id, TASKS)
            for worker in (one, two):
                worker.send_signal(signal.SIGTERM)
            assert [worker.wait(30) for worker in (one, two)] == [0, 0]

    asyncio.run(story())


def test_each_message_five_times_is_each_task_once(database: Database, tmp_path: Path, rabbit: Rabbit) -> None:
    async def story() -> None:
        async with fleet(database, tmp_path, amqp_url=rabbit.url) as company:
            run_id = await company.start_run(TASKS)
            named = [(row["organization_id"], row["id"]) for row in company.rows("select * from task")]
            messages = company.messages()
            await messages.send(named * 5)
            assert await messages.waiting() == 5 * TASKS
            company.start_worker()
            company.start_worker()
            await company.ended(run_id)
            company.check_once(run_id, TASKS)

    asyncio.run(story())


def test_a_broker_that_dies_with_its_messages_costs_no_run(database: Database, tmp_path: Path, rabbit: Rabbit) -> None:
    async def story() -> None:
        async with fleet(database, tmp_path, amqp_url=rabbit.url) as company:
            company.start_worker("--tasks-at-once", "5")
            company.start_worker("--tasks-at-once", "5")
            run_id = await company.start_run(TASKS, agent="waits_then_writes")
            await company.until(lambda: len(company.noted("begun")) >= 10, "ten tasks are begun")
            rabbit.kill()
            company.go()
            await company.until(lambda: len(company.noted("done")) >= 10, "what was held is done without the broker")
            missed = "no messages come, for the broker cannot be reached"
            await company.until(lambda: company.logs().count(missed) == 2, "both workers miss it")
            await asyncio.to_thread(rabbit.start)
            assert (await company.ended(run_id))["state"] == "succeeded"
            company.check_once(run_id, TASKS)

    asyncio.run(story())
