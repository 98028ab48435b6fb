"""The protocols' doors: gRPC's batches of decisions, its tool calls, and its Work stream with a thousand agents connected;
tool calls through MCP, and messages through A2A.

Each workload is one row of `WORKLOADS`. What the ledger holds is counted for each: a batch that was answered has its record,
a call its intent and its outcome, a task its start and its end; else the line says `void`. CPU is that of the named
processes alone; the client runs in a process of its own. `authorize_batch` pins gRPC's process to one core.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from aos.operations.tokens import TokenKind, new_token, token_hash
from bench._installation import Installation, free_port, installed
from bench._meter import Meter
from bench._protocol_doors import REPLIES, a2a_messages, mcp_tool_calls
from bench.tool_calls import ARGUMENTS, MODULES, counted, set_up

TOOL: Final = "bench.nothing"
BATCH: Final = 64
AGENTS: Final = 1_000

Line: TypeAlias = dict[str, Any]


class Bench:
    """One installation with gRPC, and what the workloads share."""

    def __init__(self, aos: Installation, port: int, seconds: float) -> None:
        self.aos = aos
        self.seconds = seconds
        self.address = f"127.0.0.1:{port}"
        self.key = set_up(aos)

    def load(self, load: str, **more: Any) -> Line:
        """Run one load and return what it saw."""
        with self.client(load, **more) as client:
            return self.last(client)

    def client(self, load: str, **more: Any) -> subprocess.Popen[str]:
        """Start a client with its order."""
        client = subprocess.Popen(
            [sys.executable, "-P", "-m", "bench._grpc_client"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": os.getcwd()},
        )  # fmt: skip
        assert client.stdin is not None
        order = {"load": load, "address": self.address, "key": self.key, "seconds": self.seconds, "tool": TOOL}
        client.stdin.write(json.dumps({**order, "arguments": ARGUMENTS[TOOL], **more}) + "\n")
        client.stdin.flush()
        return client

    @staticmethod
    def last(client: subprocess.Popen[str]) -> Line:
        """Return the client's last line."""
        output, _ = client.communicate(timeout=300)
        if client.returncode:
            raise SystemExit("the client of a load failed")
        seen: Line = json.loads(output.splitlines()[-1])
        return seen

    def count(self, query: str) -> int:
        """Return one number of the database."""
        with self.aos.owner() as connection:
            return int((connection.execute(query.encode()).fetchone() or (0,))[0])


def authorize_batch(bench: Bench) -> Line:
    """Batches of 64 decisions, one record each committed before the answer, on one core."""
    (pid,) = bench.aos.pids()["grpc"]
    cores = sorted(os.sched_getaffinity(0))
    for thread in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(thread), {cores[0]})
    query = "select count(*) from record where kind = 'acts.decided'"
    bench.load("batches", size=BATCH, callers=8, core=cores[-1])
    before, meter = bench.count(query), Meter([pid], deep=False)
    seen = bench.load("batches", size=BATCH, callers=8, core=cores[-1])
    cpu = meter.seconds()
    for thread in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(thread), set(cores))
    line = {
        "batch": BATCH,
        "decisions_per_second": round(seen["done"] / seen["elapsed"]),
        "decisions_per_cpu_second": round(seen["done"] / cpu),
        "cpu_us_per_decision": round(cpu / seen["done"] * 1e6, 1),
        "p50_ms": round(seen["p50"] * 1e3, 2),
        "p99_ms": round(seen["p99"] * 1e3, 2),
        "fdatasync_us": bench.aos.fdatasync_us(),
    }
    found = bench.count(query) - before
    whole = found == seen["calls"] and seen["done"] == seen["calls"] * BATCH
    return line if whole else {"void": True, "found": found, **seen}


def tool_calls(bench: Bench, callers: int = 64) -> Line:
    """Tool calls through the whole gate."""
    bench.load("tools", callers=16)
    before, cpu = counted(bench.aos), bench.aos.cpu_seconds()
    seen = bench.load("tools", callers=callers)
    after = counted(bench.aos)
    used = {kind: value - cpu.get(kind, 0.0) for kind, value in bench.aos.cpu_seconds().items()}
    calls = seen["calls"]
    found = {name: after[name] - before[name] for name in after}
    if found != {"intended": calls, "concluded": calls, "charged": calls, "waiting": 0}:
        return {"void": True, "calls": calls, "found": found}
    return {
        "callers": callers,
        "requests_per_second": round(calls / seen["elapsed"], 1),
        "p50_ms": round(seen["p50"] * 1e3, 2),
        "p99_ms": round(seen["p99"] * 1e3, 2),
        "cpu_us_per_request": round(used["grpc"] / calls * 1e6, 1),
        "cpu_us_per_request_postgres": round(used["postgres"] / calls * 1e6, 1),
        "rss_mb": bench.aos.rss_mb("grpc"),
        "fdatasync_us": bench.aos.fdatasync_us(),
    }


