"""Agents' functions for tests of whole runs; each is named by what it does."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

from aos_sdk import AsyncContext, Denied, ToolFailed

entered: Counter[str] = Counter()
"""How often each function was entered, by name and run."""
gates: dict[str, asyncio.Event] = {}
"""What a function waits for, by the run's id."""


def enter(name: str, ctx: AsyncContext) -> int:
    """Count a pass and return which it is."""
    entered[f"{name}:{ctx.task_id}"] += 1
    return entered[f"{name}:{ctx.task_id}"]


async def echo(ctx: AsyncContext) -> Any:
    """Return the input."""
    return ctx.input


async def double(ctx: AsyncContext) -> Any:
    """Return twice the input's `n`."""
    return {"n": 2 * ctx.input["n"]}


async def fails(ctx: AsyncContext) -> Any:
    """Fail always."""
    raise ValueError(f"attempt {ctx.attempt} fails")


async def fails_once(ctx: AsyncContext) -> Any:
    """Fail at the first attempt."""
    if ctx.attempt == 1:
        raise ValueError("the first attempt fails")
    return ctx.attempt


async def pays(ctx: AsyncContext) -> Any:
    """Pay what the input says."""
    enter("pays", ctx)
    return await ctx.tool("payments.create", ctx.input)


async def pays_when_told(ctx: AsyncContext) -> Any:
    """Wait for the test's word, then pay."""
    await gates.setdefault(ctx.run_id, asyncio.Event()).wait()
    return await ctx.tool("payments.create", ctx.input)


async def reads(ctx: AsyncContext) -> Any:
    """Return an account that stands in a record."""
    await ctx.tool("erp.read", {"id": 1})
    return "DE71500105175813421938"


async def keeps_books(ctx: AsyncContext) -> Any:
    """Pay each amount, one after the other; write a note and wait for the test's word where the input says so."""
    await ctx.tool("erp.read", {"id": 1}) if ctx.input.get("read") else None
    for amount in ctx.input["amounts"]:
        await ctx.tool("payments.create", iban="DE1", amount=amount, currency="EUR")
    if ctx.input.get("note"):
        await ctx.tool("erp.note", text="done")
    if ctx.input.get("wait"):
        await gates.setdefault(ctx.run_id, asyncio.Event()).wait()


async def keeps_books_and_fails(ctx: AsyncContext) -> Any:
    """Pay each amount, then fail."""
    await keeps_books(ctx)
    raise ValueError("after paying")


async def pays_or_says_why(ctx: AsyncContext) -> Any:
    """Pay, or return why it was not allowed."""
    try:
        return await ctx.tool("payments.create", ctx.input)
    except Denied as error:
        return {"denied": error.detail}


async def notes_the_refusal_and_waits(ctx: AsyncContext) -> Any:
    """Be refused, write down all that was said of it, then ask for what waits for a person."""
    try:
        await ctx.tool("payments.create", {**ctx.input, "currency": "USD"})
    except Denied as error:
        await ctx.tool("erp.note", text=str(error), detail=error.detail, rule=error.rule, reasons=list(error.reasons))
    return await ctx.tool("payments.create", ctx.input)


async def pays_then_fails(ctx: AsyncContext) -> Any:
    """Pay, then fail at the first attempt."""
    paid = await ctx.tool("payments.create", ctx.input)
    if ctx.attempt == 1:
        raise ValueError("after paying")
    return paid


async def pays_first_time_only(ctx: AsyncContext) -> Any:
    """Pay and fail at the first attempt; forget the payment at the second."""
    if ctx.attempt == 1:
        await ctx.tool("payments.create", ctx.input)
        raise ValueError("after paying")
    return "done"


async def leads(ctx: AsyncContext) -> Any:
    """Spawn one child for each item and add up what they return."""
    enter("leads", ctx)
    handles = [await ctx.spawn("double", {"n": n}, name=f"double-{n}") for n in ctx.input["items"]]
    results = await ctx.gather(handles)
    await ctx.report({"done": len(results)}, kind="progress")
    return sum(result["n"] for result in results)


async def leads_carefully(ctx: AsyncContext) -> Any:
    """Spawn a child that fails and go on."""
    handle = await ctx.spawn("fails", {})
    (result,) = await ctx.gather([handle], return_exceptions=True)
    return str(result)


async def counts_steps(ctx: AsyncContext) -> Any:
    """Do own work in a step, wait for a person, and return the step's value."""
    drawn = await ctx.step("draw", lambda: enter("draw", ctx))
    await ctx.tool("payments.create", ctx.input)
    return drawn


async def waits(ctx: AsyncContext) -> Any:
    """Wait for the test's word."""
    gate = gates.setdefault(ctx.run_id, asyncio.Event())
    enter("waits", ctx)
    await gate.wait()
    return "went on"


async def observes(ctx: AsyncContext) -> Any:
    """Report a finding."""
    await ctx.report({"text": "two payments to one account"}, kind="finding", code="double-payment")
    return None


async def survives_failure(ctx: AsyncContext) -> Any:
    """Call a tool that fails, twice, then return how often it failed."""
    failures = 0
    for _ in range(2):
        try:
            return await ctx.tool("erp.read", {"id": 1})
        except ToolFailed:
            failures += 1
    return failures


async def counted(ctx: AsyncContext) -> Any:
    """Count a pass."""
    return enter("counted", ctx)


async def pays_again_and_again(ctx: AsyncContext) -> Any:
    """Pay, and try again where that failed."""
    for _ in range(3):
        try:
            return await ctx.tool("payments.create", ctx.input)
        except ToolFailed:
            continue
    return "failed"


async def naps(ctx: AsyncContext) -> Any:
    """Sleep as long as the input says, then return it."""
    await ctx.sleep(ctx.input["seconds"])
    return ctx.input


async def asks(ctx: AsyncContext) -> Any:
    """Wait for a further message, and return both."""
    more = await ctx.wait_for_signal("message")
    return {"first": ctx.input, "then": more["input"]}


async def listens_for_what_has_no_name(ctx: AsyncContext) -> Any:
    """Wait for a signal whose name no database holds."""
    return await ctx.wait_for_signal("a\x00b")


async def keeps_under_endless_names(ctx: AsyncContext) -> Any:
    """Keep a checkpoint under names that no index holds, though each is short enough."""
    draw = random.Random(7)
    long = "".join(chr(draw.randrange(0x4E00, 0x9FFF)) for _ in range(1_000))
    return await ctx._calls.query("checkpoint", "put", arguments={"id": long, "namespace": long[::-1], "body": b"x"})


async def leads_reviews(ctx: AsyncContext) -> Any:
    """Have an agent elsewhere review what the input says."""
    budget = ctx.input.get("budget") if isinstance(ctx.input, dict) else None
    handle = await ctx.spawn("reviews", ctx.input, budget=budget)
    (result,) = await ctx.gather([handle])
    return result
