"""Time `aos up` on an installed machine, from the command to ready, beside its Postgres alone; then what each process weighs.

The first start, which initialises and migrates the database, is given apart. Nothing of the machine's own AOS is touched.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aos.boot.config import Config
from aos.boot.paths import find_paths
from aos.drivers.embedded_postgres.processes import pids
from aos.drivers.embedded_postgres.server import start as start_postgres
from tests.folders import new_folder


@contextmanager
def private_home() -> Iterator[dict[str, str]]:
    """Yield the environment of an installation in a folder of its own."""
    folder = new_folder("bench")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AOS_")}
    environment = kept | {"AOS_HOME": str(folder / "home"), "AOS_PORT": str(port)}
    try:
        yield environment
    finally:
        aos(environment, "down")
        shutil.rmtree(folder)


def aos(environment: dict[str, str], *arguments: str) -> float:
    """Run a command of `aos` and return how long it took, in seconds; a failure ends the benchmark with its words."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "aos.boot.main", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        sys.exit(f"aos {' '.join(arguments)}: {done.stderr or done.stdout}")
    return time.perf_counter() - began


def postgres_alone(environment: dict[str, str]) -> float:
    """Return how long the same Postgres takes to start by itself, in seconds."""
    layout = find_paths(Config(home=Path(environment["AOS_HOME"])), environment).postgres
    began = time.perf_counter()
    running = start_postgres(layout)
    took = time.perf_counter() - began
    running.stop()
    return took


def rss_mb(environment: dict[str, str]) -> dict[str, float]:
    """Return the resident memory of each process with all that it started, in MB of 10^6 bytes; shared pages count in each."""
    state: dict[str, Any] = json.loads((Path(environment["AOS_HOME"]) / "aos/state.json").read_bytes())
    roots = {each["pid"]: each["name"] for each in state["processes"]}
    roots |= {state["supervisor"]["pid"]: "supervisor", state["postgres"]["pid"]: "postgres"}
    parents = {pid: _status(pid, "PPid") for pid in pids()}
    found = dict.fromkeys(roots.values(), 0.0)
    for pid in parents:
        owner = pid
        while owner not in roots and owner in parents:
            owner = parents[owner]
        if owner in roots:
            found[roots[owner]] += _status(pid, "VmRSS") * 1024 / 1e6
    return {name: round(size, 1) for name, size in sorted(found.items())}


def _status(pid: int, name: str) -> int:
    try:
        match = re.search(rf"^{name}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(match[1]) if match else 0


def main(argv: Sequence[str]) -> None:
    """Print a line for Postgres alone and one for AOS."""
    parser = argparse.ArgumentParser(prog="bench start", description=__doc__)
    parser.add_argument("--starts", type=int, default=3, help="starts to measure; the median is given")
    starts = parser.parse_args(argv).starts
    with private_home() as environment:
        first = aos(environment, "up", "--detach")
        ready, alone, memory = [], [], {}
        for _ in range(starts):
            aos(environment, "down")
            alone.append(postgres_alone(environment))
            ready.append(aos(environment, "up", "--detach"))
            memory = rss_mb(environment)
        down = aos(environment, "down")
    print(json.dumps({"bench": "start", "target": "postgres", "ready_s": round(statistics.median(alone), 2)}))
    print(
        json.dumps(
            {
                "bench": "start",
                "target": "aos",
                "ready_s": round(statistics.median(ready), 2),
                "first_ready_s": round(first, 2),
                "down_s": round(down, 2),
                "rss_mb": memory,
                "rss_mb_total": round(sum(memory.values()), 1),
            }
        )
    )
