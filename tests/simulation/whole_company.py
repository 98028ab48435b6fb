"""The company of the whole simulation: its agent, its tools, its policy and budgets, and random runs drawn from a seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import count
from typing import Any, TypeAlias
from uuid import UUID

from aos.kernel.agents import Runtime
from aos.kernel.json import Json
from aos.kernel.money import Money
from aos.kernel.policy.values import Outcome, Rule
from aos.kernel.tools import Compensation, Effect, Repeat
from aos.kernel.workflow.spec import AtLeast, FallbackSpec, Join, OnFailure, RetrySpec, TaskSpec, WorkflowSpec
from aos.operations.run_rows import RunRequest
from tests.databases import Database
from tests.simulation.whole_agents import MAY_LACK, expected
from tests.working import add_workflow
from tests.worlds import World, agent, make_world, tool

SAFE, KEYED, NEVER, ASKED, REFUND = "books.read", "books.pay", "books.send", "books.ask", "books.refund"
TOOLS = (SAFE, KEYED, KEYED, NEVER, ASKED)
UNDONE = Compensation(REFUND, {"op": "undo ${args.op}"})
PRICE_NANOS = 1_000_000
RUN_KEY = "run"
Script: TypeAlias = list[Json]
TOOL_SECONDS = 5


class SeededIds:
    """The `Ids` port: UUIDv7 of the simulation's time, all else from the seed."""

    def __init__(self, chance: random.Random, now: Callable[[], datetime]) -> None:
        self._chance = chance
        self._now = now
        self._numbers = count()

    def new(self) -> UUID:
        """Return a fresh UUIDv7."""
        milliseconds = int(self._now().timestamp() * 1_000)
        number = next(self._numbers) % 4_096
        value = (milliseconds << 80) | (0x7 << 76) | (number << 64) | (0b10 << 62) | self._chance.getrandbits(62)
        return UUID(int=value)

    def random_bytes(self, length: int) -> bytes:
        """Return bytes of the seed."""
        return self._chance.randbytes(length)


@dataclass(frozen=True)
class Ordered:
    """A run that somebody orders, and what it returns where all goes well; None where no one value is expected."""

    key: str
    request: RunRequest
    output: Any = None
    things: frozenset[str] = frozenset()
    signals: tuple[str, ...] = ()
    may_lack: frozenset[str] = frozenset()
    """Tasks that may have ended without a value, and the run have succeeded for all that."""


@dataclass
class Company:
    """One organization and the runs that it will order."""

    world: World
    orders: list[Ordered] = field(default_factory=list)
    safe: frozenset[str] = frozenset()
    after: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    """By workflow and task, the tasks whose success it needs."""


def found_company(database: Database, seed: int, runs: int) -> Company:
    """Write the company into the database and draw its runs."""
    chance = random.Random(f"{seed}/company")
    runtime = Runtime("python", "tests.simulation.whole_agents:play", inline=True)
    players = [
        replace(agent(name, *dict.fromkeys((*TOOLS, REFUND)), delegates=("player",)), runtime=runtime)
        for name in ("player", "stand-in")
    ]
    asks = Rule("asks", 1, Outcome.ESCALATE, (), (f"tool:{ASKED}",))
    world = make_world(
        database,
        agents=players,
        tools=[
            _tool(SAFE, Effect.READ, Repeat.SAFE),
            replace(_tool(KEYED, Effect.PAY, Repeat.KEYED), compensate=UNDONE),
            _tool(REFUND, Effect.PAY, Repeat.KEYED),
            _tool(NEVER, Effect.SEND, Repeat.NEVER),
            _tool(ASKED, Effect.PAY, Repeat.KEYED),
        ],
        rules=[asks],
        budgets=[
            ("company", "organization", Money(1_000 * PRICE_NANOS, "EUR")),
            ("player", "player", Money(chance.choice([25, 500]) * PRICE_NANOS, "EUR")),
        ],
    )
    company = Company(world)
    writer = _Writer(chance)
    for number in range(runs):
        _add_order(company, writer, f"run{number}", chance)
    company.safe = frozenset(writer.safe)
    return company


def _tool(name: str, effect: Effect, repeat: Repeat) -> Any:
    schema: Json = {"type": "object", "properties": {"op": {"type": "string"}}, "required": ["op"]}
    return tool(
        name,
        effect=effect,
        schema=schema,
        repeat=repeat,
        price=Money(PRICE_NANOS, "EUR") if repeat is not Repeat.SAFE else None,
        timeout_seconds=TOOL_SECONDS,
    )


