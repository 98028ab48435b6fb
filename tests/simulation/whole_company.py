"""The company of the whole simulation: its agent, its tools, its policy and budgets, and random runs drawn from a seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import count
from typing import Any
from uuid import UUID

from aos.kernel.agents import Runtime
from aos.kernel.json import Json
from aos.kernel.money import Money
from aos.kernel.policy.values import Outcome, Rule
from aos.kernel.tools import Effect, Repeat
from aos.kernel.workflow.spec import RetrySpec, TaskSpec, WorkflowSpec
from aos.operations.run_rows import RunRequest
from tests.databases import Database
from tests.simulation.whole_agents import expected
from tests.working import add_workflow
from tests.worlds import World, agent, make_world, tool

SAFE, KEYED, NEVER, ASKED = "books.read", "books.pay", "books.send", "books.ask"
TOOLS = (SAFE, KEYED, KEYED, NEVER, ASKED)
PRICE_NANOS = 1_000_000
RUN_KEY = "run"
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
    player = agent("player", *dict.fromkeys(TOOLS), delegates=("player",))
    player = replace(player, runtime=Runtime("python", "tests.simulation.whole_agents:play", inline=True))
    asks = Rule("asks", 1, Outcome.ESCALATE, (), (f"tool:{ASKED}",))
    world = make_world(
        database,
        agents=[player],
        tools=[
            _tool(SAFE, Effect.READ, Repeat.SAFE),
            _tool(KEYED, Effect.PAY, Repeat.KEYED),
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

    def script(self, depth: int = 0) -> list[list[Any]]:
        return [self._line(depth) for _ in range(self._chance.randint(1, 3))]

    def _line(self, depth: int) -> list[Any]:
        kinds = ["tool"] * 6 + ["step", "report", "break"] + (["group", "spawn"] * 2 if depth < 2 else [])
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
            case kind:
                return [kind, [self.script(depth + 1) for _ in range(self._chance.randint(1, 3))]]


def _add_order(company: Company, writer: _Writer, key: str, chance: random.Random) -> None:
    writer.written = set()
    budget = Money(chance.randint(0, 6) * PRICE_NANOS, "EUR") if chance.random() < 0.2 else None
    more: dict[str, Any] = {"idempotency_key": key, "labels": {RUN_KEY: key}, "budget": budget}
    if chance.random() < 0.3:
        script = writer.script()
        request = RunRequest(agent="player", input={"script": script}, **more)
        company.orders.append(Ordered(key, request, expected(script), frozenset(writer.written)))
        return
    workflow, value, output = _workflow(key, writer, chance)
    add_workflow(company.world, workflow)
    for task in workflow.tasks:
        company.after[key, task.name] = task.after
    request = RunRequest(workflow=key, input=value, **more)
    company.orders.append(Ordered(key, request, output, frozenset(writer.written)))


def _workflow(name: str, writer: _Writer, chance: random.Random) -> tuple[WorkflowSpec, Json, Any]:
    """Return a random workflow that ends in one task over all, its input, and what it returns where all goes well."""
    tasks: list[TaskSpec] = []
    outputs: dict[str, Any] = {}
    items = [{"script": writer.script(depth=2)} for _ in range(chance.randint(0, 3))]
    for number in range(chance.randint(1, 4)):
        label = f"t{number}"
        after = tuple(sorted(chance.sample([task.name for task in tasks], chance.randint(0, min(2, len(tasks))))))
        retry = RetrySpec(attempts=chance.randint(1, 4), backoff_seconds=0.5)
        if chance.random() < 0.25:
            tasks.append(TaskSpec(label, "player", input="${item}", for_each="${input}", after=after, retry=retry))
            outputs[label] = [expected(item["script"]) for item in items]
        else:
            script = writer.script(depth=1)
            tasks.append(TaskSpec(label, "player", input={"script": script}, after=after, retry=retry))
            outputs[label] = expected(script)
    output = {label: "${" + label + ".output}" for label in outputs}
    return WorkflowSpec(name, tuple(tasks), output=output), items, outputs
