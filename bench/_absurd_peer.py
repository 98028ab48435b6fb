"""The orchestration workloads on absurd-sdk: tasks of a queue, steps in a task, one task; on the same kind of server.

`python -m bench._absurd_peer worker` is a worker; with four numbers this is the driver: one JSON line a workload. Absurd keeps
tasks, their runs and steps durably; nothing of AOS's decision, ledger, usage or tenancy is kept.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import Any

import absurdctl
import psycopg
from absurd_sdk import AsyncAbsurd

URL = os.environ.get("BENCH_DSN", "")
AT_ONCE = 100
POLL_SECONDS = 0.005
"""How often a worker that found nothing looks again; a quarter of a second by default."""
WARM_RUNS, WARM_ITEMS = 12, 60


async def work() -> None:
    """Work until killed."""
    app = AsyncAbsurd(URL, queue_name="bench")

    @app.register_task(name="noop")
    async def noop(params: Any, ctx: Any) -> dict[str, bool]:
        return {"ok": True}

    @app.register_task(name="chain")
    async def chain(params: Any, ctx: Any) -> int:
        for n in range(params):
            await ctx.step(f"t{n}", step)
        return int(params)

    async def step() -> dict[str, bool]:
        return {"ok": True}

    print("ready", flush=True)
    await app.start_worker(
        worker_id=os.environ["BENCH_WORKER"], concurrency=AT_ONCE, batch_size=AT_ONCE, poll_interval=POLL_SECONDS
    )


async def ended(app: AsyncAbsurd, task_id: str) -> None:
    """Wait for a task, looking as often as its workers do; Absurd's own wait begins at 50 ms."""
    while (found := await app.fetch_task_result(task_id)) is None or found.state not in ("completed", "failed"):
        await asyncio.sleep(POLL_SECONDS)
    assert found.state == "completed", found


async def fan_out(app: AsyncAbsurd, count: int) -> int:
    """Run tasks, and one more when all have ended."""
    for task in [await app.spawn("noop", None, queue="bench") for _ in range(count)]:
        await ended(app, task["task_id"])
    await ended(app, (await app.spawn("noop", None, queue="bench"))["task_id"])
    return count + 1


async def chains(app: AsyncAbsurd, count: int, length: int) -> int:
    """Run tasks of so many steps each, side by side."""
    for task in [await app.spawn("chain", length, queue="bench") for _ in range(count)]:
        await ended(app, task["task_id"])
    return count * length


async def drive(fan: int, count: int, length: int, singles: int) -> None:
    """Warm up, then print one line a workload."""
    app = AsyncAbsurd(URL, queue_name="bench")
    for _ in range(WARM_RUNS):
        await fan_out(app, WARM_ITEMS)
    print(json.dumps({"workload": "warm"}), flush=True)
    for name, of in (("fan_out", fan_out(app, fan)), ("chains", chains(app, count, length))):
        began = time.perf_counter()
        tasks = await of
        print(json.dumps({"workload": name, "tasks": tasks, "seconds": time.perf_counter() - began}), flush=True)
    each = []
    for _ in range(singles):
        began = time.perf_counter()
        await ended(app, (await app.spawn("noop", None, queue="bench"))["task_id"])
        each.append(time.perf_counter() - began)
    print(json.dumps({"workload": "latency", "tasks": singles, "each": each}), flush=True)
    await app.close()


def prepare() -> None:
    """Make the schema and the queue."""
    with psycopg.connect(URL, autocommit=True) as connection:
        connection.execute(absurdctl.BUNDLED_SCHEMA_SQL)
        connection.execute("select absurd.create_queue('bench')")


def main(argv: list[str]) -> None:
    """Do what is asked."""
    if argv[0] == "prepare":
        prepare()
    elif argv[0] == "worker":
        asyncio.run(work())
    else:
        asyncio.run(drive(*(int(each) for each in argv[:4])))


if __name__ == "__main__":
    main(sys.argv[1:])
