"""Tool calls through the whole gateway: identity, policy, budget and durable record on, each call done once.

A no-op `python:` tool with a price is called in its host, under one rule whose condition is evaluated; `"host": false` is
a call that passes both halves of the gate and reaches no host. The client's CPU is not counted. Every call must be found
in the ledger, its leaf written and its usage counted; else the line says `void`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from bench._installation import Installation, installed

CLIENT: Final = Path(__file__).with_name("_tool_client.py")
MODULES: Final = {"noop_tools": "def nothing(amount, currency):\n    return {'ok': True}\n"}
TOOLS: Final[tuple[dict[str, Any], ...]] = (
    {
        "name": "bench.nothing",
        "python": "noop_tools:nothing",
        "effect": "write",
        "repeat": "keyed",
        "args": {
            "type": "object",
            "properties": {"amount": {"type": "string", "format": "money"}, "currency": {"type": "string"}},
            "required": ["amount", "currency"],
            "additionalProperties": False,
        },
        "price": {"per_call": {"amount": "0.002", "currency": "EUR"}},
    },
    {"name": "bench.own", "aos": "list_actions", "effect": "read"},
)
POLICY: Final = {
    "name": "large-amounts",
    "actions": ["tool:bench.nothing"],
    "when": 'args.currency != "EUR" || args.amount > 1000',
    "outcome": "escalate",
    "approvers": {"role": "approver"},
    "reason": "{args.amount} {args.currency} is over the limit of 1000",
}
ARGUMENTS: Final = {"bench.nothing": {"amount": "12.50", "currency": "EUR"}, "bench.own": {}}
SETTLE_SECONDS: Final = 30.0


def set_up(aos: Installation) -> str:
    """Register tools, agent, budget and rule; return the agent's API key."""
    for tool in TOOLS:
        aos.rest("POST", "/tools", tool)
    agent = {"name": "bench", "type": "functional", "runtime": {"python": "noop_tools:nothing"}}
    aos.rest("POST", "/agents", {**agent, "tools": [tool["name"] for tool in TOOLS]})
    aos.rest("POST", "/policies", POLICY)
    budget = {"name": "all", "scope": "organization", "limit": {"amount": "1000000", "currency": "EUR"}, "per": "month"}
    aos.rest("POST", "/budgets", budget)
    return str(aos.rest("POST", "/agents/bench/api-keys", {"label": "bench"})["api_key"])


def call(aos: Installation, key: str, tool: str, *, callers: int, seconds: float) -> dict[str, Any]:
    """Load the door from a process of its own and return what it saw."""
    body = json.dumps({"arguments": ARGUMENTS[tool]})
    head = [
        f"POST /tools/{tool}/call HTTP/1.1", f"host: 127.0.0.1:{aos.port}", f"authorization: Bearer {key}",
        "content-type: application/json", f"content-length: {len(body)}",
    ]  # fmt: skip
    asked = {"port": aos.port, "request": "\r\n".join([*head, "", body]), "callers": callers, "seconds": seconds}
    done = subprocess.run(
        [sys.executable, "-P", CLIENT],
        input=json.dumps(asked),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=seconds + SETTLE_SECONDS,
    )
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


def counted(aos: Installation) -> dict[str, int]:
    """Return what the ledger holds once the integrator has given every record its leaf."""
    query = (
        "select (select count(*) from record where kind = 'act.intended') as intended,"
        " (select count(*) from record where kind in ('act.performed', 'act.failed')) as concluded,"
        " (select count(*) from record) - (select count(*) from ledger_leaf) as waiting,"
        " (select count(*) from usage_event) as charged"
    )
    until = time.monotonic() + SETTLE_SECONDS
    with aos.owner() as connection:
        while True:
            names = ("intended", "concluded", "waiting", "charged")
            found = dict(zip(names, connection.execute(query).fetchone() or (), strict=True))
            if not found["waiting"] or time.monotonic() > until:
                return found
            time.sleep(0.1)


def measure(aos: Installation, key: str, tool: str, *, callers: int, seconds: float) -> None:
    """Measure one load and print its line."""
    before, cpu = counted(aos), aos.cpu_seconds()
    seen = call(aos, key, tool, callers=callers, seconds=seconds)
    after = counted(aos)
    used = {kind: value - cpu.get(kind, 0.0) for kind, value in aos.cpu_seconds().items()}
    calls = seen["calls"]
    wanted = {"200": calls} if tool == "bench.nothing" else {"502": calls}
    found = {name: after[name] - before[name] for name in after}
    holds = seen["statuses"] == wanted and found == {
        "intended": calls, "concluded": calls, "charged": calls, "waiting": 0
    }  # fmt: skip
    line: dict[str, object] = {
        "bench": "tool_calls",
        "target": "aos",
        "host": tool == "bench.nothing",
        "callers": callers,
    }
    if not holds:
        print(
            json.dumps({**line, "void": True, "calls": calls, "statuses": seen["statuses"], "found": found}), flush=True
        )
        return

    def each(kind: str) -> float:
        return round(used.get(kind, 0.0) / calls * 1e6, 1)

    line |= {
        "requests_per_second": round(calls / seen["elapsed"], 1),
        "p50_ms": round(seen["p50"] * 1e3, 2),
        "p99_ms": round(seen["p99"] * 1e3, 2),
        "cpu_us_per_request": each("data_plane"),
        "cpu_us_per_request_hosts": each("hosts"),
        "cpu_us_per_request_postgres": each("postgres"),
        "cpu_us_per_request_integrator": each("worker"),
        "rss_mb": aos.rss_mb("data_plane"),
        "fdatasync_us": aos.fdatasync_us(),
    }
    print(json.dumps(line), flush=True)


def main(argv: Sequence[str]) -> int:
    """Run every load; `--seconds` for each, `--callers` for how many at once."""
    parser = argparse.ArgumentParser(prog="bench tool_calls", description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--callers", type=int, nargs="*", default=[1, 16, 64])
    asked = parser.parse_args(argv)
    with installed(MODULES) as aos:
        key = set_up(aos)
        for tool in ARGUMENTS:
            call(aos, key, tool, callers=16, seconds=2.0)
        for callers in asked.callers:
            measure(aos, key, "bench.nothing", callers=callers, seconds=asked.seconds)
        measure(aos, key, "bench.own", callers=max(asked.callers), seconds=asked.seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
