"""The one agent of the whole simulation: it plays the script that it is given, and returns what each line came to.

A line is one of ["tool", NAME, OP], ["step", VALUE], ["report", VALUE], ["sleep", SECONDS], ["signal", NAME],
["group", [SCRIPT, ...]], ["spawn", [SCRIPT, ...]] (children at once), ["chain", [SCRIPT, ...]] (each after the one before),
["any", [SCRIPT, ...]] (until one has ended), ["break", ATTEMPTS], which raises on the first attempts, and as a task's last
line ["anew", SCRIPT], which goes on with that script and a fresh history. `expected` is what a script comes to where all
goes well.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aos_sdk import AsyncContext, BudgetSpent, ChildFailed, Denied, OutcomeUnknown, TimedOut, ToolFailed
from aos_sdk.errors import Refused

TRIES_MAX = 3
SIGNAL_SECONDS = 90


class ScriptError(Exception):
    """What a script raises because it says so."""


async def play(ctx: AsyncContext) -> Any:
    """Play the script of the input."""
    assert isinstance(ctx.input, dict)
    return await _play(ctx, ctx.input["script"])


async def _play(ctx: AsyncContext, script: list[list[Any]]) -> list[Any]:
    return [await _line(ctx, line) for line in script]


async def _line(ctx: AsyncContext, line: list[Any]) -> Any:
    said: Any = None
    match line:
        case ["tool", name, op]:
            said = await _tool(ctx, name, op)
        case ["step", value]:
            # What it says is given to the step and is part of its key: a line that breaks on the first attempt lets the
            # branches beside it come to a step of the same name in another order on the second.
            said = await ctx.step("say", _said, value)
        case ["group", scripts]:
            said = list(await asyncio.gather(*(_play(ctx, script) for script in scripts)))
        case ["spawn" | "chain" | "any", _]:
            said = await _children(ctx, line)
        case ["sleep", seconds]:
            await ctx.sleep(seconds)
            said = "slept"
        case ["signal", name]:
            said = await _signal(ctx, name)
        case ["anew", script]:
            await ctx.continue_as_new({"script": script})
        case ["report", value]:
            await ctx.report(value)
            said = "reported"
        case ["break", attempts]:
            if ctx.attempt <= attempts:
                raise ScriptError(f"attempt {ctx.attempt} of {attempts}")
            said = "whole"
        case _:
            raise ScriptError(f"no such line: {line}")
    return said


def _said(value: Any) -> Any:
    return value


async def _children(ctx: AsyncContext, line: list[Any]) -> Any:
    kind, scripts = line
    children: list[Any] = []
    for script in scripts:
        after = children[-1:] if kind == "chain" else []
        children.append(await ctx.spawn("player", {"script": script}, after=after))
    if kind == "any":
        try:
            await ctx.gather(children, join="any")
        except ChildFailed:
            return "child failed"
        return "one ended"
    ended = await ctx.gather(children, return_exceptions=True)
    return ["child failed" if isinstance(each, ChildFailed) else each for each in ended]


async def _signal(ctx: AsyncContext, name: str) -> str:
    try:
        return str(await ctx.wait_for_signal(name, timeout=SIGNAL_SECONDS))
    except TimedOut:
        return "missed"


async def _tool(ctx: AsyncContext, name: str, op: str) -> str:
    for _ in range(TRIES_MAX):
        try:
            return str(await ctx.tool(name, op=op))
        except Denied:
            return "denied"
        except BudgetSpent:
            return "spent"
        except OutcomeUnknown:
            return "unknown"
        except Refused as error:
            return error.slug
        except ToolFailed:
            continue
    return "failed"


def expected(script: list[Any]) -> list[Any]:
    """Return what a script comes to where nothing is refused, and nothing fails for good."""
    if script and script[-1][0] == "anew":
        return expected(script[-1][1])
    return [_expected(line) for line in script]


def _expected(line: list[Any]) -> Any:
    match line:
        case ["tool", _, op]:
            return op
        case ["step", value]:
            return value
        case ["group" | "spawn" | "chain", scripts]:
            return [expected(script) for script in scripts]
        case ["signal", name]:
            return f"told {name}"
        case [kind, _]:
            return {"report": "reported", "sleep": "slept", "any": "one ended", "break": "whole"}[kind]
        case _:
            raise ScriptError(f"no such line: {line}")


MAY_LACK = "whatever it is"
"""Stands for an output that may be missing, and is not looked into."""
EXCUSES = frozenset({"denied", "spent", "unknown", "failed", "child failed", "missed", "approval-expired"})
"""What a line may come to instead, for a reason that is told."""


def differs(found: Any, wanted: Any) -> bool:
    """Say whether an output differs from the expected by more than an excuse."""
    if (isinstance(found, str) and found in EXCUSES) or wanted == MAY_LACK:
        return False
    if isinstance(found, list) and isinstance(wanted, list):
        return len(found) != len(wanted) or any(differs(one, two) for one, two in zip(found, wanted, strict=True))
    if isinstance(found, dict) and isinstance(wanted, dict):
        return found.keys() != wanted.keys() or any(differs(found[name], wanted[name]) for name in wanted)
    return bool(found != wanted)
