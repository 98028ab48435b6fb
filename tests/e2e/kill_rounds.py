"""Rounds of faults on an installation at work: what is killed or stopped, what goes on meanwhile, and what must hold after.

A round draws from its seed: a victim, whether it is killed with `kill -9` or stopped for longer than a lease, and after how
long. Runs with keyed effects are kept open all the time by a thread of its own; the moment within an effect is the
machine's. How soon work goes on is read from the log that the tool writes; rounds in which the machine itself stood still
are not judged by it, and are counted.
"""

from __future__ import annotations

import json
import os
import select
import signal
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

from aos.drivers.embedded_postgres.processes import pids
from aos.kernel.limits import LEASE_SECONDS
from examples.month_end.demo_aos import LINK, ROOT, Aos, DemoError
from tests.e2e.installation import Installation, installation, parent_of
from tests.e2e.kill_agents import DONE, LOG, THINGS
from tests.e2e.kill_broker import broker
from tests.e2e.kill_witness import Witness

RUNS_OPEN, ITEMS = 4, 12
WORKERS = 2
STOP_SECONDS = LEASE_SECONDS + 2.0
RECOVERY_SECONDS_MAX = LEASE_SECONDS + 2.0
END_SECONDS = 180.0
POLL_SECONDS = 0.02
STOP_SHARE = 0.12
VICTIMS = ("worker", "worker", "host", "data-plane", "control-plane", "postgres")
OPEN_STATES = ("running", "paused")


@dataclass(frozen=True)
class Fault:
    """What was done to whom, and after how long the next effect was seen; of a stop that halts all, from its end on."""

    victim: str
    stopped: bool
    at: float
    recovery_seconds: float


