"""Agents' functions that wait, for tests of whole runs in real hosts: each in both colours, named by what it does."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

from aos_sdk import UNFINISHED, AsyncContext, ChildFailed, Context, OutcomeUnknown, TimedOut


def sleeps(ctx: Context) -> Any:
    """Sleep as long as the input says, then say so."""
    ctx.sleep(ctx.input)
    return f"slept {ctx.input:g}"


async def sleeps_async(ctx: AsyncContext) -> Any:
    """Sleep as long as the input says, then say so."""
    await ctx.sleep(timedelta(seconds=ctx.input))
    return f"slept {ctx.input:g}"


def sleeps_by_the_clock(ctx: Context) -> Any:
    """Sleep until shortly after the run's clock said at first."""
    began = ctx.step("began", lambda: ctx.clock)
    ctx.sleep_until(_later(began))
    return "awake"


async def sleeps_by_the_clock_async(ctx: AsyncContext) -> Any:
    """Sleep until shortly after the run's clock said at first."""
    began = await ctx.step("began", lambda: ctx.clock)
    await ctx.sleep_until(_later(began))
    return "awake"


def _later(began: Any) -> Any:
    return datetime.fromisoformat(began) + timedelta(seconds=0.1)


def listens(ctx: Context) -> Any:
    """Wait for as many signals `go` as the input says."""
    return [ctx.wait_for_signal("go") for _ in range(ctx.input or 1)]


async def listens_async(ctx: AsyncContext) -> Any:
    """Wait for as many signals `go` as the input says."""
    return [await ctx.wait_for_signal("go") for _ in range(ctx.input or 1)]


def listens_for_a_while(ctx: Context) -> Any:
    """Wait for a signal, but not for long; then once more, and say what came of both."""
    try:
        return ["early", ctx.wait_for_signal("go", timeout=0.1)]
    except TimedOut as error:
        ctx.report("nobody came")
        return [str(error), error.slug, ctx.wait_for_signal("go", timeout=60)]


async def listens_for_a_while_async(ctx: AsyncContext) -> Any:
    """Wait for a signal, but not for long; then once more, and say what came of both."""
    try:
        return ["early", await ctx.wait_for_signal("go", timeout=0.1)]
    except TimedOut as error:
        await ctx.report("nobody came")
        return [str(error), error.slug, await ctx.wait_for_signal("go", timeout=60)]


async def hears_and_sleeps(ctx: AsyncContext) -> Any:
    """Wait for a signal and sleep at the same time, and note the order in which they came."""
    order: list[str] = []

    async def hear() -> None:
        order.append(await ctx.wait_for_signal("go"))
        await ctx.report("heard")

    async def sleep() -> None:
        await ctx.sleep(ctx.input)
        order.append("slept")

    async with asyncio.TaskGroup() as group:
        group.create_task(hear())
        group.create_task(sleep())
    return order


def leads_in_order(ctx: Context) -> Any:
    """Spawn children that come after each other."""
    first = ctx.spawn("sleeps", 0.05, name="first")
    second = ctx.spawn("sleeps", 0.0, name="second", after=[first])
    third = ctx.spawn("sleeps", 0.0, name="third", after=[first, second])
    return ctx.gather([first, second, third])


async def leads_in_order_async(ctx: AsyncContext) -> Any:
    """Spawn children that come after each other."""
    first = await ctx.spawn("sleeps", 0.05, name="first")
    second = await ctx.spawn("sleeps", 0.0, name="second", after=[first])
    third = await ctx.spawn("sleeps", 0.0, name="third", after=[first, second])
    return await ctx.gather([first, second, third])


def leads_after_a_failure(ctx: Context) -> Any:
    """Spawn a child after one that fails, once while it is open and once when it has ended."""
    bad = ctx.spawn("breaks", None, name="bad")
    while_open = ctx.spawn("sleeps", 0.0, name="while-open", after=[bad])
    ctx.gather([bad], return_exceptions=True)
    ended = ctx.spawn("sleeps", 0.0, name="ended", after=[bad])
    found = ctx.gather([while_open, ended], return_exceptions=True)
    return [isinstance(each, ChildFailed) for each in found]