def work_stream(bench: Bench, agents: int = AGENTS) -> Line:
    """A thousand agents, each on a connection of its own: what they cost while they wait, and how soon a task is there."""
    keys = register(bench.aos, agents)
    rss_before = bench.aos.rss_mb("grpc")
    with bench.client("work", agents=keys, token=bench.aos.token, alone=100) as client:
        assert client.stdout is not None
        assert client.stdin is not None
        connected = json.loads(client.stdout.readline())["connected"]
        (pid,) = bench.aos.pids()["grpc"]
        meter = Meter([pid], deep=False)
        idle_seconds = max(5.0, bench.seconds)
        subprocess.run(["sleep", str(idle_seconds)], check=True)
        idle, rss = meter.seconds() / idle_seconds, bench.aos.rss_mb("grpc")
        client.stdin.write("go\n")
        client.stdin.flush()
        seen = bench.last(client)
    tasks = 100 + agents
    ended = bench.count("select count(*) from record where kind = 'task.finished'")
    if ended != tasks:
        return {"void": True, "tasks": tasks, "ended": ended}
    return {
        "agents": agents,
        "connected_s": round(connected, 2),
        "rss_mb": rss,
        "rss_kb_per_agent": round((rss - rss_before) * 1e3 / agents, 1),
        "idle_cpu_percent": round(idle * 100, 1),
        "to_agent_p50_ms": round(seen["to_agent"]["p50"] * 1e3, 2),
        "to_agent_p99_ms": round(seen["to_agent"]["p99"] * 1e3, 2),
        "answered_p50_ms": round(seen["to_closed"]["p50"] * 1e3, 2),
        "answered_p99_ms": round(seen["to_closed"]["p99"] * 1e3, 2),
        "tasks_per_second": round(seen["tasks_per_second"], 1),
        "fdatasync_us": bench.aos.fdatasync_us(),
    }


def through_mcp(bench: Bench, callers: int = 64) -> Line:
    """Tool calls through the whole gate, asked for by MCP."""
    return mcp_tool_calls(bench.aos, bench.key, callers=callers, seconds=bench.seconds)


def through_a2a(bench: Bench, callers: int = 16) -> Line:
    """Messages to an agent, each answered by a run."""
    agents = {
        "replies": {"type": "functional", "runtime": {"python": "noop_agents:reply"}},
        "sender": {"type": "functional", "delegates": ["replies"]},
    }
    bench.aos.apply({"aos": 1, "agents": agents})
    key = str(bench.aos.rest("POST", "/agents/sender/api-keys", {"label": "bench"})["api_key"])
    return a2a_messages(bench.aos, key, callers=callers, seconds=bench.seconds)


def register(aos: Installation, agents: int) -> dict[str, str]:
    """Register agents that fetch their tasks; return the API key of each."""
    names = [f"outside-{number}" for number in range(agents)]
    aos.apply({"aos": 1, "agents": {name: {"type": "functional", "runtime": {"work": {}}} for name in names}})
    keys = {name: new_token(TokenKind.API_KEY, os.urandom(32), prefix="bench_") for name in names}
    with aos.owner() as connection, connection.cursor() as cursor:
        cursor.executemany(
            "insert into api_key (organization_id, id, agent_id, prefix, key_hash)"
            " select organization_id, gen_random_uuid(), id, 'bench', %s from agent where name = %s",
            [(token_hash(key), name) for name, key in keys.items()],
        )
    return keys


WORKLOADS: Final[dict[tuple[str, str], Callable[[Bench], Line]]] = {
    ("grpc", "authorize_batch"): authorize_batch,
    ("grpc", "tool_calls"): tool_calls,
    ("grpc", "work_stream"): work_stream,
    ("mcp", "tool_calls"): through_mcp,
    ("a2a", "messages"): through_a2a,
}


def main(argv: Sequence[str]) -> int:
    """Run every workload, or those named by `--only PROTOCOL` or `--only WORKLOAD`."""
    parser = argparse.ArgumentParser(prog="bench protocols", description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--only", nargs="*", default=[])
    asked = parser.parse_args(argv)
    port = free_port()
    with installed({**MODULES, "noop_agents": REPLIES}, {"AOS_GRPC_PORT": str(port)}) as aos:
        bench = Bench(aos, port, asked.seconds)
        for (protocol, workload), measure in WORKLOADS.items():
            if asked.only and not {protocol, workload} & set(asked.only):
                continue
            line = {"bench": "protocols", "target": "aos", "protocol": protocol, "workload": workload, **measure(bench)}
            print(json.dumps(line), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
