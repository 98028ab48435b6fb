"""The orchestration workloads on Celery with a Redis-protocol broker: chord, chains, one task; results kept in the broker.

`python -m celery -A bench._celery_peer worker` is a worker; run as a module this is the driver: one JSON line a workload.
Nothing of what AOS writes for each task is kept here: no decision, no record, no usage, no transaction.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

from celery import Celery, chain, chord

BROKER = os.environ.get("BENCH_REDIS", "redis://127.0.0.1:6379")
app = Celery("bench", broker=f"{BROKER}/0", backend=f"{BROKER}/1")
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=False,
    result_expires=600,
)
TIMEOUT_SECONDS = 120
WARM_RUNS, WARM_ITEMS = 12, 60


@app.task(name="bench.noop")
def noop(before: Any = None) -> dict[str, bool]:
    """The no-op that every peer runs."""
    return {"ok": True}


@app.task(name="bench.join")
def join(results: list[Any]) -> int:
    """Wait for all."""
    return len(results)


def fan_out(count: int) -> int:
    """Run a chord; return how many tasks it had."""
    chord([noop.s() for _ in range(count)])(join.s()).get(timeout=TIMEOUT_SECONDS, interval=0.005)
    return count + 1


def chains(count: int, length: int) -> int:
    """Run chains side by side; return how many tasks they had."""
    started = [chain(noop.s() for _ in range(length)).apply_async() for _ in range(count)]
    for each in started:
        each.get(timeout=TIMEOUT_SECONDS, interval=0.005)
    return count * length


def latency(count: int) -> list[float]:
    """Run one task after the other; return the seconds of each."""
    seconds = []
    for _ in range(count):
        began = time.perf_counter()
        noop.delay().get(timeout=TIMEOUT_SECONDS, interval=0.001)
        seconds.append(time.perf_counter() - began)
    return seconds


def main(fan: int, count: int, length: int, singles: int) -> None:
    """Warm up, then print one line a workload."""
    for _ in range(WARM_RUNS):
        fan_out(WARM_ITEMS)
    print(json.dumps({"workload": "warm"}), flush=True)
    for name, work in (("fan_out", lambda: fan_out(fan)), ("chains", lambda: chains(count, length))):
        began = time.perf_counter()
        tasks = work()
        print(json.dumps({"workload": name, "tasks": tasks, "seconds": time.perf_counter() - began}), flush=True)
    print(json.dumps({"workload": "latency", "tasks": singles, "each": latency(singles)}), flush=True)


if __name__ == "__main__":
    main(*(int(each) for each in sys.argv[1:5]))