def takes_the_first(ctx: Context) -> Any:
    """Take what the first of three children returns, then the first two, then all."""
    handles = [ctx.spawn("listens", 1, name=f"l{n}") for n in range(2)] + [ctx.spawn("sleeps", 0.0, name="quick")]
    first = ctx.gather(handles, join="any")
    two = ctx.gather(handles, join=2)
    every = ctx.gather(handles)
    return [[str(each) if each is UNFINISHED else each for each in found] for found in (first, two, every)]


async def takes_the_first_async(ctx: AsyncContext) -> Any:
    """Take what the first of three children returns, then the first two, then all."""
    handles = [await ctx.spawn("listens", 1, name=f"l{n}") for n in range(2)]
    handles.append(await ctx.spawn("sleeps", 0.0, name="quick"))
    first = await ctx.gather(handles, join="any")
    two = await ctx.gather(handles, join=2)
    every = await ctx.gather(handles)
    return [[str(each) if each is UNFINISHED else each for each in found] for found in (first, two, every)]


def breaks(ctx: Context) -> Any:
    """Fail."""
    raise ValueError("it breaks")


def plans_by_kpis(ctx: Context) -> Any:
    """Report KPIs and read them, before and after."""
    before = ctx.kpis()
    ctx.report(3, kind="kpi", name="open")
    ctx.report(1, kind="kpi", name="days")
    ctx.report(2, kind="kpi", name="open")
    after = ctx.kpis()
    ctx.sleep(0.05)
    return [before, after]


async def plans_by_kpis_async(ctx: AsyncContext) -> Any:
    """Report KPIs and read them, before and after."""
    before = await ctx.kpis()
    await ctx.report(3, kind="kpi", name="open")
    await ctx.report(1, kind="kpi", name="days")
    await ctx.report(2, kind="kpi", name="open")
    after = await ctx.kpis()
    await ctx.sleep(0.05)
    return [before, after]


def loops(ctx: Context) -> Any:
    """Make calls in generations: `per` of them in each, until `calls` are made."""
    made = ctx.input["made"]
    for n in range(ctx.input["per"]):
        ctx.step("draw", lambda n=n: n)
    made += ctx.input["per"]
    if made < ctx.input["calls"]:
        ctx.continue_as_new({**ctx.input, "made": made})
    return {"made": made, "generation": ctx.generation, "attempt": ctx.attempt}


async def loops_async(ctx: AsyncContext) -> Any:
    """Make calls in generations: `per` of them in each, until `calls` are made."""
    made = ctx.input["made"]
    for n in range(ctx.input["per"]):
        await ctx.step("draw", lambda n=n: n)
    made += ctx.input["per"]
    if made < ctx.input["calls"]:
        await ctx.continue_as_new({**ctx.input, "made": made})
    return {"made": made, "generation": ctx.generation, "attempt": ctx.attempt}


async def pays_in_generations(ctx: AsyncContext) -> Any:
    """Pay the same in each of three generations: each is a payment of its own."""
    await ctx.tool("payments.create", ctx.input["payment"])
    if ctx.generation < 2:
        await ctx.continue_as_new(ctx.input)
    return ctx.generation


async def goes_on_in_doubt(ctx: AsyncContext) -> Any:
    """Pay, and go on whatever came of it."""
    if ctx.generation:
        return ctx.generation
    try:
        return await ctx.tool("payments.create", ctx.input["payment"])
    except OutcomeUnknown:
        return await ctx.continue_as_new(None)


async def forgets_and_goes_on(ctx: AsyncContext) -> Any:
    """Pay on the first pass, and go on without the payment on the next."""
    if await ctx.step("once", lambda: "first") and not _entered:
        _entered.append(True)
        await ctx.tool("payments.create", ctx.input["payment"])
        await ctx.sleep(0.05)
    return await ctx.continue_as_new(None)


async def pays_then_hangs(ctx: AsyncContext) -> Any:
    """Pay, sleep, and then never end."""
    await ctx.tool("payments.create", ctx.input["payment"])
    await ctx.sleep(0.05)
    await asyncio.sleep(3_600)


_entered: list[bool] = []
