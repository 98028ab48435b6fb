"""The agents of the benchmarks: apart, for hosts import what they stand in."""

from __future__ import annotations

from typing import Any


async def noop(ctx: Any) -> Any:
    """Do nothing, as every peer's no-op."""
    return {"ok": True}


async def loop(ctx: Any) -> Any:
    """Make calls in generations, `per` in each, until `calls` are made: a history never holds more than one generation."""
    made = ctx.input["made"]
    for n in range(ctx.input["per"]):
        await ctx.step("draw", lambda n=n: n)
    made += ctx.input["per"]
    if made < ctx.input["calls"]:
        await ctx.continue_as_new({**ctx.input, "made": made})
    return {"made": made, "generation": ctx.generation}
