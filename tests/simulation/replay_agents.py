"""Interpreters of random programs: one synchronous, one asynchronous. Every result depends only on calls' outcomes."""

from __future__ import annotations

import asyncio

from aos_sdk import AosCallError, AsyncContext, Context, StepFailed


def interpret(ctx: Context):
    return _block(ctx, ctx.input, 0)


def _block(ctx: Context, program, carried):
    seen = []
    for statement in program:
        match statement:
            case ["call", name, n]:
                seen.append(_try(ctx, name, n, 1))
            case ["retry", name, n, times]:
                seen.append(_try(ctx, name, n, times))
            case ["step", inner]:
                try:
                    seen.append(ctx.step("inner", _in_step, ctx, inner, carried))
                except StepFailed as error:
                    seen.append(error.type)
            case ["group", inners]:
                seen.append([_block(ctx, inner, carried) for inner in inners])
            case ["branch", yes, no]:
                seen.append(_block(ctx, yes if _weight(seen) % 2 else no, carried))
            case ["loop", times, inner]:
                seen.extend(_block(ctx, inner, carried) for _ in range(times))
            case _:
                raise LookupError(statement)
    return seen


def _in_step(ctx, program, carried):
    seen = _block(ctx, program, carried)
    if _weight(seen) % 5 == 0:
        raise ValueError("weight")
    return seen


def _try(ctx: Context, name, n, times):
    told = "none"
    for _ in range(times):
        try:
            return ctx.tool(name, {"n": n})
        except AosCallError as error:
            told = error.slug
    return told


RACING = -1


async def interpret_async(ctx: AsyncContext):
    return await _block_async(ctx, ctx.input, 0)


async def interpret_racing(ctx: AsyncContext):
    """As `interpret_async`, but calls alike in concurrent branches race for their places."""
    return await _block_async(ctx, ctx.input, RACING)


async def _block_async(ctx: AsyncContext, program, carried):
    seen = []
    for statement in program:
        match statement:
            case ["call", name, n]:
                seen.append(await _try_async(ctx, name, n, 1))
            case ["retry", name, n, times]:
                seen.append(await _try_async(ctx, name, n, times))
            case ["step", inner]:
                try:
                    seen.append(await ctx.step("inner", _in_step_async, ctx, inner, carried))
                except StepFailed as error:
                    seen.append(error.type)
            case ["group", inners]:
                async with asyncio.TaskGroup() as group:
                    # In a step of its own each branch's calls are told apart from those alike in the others.
                    tasks = [
                        group.create_task(
                            _block_async(ctx, inner, carried)
                            if carried == RACING
                            else ctx.step(f"branch-{b}", _block_async, ctx, inner, carried)
                        )
                        for b, inner in enumerate(inners)
                    ]
                seen.append([task.result() for task in tasks])
            case ["branch", yes, no]:
                seen.append(await _block_async(ctx, yes if _weight(seen) % 2 else no, carried))
            case ["loop", times, inner]:
                for _ in range(times):
                    seen += [await _block_async(ctx, inner, carried)]
            case _:
                raise LookupError(statement)
    return seen


async def _in_step_async(ctx, program, carried):
    seen = await _block_async(ctx, program, carried)
    if _weight(seen) % 5 == 0:
        raise ValueError("weight")
    return seen


async def _try_async(ctx: AsyncContext, name, n, times):
    told = "none"
    for _ in range(times):
        try:
            return await ctx.tool(name, {"n": n})
        except AosCallError as error:
            told = error.slug
    return told


def _weight(value) -> int:
    if isinstance(value, list):
        return sum(map(_weight, value))
    return value if isinstance(value, int) else len(str(value))
