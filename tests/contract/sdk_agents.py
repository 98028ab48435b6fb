"""Agents' functions that the SDK's tests run in real hosts."""

from __future__ import annotations

from aos_sdk import AsyncContext, Context


def nothing(ctx: Context):
    return None


async def nothing_async(ctx: AsyncContext):
    return None


def facts(ctx: Context):
    return [
        ctx.input,
        ctx.task_id,
        ctx.run_id,
        ctx.run_name,
        ctx.agent,
        ctx.agent_version,
        ctx.attempt,
        ctx.goal,
        ctx.objectives,
        dict(ctx.labels),
        ctx.clock,
        ctx.token,
    ]


def three_calls(ctx: Context):
    return [ctx.tool("echo", {"n": n})["echo"]["n"] for n in range(3)]


async def three_calls_async(ctx: AsyncContext):
    return [(await ctx.tool("echo", {"n": n}))["echo"]["n"] for n in range(3)]
