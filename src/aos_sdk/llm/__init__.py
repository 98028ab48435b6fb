"""Agents that a model leads: the loop behind the runtime `llm`, for code as well.

    from aos_sdk.llm import Loop, run_loop
    end = await run_loop(ctx, Loop(instructions="...", model="purpose:high-speed", turns=12))

Kernel of it is `next_move`, a pure function from rules and turns to the next move; `run_loop` makes the moves real.
"""

from aos_sdk.llm.loop import LoopEnd, run, run_loop, run_loop_blocking
from aos_sdk.llm.rules import Loop

__all__ = ["Loop", "LoopEnd", "run", "run_loop", "run_loop_blocking"]
