"""The orchestration workloads on DBOS: child workflows on a queue, steps in workflows, one workflow; on the same kind of server.

`python -m bench._dbos_peer worker` is a worker; with four numbers this is the driver: one JSON line a workload. DBOS records
workflows and steps durably; nothing of AOS's decision, ledger, usage or tenancy is kept.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

from dbos import DBOS, DBOSClient

URL = os.environ.get("BENCH_DSN", "")
POLL_SECONDS = float(os.environ.get("BENCH_DBOS_POLL", "0.05"))
"""How often queues are looked at; a second by default."""
CONCURRENCY = int(os.environ.get("BENCH_DBOS_CONCURRENCY", "100"))
"""Workflows that a worker has at once: with few, its looks at the queue would be what limits it."""
WARM_RUNS, WARM_ITEMS = 2, 60


@DBOS.workflow()
def leaf() -> dict[str, bool]:
    """The no-op that every peer runs."""
    return {"ok": True}


@DBOS.step()
def noop() -> dict[str, bool]:
    """The no-op as a step."""
    return {"ok": True}


@DBOS.workflow()
def fan_out(count: int) -> int:
    """Run child workflows and wait for all."""
    started = [DBOS.enqueue_workflow("tasks", leaf) for _ in range(count)]
    return len([each.get_result(polling_interval_sec=POLL_SECONDS) for each in started])


@DBOS.workflow()
def chain(length: int) -> int:
    """Run steps one after the other."""
    return len([noop() for _ in range(length)])


def work() -> None:
    """Work until killed."""
    DBOS(
        config={
            "name": "bench",
            "system_database_url": URL,
            "executor_id": os.environ["BENCH_WORKER"],
            "application_version": "1",
            "log_level": "WARNING",
            "notification_listener_polling_interval_sec": 0.01,
        }
    )
    DBOS.listen_queues(["tasks", "top"])
    DBOS.launch()
    DBOS.register_queue("tasks", worker_concurrency=CONCURRENCY, polling_interval_sec=POLL_SECONDS)
    DBOS.register_queue("top", polling_interval_sec=POLL_SECONDS)
    print("ready", flush=True)
    while True:
        time.sleep(1)


def main(fan: int, count: int, length: int, singles: int) -> None:
    """Warm up, then print one line a workload."""
    client = DBOSClient(system_database_url=URL)

    def start(name: str, *given: int) -> Any:
        return client.enqueue({"queue_name": "top", "workflow_name": name, "app_version": "1"}, *given)

    def result(handle: Any) -> Any:
        return handle.get_result(polling_interval_sec=0.01)

    for _ in range(WARM_RUNS):
        result(start("fan_out", WARM_ITEMS))
    print(json.dumps({"workload": "warm"}), flush=True)
    began = time.perf_counter()
    result(start("fan_out", fan))
    print(json.dumps({"workload": "fan_out", "tasks": fan + 1, "seconds": time.perf_counter() - began}), flush=True)
    began = time.perf_counter()
    for each in [start("chain", length) for _ in range(count)]:
        result(each)
    print(
        json.dumps({"workload": "chains", "tasks": count * length, "seconds": time.perf_counter() - began}), flush=True
    )
    seconds = []
    for _ in range(singles):
        began = time.perf_counter()
        result(start("leaf"))
        seconds.append(time.perf_counter() - began)
    print(json.dumps({"workload": "latency", "tasks": singles, "each": seconds}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    work() if sys.argv[1] == "worker" else main(*(int(each) for each in sys.argv[1:5]))
