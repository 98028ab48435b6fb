"""Agents' functions that ask models, for tests of whole runs in real hosts: each in both colours, named by what it does."""

from __future__ import annotations

import json
from typing import Any

from aos_sdk import AsyncContext, BudgetSpent, Context, Denied, InvalidCall, ModelFailed, Unavailable
from aos_sdk.errors import AosCallError
from aos_sdk.llm import Loop, run_loop, run_loop_blocking
from aos_sdk.plans import read_plan, run_plan, run_plan_blocking

QUESTION = "What is due?"
TOOL = {"type": "function", "function": {"name": "erp_read", "parameters": {"type": "object"}}}


def asks_then_pays(ctx: Context) -> Any:
    """Ask a model, pay what waits for a person, and return what the model said."""
    said = ctx.complete(QUESTION, model="light", max_tokens=20)
    ctx.tool("payments.create", ctx.input)
    return {"text": said.text, "tokens": list(said.tokens), "stop_reason": said.stop_reason, "model": said.model}


async def asks_then_pays_async(ctx: AsyncContext) -> Any:
    """Ask a model, pay what waits for a person, and return what the model said."""
    said = await ctx.complete(QUESTION, model="light", max_tokens=20)
    await ctx.tool("payments.create", ctx.input)
    return {"text": said.text, "tokens": list(said.tokens), "stop_reason": said.stop_reason, "model": said.model}


def asks_and_fails_once(ctx: Context) -> Any:
    """Ask a model, fail at the first attempt, and return what the model said at the second."""
    said = ctx.complete(QUESTION, model="light")
    if ctx.attempt == 1:
        raise ValueError("the first attempt fails")
    return said.text


async def asks_and_fails_once_async(ctx: AsyncContext) -> Any:
    """Ask a model, fail at the first attempt, and return what the model said at the second."""
    said = await ctx.complete(QUESTION, model="light")
    if ctx.attempt == 1:
        raise ValueError("the first attempt fails")
    return said.text


def asks_twice(ctx: Context) -> Any:
    """Ask the same question twice."""
    return [ctx.complete(QUESTION, model="light").text for _ in range(2)]


async def asks_twice_async(ctx: AsyncContext) -> Any:
    """Ask the same question twice."""
    return [(await ctx.complete(QUESTION, model="light")).text for _ in range(2)]


def asks_or_says_why(ctx: Context) -> Any:
    """Ask the model that the input names, or return how that was refused."""
    try:
        return ctx.complete(QUESTION, model=ctx.input["model"], **ctx.input.get("parameters", {})).text
    except (Denied, BudgetSpent, ModelFailed, Unavailable, InvalidCall) as error:
        return _told(error)


async def asks_or_says_why_async(ctx: AsyncContext) -> Any:
    """Ask the model that the input names, or return how that was refused."""
    try:
        return (await ctx.complete(QUESTION, model=ctx.input["model"], **ctx.input.get("parameters", {}))).text
    except (Denied, BudgetSpent, ModelFailed, Unavailable, InvalidCall) as error:
        return _told(error)


def asks_again(ctx: Context) -> Any:
    """Ask a model, and once more where that failed."""
    try:
        return ctx.complete(QUESTION, model="light").text
    except ModelFailed:
        return ctx.complete(QUESTION, model="light").text


async def asks_again_async(ctx: AsyncContext) -> Any:
    """Ask a model, and once more where that failed."""
    try:
        return (await ctx.complete(QUESTION, model="light")).text
    except ModelFailed:
        return (await ctx.complete(QUESTION, model="light")).text


def lets_a_model_use_a_tool(ctx: Context) -> Any:
    """Do what the model asks for by its tool, tell it, and return its last word."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": QUESTION}]
    said = ctx.complete(messages, model="light", tools=[TOOL])
    for call in said.tool_calls:
        found = ctx.tool("erp.read", json.loads(call["function"]["arguments"]))
        messages += [said.message, {"role": "tool", "tool_call_id": call["id"], "content": json.dumps(found)}]
    return [said.stop_reason, ctx.complete(messages, model="light", tools=[TOOL]).text]


async def lets_a_model_use_a_tool_async(ctx: AsyncContext) -> Any:
    """Do what the model asks for by its tool, tell it, and return its last word."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": QUESTION}]
    said = await ctx.complete(messages, model="light", tools=[TOOL])
    for call in said.tool_calls:
        found = await ctx.tool("erp.read", json.loads(call["function"]["arguments"]))
        messages += [said.message, {"role": "tool", "tool_call_id": call["id"], "content": json.dumps(found)}]
    return [said.stop_reason, (await ctx.complete(messages, model="light", tools=[TOOL])).text]


def _told(error: AosCallError) -> dict[str, Any]:
    return {"raised": type(error).__name__, "slug": error.slug, "detail": error.detail, "reasons": list(error.reasons)}


def leads_a_model(ctx: Context) -> Any:
    """Lead a model through the agent's tools, and say how that ended."""
    return run_loop_blocking(ctx, Loop(instructions="Look it up.", tools=("erp.*",)), input="what does 1 cost?")


async def leads_a_model_async(ctx: AsyncContext) -> Any:
    """Lead a model through the agent's tools, and say how that ended."""
    return await run_loop(ctx, Loop(instructions="Look it up.", tools=("erp.*",)), input="what does 1 cost?")


PLAN = {
    "tasks": [
        {"id": "good", "agent": "echoes", "task": "say it", "input": {"n": 1}},
        {"id": "bad", "agent": "breaks", "task": "break"},
        {"id": "uses", "agent": "echoes", "task": "use it", "uses": ["good"]},
        {"id": "later", "agent": "echoes", "task": "come later", "after": ["good", "uses"]},
        {"id": "lost", "agent": "echoes", "task": "never", "uses": ["bad"]},
        {"id": "behind", "agent": "echoes", "task": "never", "after": ["bad"]},
        {"id": "denied", "agent": "strangers", "task": "not permitted"},
    ]
}


def carries_out_a_plan(ctx: Context) -> Any:
    """Carry out a plan of which some fails, and return what came of each task."""
    return run_plan_blocking(ctx, read_plan(PLAN, agents=["echoes", "breaks", "strangers"]), budget="1 EUR")


async def carries_out_a_plan_async(ctx: AsyncContext) -> Any:
    """Carry out a plan of which some fails, and return what came of each task."""
    return await run_plan(ctx, read_plan(PLAN, agents=["echoes", "breaks", "strangers"]), budget="1 EUR")


def echoes(ctx: Context) -> Any:
    """Return the input."""
    return ctx.input


def breaks(ctx: Context) -> Any:
    """Fail."""
    raise ValueError("broken")
