"""Model calls through the whole gateway: identity, policy, budget and durable record on, beside a proxy that has none on.

`POST /v1/chat/completions` of an agent, under one rule whose condition is evaluated and one budget, goes to a model's
server that costs next to nothing; whole, and streamed in ten chunks. CPU is that of the named processes alone. Every call
must be found in the ledger: intended and performed once, its leaf written, the tokens those that the server reported, and
the budget settled by what they cost; else the line says `void`. A load during which the client itself stood still says
nothing of who was asked, whoever it was: it is run again, and is void where that does not help. `--peers` measures LiteLLM's proxy by the same load.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from bench._environments import MissingPeer
from bench._installation import Installation, installed
from bench._litellm_peer import VERSION, litellm_proxy
from bench._meter import Meter

CLIENT: Final = Path(__file__).with_name("_tool_client.py")
UPSTREAM: Final = Path(__file__).with_name("_model_upstream.py")
MODULES: Final = {"noop_agent": "def run():\n    return {}\n"}
SETTLE_SECONDS: Final = 60.0
WARM_SECONDS: Final = 8.0
"""For how long each gateway is warmed up, half of it by streams."""
CHUNKS: Final = 10
LONG_CHUNKS: Final = 100_000
PACED: Final = (20, 1_000, 2)
"""Streams at once, chunks of each, and milliseconds between two chunks."""
PAIRS: Final = 200
STILL_SECONDS_MAX: Final = 0.5
"""How long the client may be held up."""
ATTEMPTS: Final = 4
INPUT_NANOS: Final = 2_500
OUTPUT_NANOS: Final = 10_000
"""What a token costs: 2.50 EUR and 10 EUR for a million."""
MESSAGES: Final = [
    {"role": "system", "content": "You are a helpful assistant. " * 10},
    {"role": "user", "content": "What does the fox say? " * 10},
]


Figures: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Door:
    """Where chat completions are asked, and with which key."""

    port: int
    key: str

    def request(self, *, stream: bool, chunks: int = CHUNKS, pace_ms: int = 0) -> str:
        """Return one request as it goes over the wire."""
        asked: dict[str, Any] = {"model": "bench", "messages": MESSAGES, "max_tokens": chunks}
        if pace_ms:
            asked["user"] = f"pace={pace_ms}"
        body = json.dumps({**asked, "stream": True} if stream else asked)
        head = (
            "POST /v1/chat/completions HTTP/1.1", f"host: 127.0.0.1:{self.port}", f"authorization: Bearer {self.key}",
            "content-type: application/json", f"content-length: {len(body)}",
        )  # fmt: skip
        return "\r\n".join([*head, "", body])


@contextmanager
def upstream() -> Iterator[int]:
    """Run the model's server and yield its port."""
    server = subprocess.Popen([sys.executable, "-P", UPSTREAM], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield int(server.stdout.readline())
    finally:
        server.kill()
        server.wait()


def reported(port: int) -> dict[str, int]:
    """Return what the model's server has reported as used since its start."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/totals", timeout=10) as answer:
        found: dict[str, int] = json.loads(answer.read())
        return found


def manifest(port: int) -> dict[str, Any]:
    """Return the model, the agent that may ask it, a budget, and a rule that reads the request."""
    price = {"input_per_million": "2.50 EUR", "output_per_million": "10 EUR"}
    model = {"provider": "openai-compatible", "base_url": f"http://127.0.0.1:{port}/v1", "price": price}
    rule = {
        "id": "long-requests",
        "actions": ["model:*"],
        "when": "args.input_tokens_max > 50000",
        "outcome": "escalate",
        "approvers": {"role": "approver"},
        "reason": "{args.input_tokens_max} tokens are over the limit of 50000",
    }
    return {
        "aos": 1,
        "organization": {"hosts": [f"127.0.0.1:{port}"]},
        "models": {"bench": {**model, "output": 2 * LONG_CHUNKS, "context": 4 * LONG_CHUNKS}},
        "agents": {"bench": {"type": "functional", "runtime": {"python": "noop_agent:run"}, "models": ["bench"]}},
        "policies": [rule],
        "budgets": [{"id": "all", "scope": "organization", "limit": "1000000 EUR", "per": "month"}],
    }


def drive(asked: dict[str, Any], *, seconds: float) -> Any:
    """Load a door from a process of its own and return what it saw."""
    done = subprocess.run(
        [sys.executable, "-P", CLIENT],
        input=json.dumps(asked),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=seconds + SETTLE_SECONDS,
    )
    return json.loads(done.stdout)


def load(door: Door, *, callers: int, seconds: float, **request: Any) -> dict[str, Any]:
    """Call a door for so long, each caller once at least."""
    asked = {"port": door.port, "request": door.request(**request), "callers": callers, "seconds": seconds}
    seen: dict[str, Any] = drive(asked, seconds=seconds)
    return seen


def undisturbed(measure: Callable[[], tuple[dict[str, Any], Figures]]) -> tuple[dict[str, Any], Figures]:
    """Measure until the client was not held up meanwhile; what it saw the last time is void if it always was."""
    seen, used = measure()
    for _ in range(ATTEMPTS - 1):
        if seen["stood_still"] <= STILL_SECONDS_MAX:
            break
        print(f"bench: the client stood still for {seen['stood_still']:.1f} s: again", file=sys.stderr, flush=True)
        seen, used = measure()
    if seen["stood_still"] <= STILL_SECONDS_MAX:
        return seen, used
    return seen, {"void": True, "client_stood_still_s": round(seen["stood_still"], 2)}


def warm_up(door: Door) -> None:
    """Use a door for a while, as it will be used."""
    for stream in (False, True):
        load(door, callers=16, seconds=WARM_SECONDS / 2, stream=stream)


def ledger(aos: Installation) -> dict[str, int]:
    """Return what the ledger holds once the integrator has given every record its leaf."""
    query = (
        "select (select count(*) from record where kind = 'act.intended') as intended,"
        " (select count(*) from record where kind = 'act.performed') as performed,"
        " (select count(*) from record where kind = 'act.failed') as failed,"
        " (select count(*) from record) - (select count(*) from ledger_leaf) as waiting,"
        " (select coalesce(sum(quantity), 0) from usage_event where unit = 'input_tokens') as input_tokens,"
        " (select coalesce(sum(quantity), 0) from usage_event where unit = 'output_tokens') as output_tokens,"
        " (select coalesce(sum(cost_nanos), 0) from usage_event) as cost_nanos,"
        " (select coalesce(sum(settled_nanos), 0) from budget_account) as settled_nanos,"
        " (select coalesce(sum(held_nanos), 0) from budget_account) as held_nanos"
    )
    until = time.monotonic() + SETTLE_SECONDS
    with aos.owner() as connection:
        while True:
            asked = connection.execute(query)
            names = [column.name for column in asked.description or ()]
            found = dict(zip(names, map(int, asked.fetchone() or ()), strict=True))
            if not (found["waiting"] or found["held_nanos"]) or time.monotonic() > until:
                return found
            time.sleep(0.1)


@dataclass(frozen=True, slots=True)
class Bench:
    """The gateway under load and the server behind it."""

    aos: Installation
    door: Door
    upstream: int

    def measure(self, work: Callable[[], dict[str, Any]]) -> tuple[dict[str, Any], Figures]:
        """Do some work, undisturbed; return what the client saw and the CPU used, or why that is void."""
        return undisturbed(lambda: self._once(work))

    def _once(self, work: Callable[[], dict[str, Any]]) -> tuple[dict[str, Any], Figures]:
        before, told, cpu = ledger(self.aos), reported(self.upstream), self.aos.cpu_seconds()
        seen = work()
        used_before_leaves = self.aos.cpu_seconds()
        after = ledger(self.aos)
        used = {**used_before_leaves, "worker": self.aos.cpu_seconds()["worker"]}
        found = {name: after[name] - before[name] for name in after}
        said = {name: value - told[name] for name, value in reported(self.upstream).items()}
        cost = said["input_tokens"] * INPUT_NANOS + said["output_tokens"] * OUTPUT_NANOS
        calls = seen["calls"]
        wanted = {
            "intended": calls, "performed": calls, "failed": 0, "waiting": 0, "input_tokens": said["input_tokens"],
            "output_tokens": said["output_tokens"], "cost_nanos": cost, "settled_nanos": cost, "held_nanos": 0,
        }  # fmt: skip
        if seen["statuses"] != {"200": calls} or said["calls"] != calls or found != wanted:
            return seen, {"void": True, "statuses": seen["statuses"], "found": found, "wanted": wanted}
        return seen, {kind: value - cpu.get(kind, 0.0) for kind, value in used.items()}


def say(**line: object) -> None:
    """Print one line."""
    print(json.dumps({"bench": "gateway", **line}), flush=True)


def measure_load(bench: Bench, *, stream: bool, callers: int, seconds: float) -> dict[str, Any]:
    """Measure callers that ask again and again, and print the line."""
    seen, used = bench.measure(lambda: load(bench.door, callers=callers, seconds=seconds, stream=stream))
    line: dict[str, Any] = {"target": "aos", "workload": _named(stream), "callers": callers}
    if "void" in used:
        say(**line, **used)
        return {}

    def each(kind: str) -> float:
        return round(used.get(kind, 0.0) / seen["calls"] * 1e6, 1)

    line |= {
        **times(seen, stream=stream),
        "cpu_us_per_request": each("data_plane"),
        "cpu_us_per_request_postgres": each("postgres"),
        "cpu_us_per_request_integrator": each("worker"),
        "rss_mb": bench.aos.rss_mb("data_plane"),
        "processes": len(bench.aos.pids()["data_plane"]),
        "in_ledger": seen["calls"],
        "load_average": os.getloadavg()[0],
    }
    say(**line)
    return line


def _named(stream: bool) -> str:
    return "streamed" if stream else "whole"


def times(seen: dict[str, Any], *, stream: bool) -> dict[str, float]:
    """Return how fast the answers came."""
    found = {
        "requests_per_second": round(seen["calls"] / seen["elapsed"], 1),
        "p50_ms": round(seen["p50"] * 1e3, 2),
        "p99_ms": round(seen["p99"] * 1e3, 2),
    }
    if stream:
        found |= {
            "first_byte_p50_ms": round(seen["first_p50"] * 1e3, 2),
            "first_byte_p99_ms": round(seen["first_p99"] * 1e3, 2),
        }
    return found


def measure_chunks(bench: Bench, workload: str, *, callers: int, chunks: int, pace_ms: int) -> None:
    """Measure what a chunk costs, and the memory while they pass."""
    pids = bench.aos.pids()["data_plane"]
    before = bench.aos.rss_mb("data_plane")
    for pid in pids:
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # the highest memory is counted from now on
    seen, used = bench.measure(
        lambda: load(bench.door, callers=callers, seconds=0.0, stream=True, chunks=chunks, pace_ms=pace_ms)
    )
    line = {"target": "aos", "workload": workload, "callers": callers, "chunks": chunks * callers}
    expected = (chunks + 2) * callers  # the last ones carry the reason of the end and the end
    if "void" in used or seen["events"] != expected:
        say(**line, **({"events": seen["events"], "void": True} | used))
        return
    say(
        **line,
        cpu_us_per_chunk=round(used["data_plane"] / line["chunks"] * 1e6, 2),
        chunks_per_second=round(line["chunks"] / seen["elapsed"]),
        chunks_per_read=round(seen["events"] / seen["pieces"], 1),
        rss_mb_before=before,
        rss_mb_highest=max(map(_highest_mb, pids)),
        rss_mb=bench.aos.rss_mb("data_plane"),
        load_average=os.getloadavg()[0],
    )


def _highest_mb(pid: int) -> float:
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return round(int(fields["VmHWM"].split()[0]) * 1024 / 1e6, 1)


def measure_delay(bench: Bench, *, stream: bool) -> None:
    """Measure how much later than directly an answer comes, asking both in turn, beside the time of a commit."""
    direct, commit_us, fdatasync_us = Door(bench.upstream, "none"), bench.aos.commit_us(), bench.aos.fdatasync_us()
    doors = (direct, bench.door)
    asked = {
        "pairs": PAIRS,
        "ports": [door.port for door in doors],
        "requests": [door.request(stream=stream) for door in doors],
    }
    seen, used = undisturbed(lambda: (drive(asked, seconds=PAIRS / 10), {}))
    if used or seen["statuses"] != {"200": 2 * PAIRS}:
        say(target="aos", workload=f"delay_{_named(stream)}", **{"void": True, "statuses": seen["statuses"], **used})
        return
    straight, through = seen["both"]
    each = "each_first" if stream else "each_taken"
    pairs = list(zip(straight[each], through[each], strict=True))
    later = sorted((gated - plain) * 1e3 for plain, gated in pairs)
    say(
        target="aos",
        workload=f"delay_{_named(stream)}",
        callers=1,
        what="first byte" if stream else "whole answer",
        direct_p50_ms=round(statistics.median(plain for plain, _ in pairs) * 1e3, 3),
        p50_ms=round(statistics.median(gated for _, gated in pairs) * 1e3, 3),
        later_p50_ms=round(statistics.median(later), 3),
        later_p99_ms=round(later[len(later) * 99 // 100], 3),
        commit_us=commit_us,
        fdatasync_us=fdatasync_us,
        later_than_a_commit_ms=round(statistics.median(later) - commit_us / 1e3, 3),
        load_average=os.getloadavg()[0],
    )


def measure_aos(port: int, *, callers: Sequence[int], seconds: float) -> dict[tuple[str, int], dict[str, Any]]:
    """Measure every load through AOS and return the lines by workload and callers."""
    lines: dict[tuple[str, int], dict[str, Any]] = {}
    with installed(MODULES, {"AOS_LOCAL_MODEL": "off"}) as aos:
        aos.apply(manifest(port))
        door = Door(aos.port, str(aos.rest("POST", "/agents/bench/api-keys", {"label": "bench"})["api_key"]))
        bench = Bench(aos, door, port)
        warm_up(door)
        for stream in (False, True):
            for number in callers:
                lines[_named(stream), number] = measure_load(bench, stream=stream, callers=number, seconds=seconds)
        for stream in (False, True):
            measure_delay(bench, stream=stream)
        measure_chunks(bench, "long_stream", callers=1, chunks=LONG_CHUNKS, pace_ms=0)
        streams, chunks, pace_ms = PACED
        measure_chunks(bench, "paced_streams", callers=streams, chunks=chunks, pace_ms=pace_ms)
    return lines


def measure_peer(
    port: int, *, callers: Sequence[int], seconds: float, ours: Mapping[tuple[str, int], dict[str, Any]]
) -> None:
    """Measure the same loads through LiteLLM's proxy and print how many times ours it takes."""
    peer = {"target": "litellm", "version": VERSION}
    try:
        with litellm_proxy(port) as (served, pid):
            door, meter = Door(served, "none"), Meter([pid])
            warm_up(door)
            for stream in (False, True):
                for number in callers:
                    line = measure_proxy(door, meter, port, stream=stream, callers=number, seconds=seconds)
                    held = {} if "void" in line else compared(line, ours.get((_named(stream), number)))
                    say(**peer, **line, **held)
    except MissingPeer as error:
        say(**peer, missing=str(error))


def measure_proxy(
    door: Door, meter: Meter, upstream: int, *, stream: bool, callers: int, seconds: float
) -> dict[str, Any]:
    """Measure one load of the peer; return its line."""

    def once() -> tuple[dict[str, Any], Figures]:
        told = reported(upstream)["calls"]
        meter.begin()
        seen = load(door, callers=callers, seconds=seconds, stream=stream)
        used, passed = meter.seconds(), reported(upstream)["calls"] - told
        if seen["statuses"] != {"200": seen["calls"]} or passed != seen["calls"]:
            return seen, {"void": True, "statuses": seen["statuses"], "passed": passed}
        return seen, {"proxy": used}

    seen, used = undisturbed(once)
    line = {"workload": _named(stream), "callers": callers}
    if "void" in used:
        return {**line, **used}
    return {
        **line,
        **times(seen, stream=stream),
        "cpu_us_per_request": round(used["proxy"] / seen["calls"] * 1e6, 1),
        "rss_mb": round(meter.rss_mb() * 2**20 / 1e6, 1),
        "load_average": os.getloadavg()[0],
    }


def compared(line: Mapping[str, Any], ours: Mapping[str, Any] | None) -> dict[str, float]:
    """Return how many times ours each figure is; nothing where ours is void."""
    if not ours:
        return {}
    names = ("cpu_us_per_request", "rss_mb", "requests_per_second", "p99_ms")
    with_database = ours["cpu_us_per_request_postgres"] + ours["cpu_us_per_request_integrator"]
    everything = ours["cpu_us_per_request"] + with_database
    return {
        **{f"{name}_times_ours": round(line[name] / ours[name], 3) for name in names},
        "cpu_times_ours_with_postgres_and_integrator": round(line["cpu_us_per_request"] / everything, 2),
    }


def main(argv: Sequence[str]) -> int:
    """Run every load; `--seconds` for each, `--callers` for how many at once."""
    parser = argparse.ArgumentParser(prog="bench gateway", description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--callers", type=int, nargs="*", default=[1, 16, 64])
    parser.add_argument("--peers", action="store_true", help="install LiteLLM's proxy for a while and measure it too")
    asked = parser.parse_args(argv)
    with upstream() as port:
        ours = measure_aos(port, callers=asked.callers, seconds=asked.seconds)
        if asked.peers:
            measure_peer(port, callers=asked.callers, seconds=asked.seconds, ours=ours)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