@dataclass
class UnderFire:
    """An installation at work, and the faults that it has met."""

    made: Installation
    aos: Aos
    folder: Path
    redis_pid: Callable[[], int | None] | None = None
    faults: list[Fault] = field(default_factory=list)
    runs: dict[str, str] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)
    witness: Witness = field(init=False)
    _ending: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.witness = Witness(self.made.everything)

    # --- work ----------------------------------------------------------------------------------------------------------

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Keep runs open until the end of the block, and then wait until all have ended."""
        with self.witness.watching():
            yield from self._kept_open()

    def _kept_open(self) -> Iterator[None]:
        keeper = threading.Thread(target=self._keep_open, name="keeper")
        keeper.start()
        try:
            self._until(self._effects, "work has begun")
            yield
        finally:
            self._ending.set()
            keeper.join()
        self._until(lambda: not self._open_runs(), "all runs have ended")

    def _keep_open(self) -> None:
        with Aos(self.made.url, self.aos.token) as aos:
            number = 0
            while not self._ending.is_set():
                with suppress(DemoError):
                    if len(self._open_runs(aos)) < RUNS_OPEN:
                        items = [f"r{number}.{item}" for item in range(ITEMS)]
                        self.runs[aos.post("/runs", {"workflow": "things", "input": {"items": items}})["id"]] = (
                            "running"
                        )
                        number += 1
                        continue
                self._ending.wait(0.1)

    def _open_runs(self, aos: Aos | None = None) -> list[str]:
        for run_id in [run_id for run_id, state in list(self.runs.items()) if state in OPEN_STATES]:
            with suppress(DemoError):
                self.runs[run_id] = str((aos or self.aos).get(f"/runs/{run_id}")["state"])
        return [run_id for run_id, state in list(self.runs.items()) if state in OPEN_STATES]

    # --- faults --------------------------------------------------------------------------------------------------------

    def round(self, chance: Random, *, victim: str | None = None, stopped: bool | None = None) -> None:
        """Do one thing to one process, and wait until work goes on."""
        victims = (*VICTIMS, "redis") if self.redis_pid is not None else VICTIMS
        victim = victim or chance.choice(victims)
        stopped = chance.random() < STOP_SHARE if stopped is None else stopped
        self._wait(chance.uniform(0.1, 1.5))
        found = self._pids(victim)
        if not found:
            self.missed.append(victim)
            return
        chosen = found if victim == "postgres" and stopped else [chance.choice(found)]
        at = time.time()
        if stopped:
            at = self._stop(victim, chosen)
        else:
            _signal(chosen, signal.SIGKILL)
        what = f"{'stopped' if stopped else 'killed'} {victim} in round {len(self.faults)}"
        self._until(lambda: self._went_on(at), f"work goes on after {what}")
        self.faults.append(Fault(victim, stopped, at, self._went_on(at) - at))

    def _stop(self, victim: str, chosen: list[int]) -> float:
        """Stop processes for longer than a lease; return from when on work must go on."""
        at = time.time()
        self.witness.ours = frozenset(chosen)
        _signal(chosen, signal.SIGSTOP)
        try:
            self._wait(STOP_SECONDS)
        finally:
            _signal(chosen, signal.SIGCONT)
            self.witness.ours = frozenset()
        return at if victim in ("worker", "host") else time.time()  # without the others nobody goes on, or starts a run

    def _went_on(self, since: float) -> float:
        """Return when work went on, 0 where it has not: at the second effect of an item, for the first was under way."""
        seen: Counter[str] = Counter()
        for at, item in self._effects():
            if at > since:
                seen[item] += 1
                if seen[item] == 2:
                    return at
        return 0.0

    def _pids(self, victim: str) -> list[int]:
        if victim == "redis":
            assert self.redis_pid is not None
            return [pid for pid in [self.redis_pid()] if pid is not None]
        processes = self.made.processes()
        if victim == "host":
            workers = {pid for name, pid in processes.items() if name.startswith("worker") and pid}
            return [pid for pid in pids() if parent_of(pid) in workers]
        found = [pid for name, pid in processes.items() if name.startswith(victim) and pid]
        return [*found, *(pid for pid in pids() if parent_of(pid) in found)] if victim == "postgres" else found

    # --- what must hold ------------------------------------------------------------------------------------------------

    def check(self) -> dict[str, Any]:
        """Return the report of all rounds; raise where anything is lost, repeated or late."""
        done = Counter(name.rpartition("~")[0] for name in os.listdir(self.folder / DONE))
        wanted = {
            f"r{run}.{item}.{thing}"
            for run in range(len(self.runs))
            for item in range(ITEMS)
            for thing in range(THINGS)
        }
        judged = [
            fault
            for fault in self.faults
            if not self.witness.stood_still(
                fault.at, fault.at + max(fault.recovery_seconds, STOP_SECONDS * fault.stopped)
            )
        ]
        recovery = sorted(fault.recovery_seconds for fault in judged)
        gaps = sorted(self._gaps())
        report = {
            "rounds": len(self.faults),
            "rounds_judged_by_recovery": len(judged),
            "killed": dict(Counter(fault.victim for fault in self.faults if not fault.stopped)),
            "stopped": dict(Counter(fault.victim for fault in self.faults if fault.stopped)),
            "not_there": dict(Counter(self.missed)),
            "runs": len(self.runs),
            "runs_not_succeeded": {run: state for run, state in self.runs.items() if state != "succeeded"},
            "effects": sum(done.values()),
            "lost": len(wanted - done.keys()),
            "repeated": sum(count - 1 for count in done.values()),
            "recovery_seconds": _spread(recovery),
            "tasks_go_on_seconds": _spread(gaps),
            "lease_seconds": LEASE_SECONDS,
        }
        print(json.dumps({"bench": "kills", **report}), flush=True)
        assert not report["runs_not_succeeded"], report
        assert (report["lost"], report["repeated"]) == (0, 0), report
        late = [fault for fault in judged if fault.recovery_seconds > RECOVERY_SECONDS_MAX]
        assert not late, late
        assert max(gaps, default=0.0) <= RECOVERY_SECONDS_MAX, report
        return report

    def _gaps(self) -> list[float]:
        """Return how long each item that met a fault went without an effect, from the last fault that it met so.

        A further fault may well hit who has just claimed it again, so it counts from that one.
        """
        times: dict[str, list[float]] = {}
        for at, item in self._effects():
            times.setdefault(item, []).append(at)
        gaps = []
        for each in times.values():
            for before, after in pairwise(sorted(each)):
                met = [fault.at for fault in self.faults if before < fault.at < after]
                if met and not self.witness.stood_still(before, after):
                    gaps.append(after - max(met))
        return gaps

    def _effects(self) -> list[tuple[float, str]]:
        """Return when the items had an effect each."""
        with suppress(FileNotFoundError):
            lines = [line.split() for line in (self.folder / LOG).read_text().splitlines()]
            return [(float(line[0]), line[1].rpartition(".")[0]) for line in lines if len(line) == 2]
        return []

    def _until(self, condition: Callable[[], object], what: str) -> None:
        ends_at = time.monotonic() + END_SECONDS
        while not condition():
            assert time.monotonic() < ends_at, f"not within {END_SECONDS:g} s: {what}"
            self._wait(POLL_SECONDS)

    def _wait(self, seconds: float) -> None:
        select.select([], [], [], seconds)


def _signal(chosen: list[int], which: signal.Signals) -> None:
    for pid in chosen:
        with suppress(ProcessLookupError):
            os.kill(pid, which)


def _spread(ordered: list[float]) -> dict[str, float]:
    if not ordered:
        return {}
    return {
        "p50": round(statistics.median(ordered), 2),
        "p99": round(ordered[int(len(ordered) * 0.99)], 2),
        "max": round(ordered[-1], 2),
    }


def manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of the agents and the tool."""
    agents = "tests.e2e.kill_agents"
    return {
        "aos": 1,
        "agents": {
            "worker": {"type": "functional", "runtime": {"python": f"{agents}:does_things"}, "tools": ["things.do"]},
            "closer": {"type": "functional", "runtime": {"python": f"{agents}:ends"}},
        },
        "tools": {
            "things.do": {
                "python": f"{agents}:do",
                "effect": "write",
                "repeat": "keyed",
                "args": {"properties": {"thing": {"type": "string"}}, "required": ["thing"]},
                "fixed": {"folder": str(folder)},
            }
        },
        "workflows": {
            "things": {
                "input": {"properties": {"items": {"type": "array"}}, "required": ["items"]},
                "tasks": {
                    "each": {"agent": "worker", "input": "${item}", "for_each": "${input.items}"},
                    "end": {"agent": "closer", "input": "${each.output}"},
                },
            }
        },
    }


@contextmanager
def under_fire(engine: str = "postgres", **more: str) -> Iterator[UnderFire]:
    """Yield an installation with two workers whose agents and tool are registered; with `celery`, on a broker of its own."""
    with ExitStack() as stack:
        given: dict[str, Any] = {"AOS_AGENT_PATH": str(ROOT), "AOS_WORKERS": str(WORKERS), "AOS_ENGINE": engine, **more}
        redis_pid = None
        if engine == "celery":
            served = stack.enter_context(broker())
            given["AOS_REDIS_URL"] = served.url
            redis_pid = served.pid
        made = stack.enter_context(installation(**given))
        folder = made.folder / "things"
        (folder / DONE).mkdir(parents=True)
        link = LINK.search(made.up())
        assert link is not None, "an empty store prints a link"
        with Aos(made.url) as nobody:
            token = nobody.post("/people/link", {"link": link.group()})["token"]
        made.more = {**made.more, "AOS_TOKEN": token}
        aos = stack.enter_context(Aos(made.url, token))
        aos.post("/manifest", {"manifest": manifest(folder)})
        yield UnderFire(made, aos, folder, redis_pid)
        made.aos("down")
