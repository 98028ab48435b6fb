"""The far side of the simulation's tools: what happens to each call is the seed's, and the book says what was done.

A keyed tool does a thing once for a key, whoever asks how often; that one thing is never asked for under two keys is what
the book shows. A tool that must never be repeated does what it is told each time.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from aos.kernel.identity import Principal
from aos.kernel.json import Json
from aos.kernel.ports import ToolOutcome
from aos.kernel.tools import Repeat, Tool
from tests.simulation.stepper import Process

Fate = Literal["done", "failed", "lost before", "lost after"]
SLOW_SECONDS_MAX = 4.0


@dataclass
class Book:
    """What the tools have done, by thing."""

    seed: int
    keys: dict[str, dict[str, None]] = field(default_factory=dict)
    never: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)

    def fate(self, thing: str) -> tuple[Fate, float]:
        """Return what happens to the next call for a thing, and how long it takes."""
        self.asked[thing] += 1
        chance = random.Random(f"{self.seed}/{thing}/{self.asked[thing]}")
        likely: list[Fate] = ["done"] * 7
        unlikely: list[Fate] = ["failed", "lost before", "lost after"]
        return chance.choice([*likely, *unlikely]), chance.choice([0.0, 0.0, 0.3, SLOW_SECONDS_MAX])

    def do(self, tool: Tool, thing: str, key: str) -> None:
        """Do a thing."""
        if tool.repeat is Repeat.NEVER:
            self.never[thing] += 1
        else:
            self.keys.setdefault(thing, {})[key] = None

    def done(self, thing: str) -> bool:
        """Say whether a thing was done."""
        return thing in self.keys or thing in self.never

    def problems(self, safe: frozenset[str]) -> list[str]:
        """Return what was done twice; things done by safe tools may be."""
        twice = [f"{thing} was done under {len(keys)} keys" for thing, keys in self.keys.items() if len(keys) > 1]
        return [
            *(each for each in twice if each.split()[0] not in safe),
            *(f"{thing} was done {times} times" for thing, times in self.never.items() if times > 1),
        ]


class BookCaller:
    """The transport of one process."""

    def __init__(self, process: Process, book: Book) -> None:
        self._process = process
        self._book = book

    async def call(
        self,
        tool: Tool,
        arguments: Mapping[str, Json],
        *,
        principal: Principal,
        idempotency_key: str,
        deadline_seconds: float,
    ) -> ToolOutcome:
        """Do what the tool is told, as its fate has it."""
        thing = str(arguments["op"])
        await self._process.turn(f"call {thing}")
        fate, seconds = self._book.fate(thing)
        if seconds:
            await asyncio.sleep(seconds)
            await self._process.turn(f"work on {thing}")
        if fate in ("done", "lost after"):
            self._book.do(tool, thing, idempotency_key)
            await self._process.turn(f"answer {thing}")
        if fate == "done":
            return ToolOutcome(ok=True, value=thing)
        if fate == "failed":
            return ToolOutcome(ok=False, error="the tool broke", sent=False)
        return ToolOutcome(ok=False, error="the connection broke", unknown=True)
