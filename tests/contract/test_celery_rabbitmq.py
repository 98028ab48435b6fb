"""RabbitMQ as the broker: each task is done once, whatever becomes of its messages."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from tests.contract.celery_fleet import fleet
from tests.databases import Database

TASKS = 200
URL = os.environ.get("AOS_TEST_AMQP", "")


def test_two_workers_share_a_run(database: Database, tmp_path: Path) -> None:
    async def story() -> None:
        async with fleet(database, tmp_path, amqp_url=URL) as company:
            one, two = company.start_worker(), company.start_worker("--no-house")
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
        async with fleet(database, tmp_path, amqp_url=URL) as company:
            run_id = await company.start_run(TASKS)
            named = [(row["organization_id"], row["id"]) for row in company.rows("select * from task")]
            await company.messages().send(named * 5)
            assert await company.messages().waiting() == 5 * TASKS
            company.start_worker()
            company.start_worker()
            await company.ended(run_id)
            company.check_once(run_id, TASKS)

    asyncio.run(story())
