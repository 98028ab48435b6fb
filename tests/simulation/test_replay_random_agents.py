"""Random agents under random trouble: every call is performed once, and the end is that of an undisturbed run.

A program is drawn from a seed: calls, retries, groups of concurrent calls, steps, children and branches on results. The
owner answers each by the seed too: performed, failed, denied, waiting. Hosts are killed before and after calls are
recorded. A failing seed is printed by the test's name and replays the same trouble.
"""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from aos.drivers.hosts.values import HostDied
from aos_sdk.frames import CallError
from tests.contract.sdk_owner import Owner, open_pool

HERE = str(Path(__file__).parent)
PASSES_MAX = 200


def draw_program(rng: random.Random, depth: int = 0) -> list[list]:
    """A list of statements that `replay_agents` interprets."""
    program: list[list] = []
    for _ in range(rng.randint(1, 4)):
        kind = rng.choice(
            ["call", "call", "retry", "step", "group", "branch", "loop"] if depth < 2 else ["call", "retry"]
        )
        name = rng.choice(["read", "pay", "send"])
        match kind:
            case "call":
                program.append(["call", name, rng.randint(0, 2)])
            case "retry":
                program.append(["retry", name, rng.randint(0, 2), rng.randint(1, 3)])
            case "step":
                program.append(["step", draw_program(rng, depth + 1)])
            case "group":
                program.append(["group", [draw_program(rng, depth + 1) for _ in range(rng.randint(2, 3))]])
            case "branch":
                program.append(["branch", draw_program(rng, depth + 1), draw_program(rng, depth + 1)])
            case _:
                program.append(["loop", rng.randint(1, 3), draw_program(rng, depth + 1)])
    return program


class RandomOwner(Owner):
    """Fate belongs to the call (its key and tries), never to the moment, so that a quiet run meets the same."""

    def prepare(self, seed: int, calm: bool) -> RandomOwner:
        self.seed, self.calm = seed, calm
        self.waited: dict[tuple[str, int], int] = {}
        self.trouble = random.Random(seed)
        self.decide = self.fate
        return self

    def fate(self, call):
        rng = random.Random(f"{self.seed}/{call.key}/{call.tries}")
        waits = rng.choice([0, 0, 0, 1, 2])
        if not self.calm and self.waited.get((call.key, call.tries), 0) < waits:
            self.waited[call.key, call.tries] = self.waited.get((call.key, call.tries), 0) + 1
            return "waiting", None
        roll = rng.random()
        if roll < 0.2 and call.tries < 2:
            return "failed", CallError("tool-failed", detail="broke")
        if roll < 0.3:
            return "refused", CallError("denied", detail="no")
        return "performed", rng.randint(0, 9)


async def finish(owner: RandomOwner, pool) -> object:
    """Run passes until the function returns; every one that killed its host is begun again."""
    for _ in range(PASSES_MAX):
        ended = await owner.run(pool)
        if isinstance(ended, HostDied) or ended.outcome == "suspended":
            continue
        assert ended.outcome == "returned", ended
        assert owner.unreached(ended) == []
        return ended.value
    raise AssertionError("the program does not end")


def disturb(owner: RandomOwner, pool) -> None:
    """Kill the host before or after a call is recorded."""
    answer = owner.on_call

    async def on_call(call):
        roll = owner.trouble.random()
        if roll < 0.04:
            kill_all(pool)
        result = await answer(call)
        if 0.04 <= roll < 0.08:
            kill_all(pool)
        return result

    owner.on_call = on_call  # type: ignore[method-assign]


def kill_all(pool) -> None:
    for host in pool.hosts():
        pool.kill(host.host_id)


@pytest.mark.parametrize("entry", ["interpret", "interpret_async"])
@pytest.mark.parametrize("seeds", [range(12)], ids=lambda seeds: f"{seeds.start}-{seeds.stop}")
def test_every_call_is_performed_once_and_the_end_is_that_of_an_undisturbed_run(entry, seeds):
    async def case():
        retries = 0
        async with open_pool(python_path=(HERE,)) as pool:
            for seed in seeds:
                program = draw_program(random.Random(seed))
                quiet = RandomOwner(f"replay_agents:{entry}", input=program, task_id=f"task-{seed}").prepare(seed, True)
                expected = await finish(quiet, pool)
                troubled = RandomOwner(f"replay_agents:{entry}", input=program, task_id=f"task-{seed}")
                troubled.prepare(seed, False)
                disturb(troubled, pool)
                assert await finish(troubled, pool) == expected, f"seed {seed}"
                assert set(troubled.effects.values()) <= {1}, f"seed {seed}"
                assert troubled.effects == quiet.effects, f"seed {seed}"
                retries += sum(record.tries > 0 and record.kind == "tool" for record in troubled.journal)
        assert retries > 5, "the programs drawn must retry under the same key"

    asyncio.run(case())


@pytest.mark.parametrize("seeds", [range(50, 62)], ids=lambda seeds: f"{seeds.start}-{seeds.stop}")
def test_calls_alike_that_race_are_performed_once_each_and_none_is_lost(seeds):
    async def case():
        async with open_pool(python_path=(HERE,)) as pool:
            for seed in seeds:
                program = draw_program(random.Random(seed))
                owner = RandomOwner("replay_agents:interpret_racing", input=program, task_id=f"task-{seed}")
                owner.prepare(seed, False)
                disturb(owner, pool)
                first = await finish(owner, pool)
                assert set(owner.effects.values()) <= {1}, f"seed {seed}"
                assert await finish(owner, pool) == first, f"seed {seed}: replayed from the whole history"

    asyncio.run(case())


@pytest.mark.long
@pytest.mark.parametrize("entry", ["interpret", "interpret_async"])
def test_many_more_seeds(entry):
    for start in range(100, 600, 50):
        seeds = range(start, start + 50)
        test_every_call_is_performed_once_and_the_end_is_that_of_an_undisturbed_run(entry, seeds)
        test_calls_alike_that_race_are_performed_once_each_and_none_is_lost(seeds)
