"""The owner's side for tests: an in-memory journal that records calls as the gate would, over the real pool and hosts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from aos.drivers.hosts.pool import HostPool
from aos.drivers.hosts.values import HostsConfig
from aos_sdk.frames import Call, CallError, Ended, PassContext, Recorded, Result, Start
from tests.folders import new_folder

AGENTS = str(Path(__file__).parent)


@asynccontextmanager
async def open_pool(*, on_line=None, **options):
    """A started pool whose hosts find `sdk_agents` and know nothing else."""
    options = {"agent_hosts": 1, "tool_hosts": 0, "pass_seconds": 60.0, "python_path": (AGENTS,), **options}
    if "socket_path" not in options:
        options["socket_path"] = new_folder("hosts") / "hosts.sock"
    pool = HostPool(HostsConfig(**options), on_line=on_line or (lambda line: None))
    await pool.start()
    try:
        yield pool
    finally:
        await pool.close()


def fail(slug="tool-failed", detail="it broke"):
    return CallError(slug=slug, detail=detail)


@dataclass
class Owner:
    """One task's journal. `decide` says what comes of a call that no record answers: a value, or an error's state."""

    entry: str
    input: object = None
    task_id: str = "task-1"
    decide: Callable[[Call], tuple[str, object]] = lambda call: ("performed", {"echo": call.arguments})
    attempt: int = 1
    agent: str = "sample"
    agent_version: int = 1
    journal: list[Recorded] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    effects: Counter = field(default_factory=Counter)

    before: Callable[[Call], object] | None = None

    def start(self) -> Start:
        context = PassContext(
            run_id="run-1",
            run_name="close",
            agent=self.agent,
            agent_version=self.agent_version,
            attempt=self.attempt,
            goal="close the month",
            objectives=[{"name": "on time"}],
            labels={"month": "2026-01"},
            clock="2026-01-31T10:00:00+01:00",
        )
        return Start(self.task_id, f"token-{self.task_id}", self.entry, context, self.input, list(self.journal))

    async def on_call(self, call: Call) -> Result:
        self.calls.append(call)
        if self.before is not None:
            found = self.before(call)
            if hasattr(found, "__await__"):
                await found
        known = self.find(call)
        if known is not None:
            return Result(self.task_id, call.call_id, known.state, known.value, known.error, known.seq)
        if call.kind == "step":
            return self.record(call, call.options["state"], call.arguments, None)
        state, value = self.decide(call)
        if state == "waiting":
            return Result(self.task_id, call.call_id, "waiting")
        if state in ("failed", "refused", "unknown"):
            return self.record(call, state, None, value if isinstance(value, CallError) else fail())
        self.effects[call.key] += 1
        return self.record(call, "performed", value, None)

    def find(self, call: Call) -> Recorded | None:
        for record in self.journal:
            if record.key == call.key and (record.tries in (call.tries, -1) or record.state == "performed"):
                return record
        return None

    def record(self, call, state, value, error) -> Result:
        seq = len(self.journal) + 1
        self.journal.append(Recorded(seq, call.key, call.tries, call.kind, state, value, error))
        return Result(self.task_id, call.call_id, state, value, error, seq)

    async def run(self, pool: HostPool, **options: Any) -> Any:
        """One pass; answers `Ended` or `HostDied`."""
        return await pool.run_pass(self.start(), self.on_call, **options)

    def next_attempt(self) -> None:
        """Keep what a new attempt keeps: performed and unknown calls, matched by key alone."""
        self.attempt += 1
        self.journal = [
            msgspec.structs.replace(record, tries=-1)
            for record in self.journal
            if record.state in ("performed", "unknown")
        ]

    def unreached(self, ended: Ended) -> list[Recorded]:
        """Performed calls that the pass did not come to: divergence."""
        reached = {key for key, _ in ended.reached}
        return [r for r in self.journal if r.state == "performed" and r.kind != "step" and r.key not in reached]
