"""One act in a process of its own, for tests that kill it: `python -m tests.simulation.gate_child WORLD EFFECTS STOP`.

The world is read from a file. The tool writes its idempotency key as one line to EFFECTS, after looking whether it stands
there; before and after that it stops where STOP says, by creating the file EFFECTS.STOP and waiting to be killed.
"""

from __future__ import annotations

import asyncio
import pickle
import sys
from collections.abc import Mapping
from pathlib import Path

from aos.kernel.identity import Principal
from aos.kernel.json import Json
from aos.kernel.ports import ToolOutcome
from aos.kernel.tools import Tool
from tests.worlds import World

ARGUMENTS: Json = {"iban": "DE89370400440532013000", "amount": "12.50", "currency": "EUR"}


class KeyedFile:
    """A tool that refuses doubles itself: one line for each key."""

    def __init__(self, path: Path, stop: str) -> None:
        self._path = path
        self._stop = stop

    async def call(
        self,
        tool: Tool,
        arguments: Mapping[str, Json],
        *,
        principal: Principal,
        idempotency_key: str,
        deadline_seconds: float,
    ) -> ToolOutcome:
        """Write the key once."""
        await self._pause("before-effect")
        lines = self._path.read_text("ascii").split() if self._path.exists() else []
        if idempotency_key not in lines:
            self._path.write_text("\n".join([*lines, idempotency_key]) + "\n", "ascii")
        await self._pause("after-effect")
        return ToolOutcome(ok=True, value="paid")

    async def _pause(self, where: str) -> None:
        if where == self._stop:
            self._path.with_suffix(f".{where}").touch()
            await asyncio.Event().wait()


async def main(world_file: str, effects: str, stop: str) -> None:
    """Perform the act and print its state."""
    world: World = pickle.loads(Path(world_file).read_bytes())
    async with world.running(KeyedFile(Path(effects), stop)) as aos:
        act = world.act("finance", "payments.create", ARGUMENTS, idempotency_key="one")
        done = await aos.gate.perform(act)
        Path(effects).with_suffix(".answered").write_text(str(done), "utf-8")
        if stop == "before-answer":
            Path(effects).with_suffix(".before-answer").touch()
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