class _Writer:
    """Writes scripts; each thing that a tool does has a name of its own."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._things = count()
        self.safe: set[str] = set()
        self.written: set[str] = set()
        self.signals: list[str] = []

    def begin(self) -> None:
        """Begin the scripts of another run."""
        self.written, self.signals = set(), []

    def script(self, depth: int = 0) -> Script:
        """Return the script of a task."""
        script = self._lines(depth)
        return [*script, ["anew", self._lines(depth)]] if self._chance.random() < 0.1 else script

    def _lines(self, depth: int) -> Script:
        return [self._line(depth) for _ in range(self._chance.randint(1, 3))]

    def _line(self, depth: int) -> Any:
        kinds = ["tool"] * 7 + ["step", "report", "break", "sleep", "signal"]
        kinds += ["group", "group", "spawn", "chain", "any"] if depth < 2 else []
        match self._chance.choice(kinds):
            case "tool":
                name, thing = self._chance.choice(TOOLS), f"thing{next(self._things)}"
                if name == SAFE:
                    self.safe.add(thing)
                self.written.add(thing)
                return ["tool", name, thing]
            case "step":
                return ["step", self._chance.randint(0, 99)]
            case "report":
                return ["report", self._chance.randint(0, 99)]
            case "break":
                return ["break", self._chance.choice([0, 1, 1, 2])]
            case "sleep":
                return ["sleep", self._chance.choice([0, 0.5, 20])]
            case "signal":
                self.signals.append(f"signal{next(self._things)}")
                return ["signal", self.signals[-1]]
            case "group":
                return ["group", [self._lines(depth + 1) for _ in range(self._chance.randint(1, 3))]]
            case kind:
                return [kind, [self.script(depth + 1) for _ in range(self._chance.randint(1, 3))]]


def _add_order(company: Company, writer: _Writer, key: str, chance: random.Random) -> None:
    writer.begin()
    budget = Money(chance.randint(0, 6) * PRICE_NANOS, "EUR") if chance.random() < 0.2 else None
    more: dict[str, Any] = {"idempotency_key": key, "labels": {RUN_KEY: key}, "budget": budget}
    if chance.random() < 0.3:
        script = writer.script()
        request = RunRequest(agent="player", input={"script": script}, **more)
        output: Any = expected(script)
        may_lack: frozenset[str] = frozenset()
    else:
        inner = _workflow(f"{key}-inner", writer, chance) if chance.random() < 0.25 else None
        flow = _workflow(key, writer, chance, inner=inner)
        for each in (inner, flow):
            if each is not None:
                add_workflow(company.world, each.spec)
        company.after |= {(key, task): needs for task, needs in flow.needs.items()}
        request = RunRequest(workflow=key, input=flow.input, **more)
        output, may_lack = flow.outputs, frozenset(flow.may_lack)
    things, signals = frozenset(writer.written), tuple(writer.signals)
    company.orders.append(Ordered(key, request, output, things, signals, may_lack))


@dataclass
class _Flow:
    """A workflow that is drawn, its input, and what it returns where all goes well."""

    spec: WorkflowSpec
    input: Json
    outputs: dict[str, Any]
    may_lack: set[str]
    needs: dict[str, tuple[str, ...]]


def _workflow(name: str, writer: _Writer, chance: random.Random, *, inner: _Flow | None = None) -> _Flow:
    """Draw a workflow, with another one as a task of it where one is given."""
    flow = _Flow(WorkflowSpec(name, ()), [], {}, set(), {})
    tasks: list[TaskSpec] = []
    items: list[Json] = (
        [{"script": writer.script(depth=2)} for _ in range(chance.randint(0, 3))] if inner is None else []
    )
    for number in range(chance.randint(1, 4)):
        label = f"t{number}"
        task = _task(label, [task.name for task in tasks], chance)
        if inner is not None and not inner.input:
            task, flow.outputs[label], lacks = replace(task, workflow=inner.spec.name), inner.outputs, inner.may_lack
            flow.outputs[label] = {name: MAY_LACK if name in lacks else value for name, value in inner.outputs.items()}
            inner = None
            task = replace(task, fallback=None, retry=RetrySpec())  # each attempt would be a run of its own
            flow.may_lack.add(label)
        elif items and chance.random() < 0.3:
            flow.outputs[label] = [expected(_script(item)) for item in items]
            task = replace(task, agent="player", input="${item}", for_each="${input}", fallback=None)
            items, flow.input = [], items
        else:
            script = writer.script(depth=1)
            flow.outputs[label] = expected(script)
            task = replace(task, agent="player", input={"script": script})
        if task.when is not None or task.on_failure is OnFailure.CONTINUE:
            flow.may_lack.add(label)
        tasks.append(task)
    loose = {task.name for task in tasks if task.join != "all"} | flow.may_lack
    flow.needs = {
        task.name: tuple(need for need in task.after if need not in loose) for task in tasks if task.join == "all"
    }
    flow.may_lack |= loose
    flow.spec = WorkflowSpec(name, tuple(tasks), output={label: "${" + label + ".output}" for label in flow.outputs})
    return flow


def _script(item: Any) -> Any:
    return item["script"]


def _task(label: str, before: list[str], chance: random.Random) -> TaskSpec:
    after = tuple(sorted(chance.sample(before, chance.randint(0, min(2, len(before))))))
    joins: list[Join] = ["all", "all", "any", AtLeast(len(after))]
    join: Join = chance.choice(joins) if after else "all"
    return TaskSpec(
        label,
        after=after,
        join=join,
        retry=RetrySpec(attempts=chance.randint(1, 4), backoff_seconds=0.5),
        when=chance.choice(["${1 == 1}", "${1 == 2}"]) if chance.random() < 0.15 else None,
        on_failure=chance.choice([OnFailure.FAIL] * 6 + [OnFailure.CONTINUE] * 2 + [OnFailure.COMPENSATE]),
        fallback=FallbackSpec("stand-in") if chance.random() < 0.2 else None,
    )
