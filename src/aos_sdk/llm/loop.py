"""Leading a model to an answer: the loop's moves made real through a context, in both colours.

Durable by replay: each question, call and plan is a recorded call of the task, so a loop that was killed goes on at its last turn,
asks no model twice and makes no call twice. What must wait for a person, for other tasks or for a time parks the task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from aos_sdk.context import AsyncContext, Context, TaskFacts
from aos_sdk.errors import AgentStopped, AosCallError, BudgetSpent
from aos_sdk.frames import Json
from aos_sdk.llm.calls import Told, result_text
from aos_sdk.llm.moves import BUDGET_SPENT, LIMITS, Act, Answer, Ask, Halt, last_text, next_move
from aos_sdk.llm.own import CallTool, CarryOut, Delegate, Job, ReadKpis, Report
from aos_sdk.llm.rules import PASS_TURNS, Facts, Loop, Rules, read_loop, rules_of
from aos_sdk.llm.turns import Turn, take_answer, tokens_of, told_of
from aos_sdk.plans import TaskEnd, run_plan, run_plan_blocking
from aos_sdk.reach import Reach

LET_GO_SECONDS: Final = 0.01


@dataclass(frozen=True, slots=True)
class LoopEnd:
    """How a loop ended: with an answer, or, with a `code`, with what it has. `value` is text unless `Loop.output` says otherwise."""

    value: Json
    turns: int
    tokens: int
    code: str = ""
    detail: str = ""


async def run(ctx: AsyncContext) -> Json:
    """Be an agent without code: what the runtime `llm` runs. Returns what `output` describes, else `{"answer": text}`.

    A loop that ran out of turns, tokens or money and has no `output` to fill returns `{"answer": what it last said,
    "unfinished": code, "detail": why}`, unless `on_limit` is `fail`.
    """
    rules, end = await _lead(ctx, None, None)
    if end.code:
        return {"answer": end.value, "unfinished": end.code, "detail": end.detail}
    return {"answer": end.value} if rules.loop.output is None else end.value


async def run_loop(ctx: AsyncContext, loop: Loop | None = None, *, input: Json = None) -> LoopEnd:
    """Lead a model to an answer and return how that ended; without a `loop` the agent's own `llm` options count.

    `input` is what the model is asked, the task's own input unless given. Raises AgentStopped with a code where it leads nowhere
    (`loop-detected`, `no-answer`, `invalid-output`) or where a limit was reached and what there is does not count as an answer;
    and what `ctx.complete` raises, a spent budget aside.
    """
    return (await _lead(ctx, loop, input))[1]


async def _lead(ctx: AsyncContext, loop: Loop | None, input: Json) -> tuple[Rules, LoopEnd]:
    reach = await ctx.reach(loop.model if loop is not None else "")
    told = await ctx.step("begin", _begin, ctx)
    rules = _rules(loop, reach, told, ctx, input)
    turns: list[Turn] = []
    while True:
        match next_move(rules, turns):
            case Ask(messages, parameters):
                if turns and len(turns) % PASS_TURNS == 0:
                    await ctx.sleep(LET_GO_SECONDS)
                try:
                    said = await ctx.complete(messages, model=rules.reach.model, **parameters)
                except BudgetSpent as error:
                    return rules, _ended(rules, turns, Halt(BUDGET_SPENT, error.detail, last_text(turns)))
                turns.append(take_answer(rules, turns, said))
            case Act(turn):
                jobs = turn.jobs
                results = await asyncio.gather(*(_do(ctx, rules, job) for _, job in jobs))
                turns[-1] = _with_told(turn, results)
            case Answer(value):
                return rules, LoopEnd(value, len(turns), tokens_of(turns))
            case Halt() as halt:
                return rules, _ended(rules, turns, halt)


def run_loop_blocking(ctx: Context, loop: Loop | None = None, *, input: Json = None) -> LoopEnd:
    """Do what `run_loop` does, for a synchronous function: the calls of one turn are made one after the other."""
    reach = ctx.reach(loop.model if loop is not None else "")
    told = ctx.step("begin", _begin, ctx)
    rules = _rules(loop, reach, told, ctx, input)
    turns: list[Turn] = []
    while True:
        match next_move(rules, turns):
            case Ask(messages, parameters):
                if turns and len(turns) % PASS_TURNS == 0:
                    ctx.sleep(LET_GO_SECONDS)
                try:
                    said = ctx.complete(messages, model=rules.reach.model, **parameters)
                except BudgetSpent as error:
                    return _ended(rules, turns, Halt(BUDGET_SPENT, error.detail, last_text(turns)))
                turns.append(take_answer(rules, turns, said))
            case Act(turn):
                turns[-1] = _with_told(turn, [_do_blocking(ctx, rules, job) for _, job in turn.jobs])
            case Answer(value):
                return LoopEnd(value, len(turns), tokens_of(turns))
            case Halt() as halt:
                return _ended(rules, turns, halt)


def _begin(ctx: TaskFacts) -> dict[str, Json]:
    """Return what an agent's newer version may say otherwise, to be kept for this task."""
    return {"goal": ctx.goal, "objectives": list(ctx.objectives)}


def _rules(loop: Loop | None, reach: Reach, told: Mapping[str, Json], ctx: TaskFacts, input: Json) -> Rules:
    facts = Facts(ctx.agent, told["goal"], tuple(told["objectives"]), ctx.input if input is None else input)
    return rules_of(loop if loop is not None else read_loop(reach.options), reach, facts)


def _ended(rules: Rules, turns: Sequence[Turn], halt: Halt) -> LoopEnd:
    """Return the end of a loop without an answer; raise AgentStopped where what there is does not count."""
    if halt.code not in LIMITS or rules.loop.on_limit == "fail" or rules.loop.output is not None:
        said = f"; last it said: {halt.said[:500]}" if halt.said else ""
        raise AgentStopped(halt.code, f"{halt.detail}{said}")
    return LoopEnd(halt.said, len(turns), tokens_of(turns), halt.code, halt.detail)


def _with_told(turn: Turn, results: Sequence[Told]) -> Turn:
    places = [at for at, _ in turn.jobs]
    return replace(turn, told=told_of(turn, dict(zip(places, results, strict=True))))


async def _do(ctx: AsyncContext, rules: Rules, job: Job) -> Told:
    """Do one thing that a model asked for; a refusal or failure is told to it."""
    chars = rules.loop.result_chars
    try:
        match job:
            case CallTool(name, arguments):
                return Told(result_text(await ctx.tool(name, arguments), chars_max=chars))
            case Delegate(agent, given):
                child = await ctx.spawn(agent, dict(given), budget=rules.loop.child_budget)
                return Told(result_text(await child.result(), chars_max=chars))
            case CarryOut(plan):
                return _plan_told(await run_plan(ctx, plan, budget=rules.loop.child_budget), chars)
            case Report(kind, value, fields):
                await ctx.report(value, kind=kind, **fields)
                return Told("reported")
            case ReadKpis():
                return Told(result_text(await ctx.kpis(), chars_max=chars))
    except AosCallError as error:
        return _refused(error)


def _do_blocking(ctx: Context, rules: Rules, job: Job) -> Told:
    """Do what `_do` does, for a synchronous function."""
    chars = rules.loop.result_chars
    try:
        match job:
            case CallTool(name, arguments):
                return Told(result_text(ctx.tool(name, arguments), chars_max=chars))
            case Delegate(agent, given):
                child = ctx.spawn(agent, dict(given), budget=rules.loop.child_budget)
                return Told(result_text(child.result(), chars_max=chars))
            case CarryOut(plan):
                return _plan_told(run_plan_blocking(ctx, plan, budget=rules.loop.child_budget), chars)
            case Report(kind, value, fields):
                ctx.report(value, kind=kind, **fields)
                return Told("reported")
            case ReadKpis():
                return Told(result_text(ctx.kpis(), chars_max=chars))
    except AosCallError as error:
        return _refused(error)


def _refused(error: AosCallError) -> Told:
    """Return what a model is told of a call that was not performed."""
    why = "; ".join(error.reasons)
    detail = error.detail if not why or why in error.detail else f"{error.detail} ({why})"
    return Told(f"not done, {error.slug}: {detail}", ok=False)


def _plan_told(ends: Mapping[str, TaskEnd], chars: int) -> Told:
    """Return what became of a plan; it went well as far as it was carried out, whatever its tasks came to."""
    share = max(500, chars // max(1, len(ends)))
    lines = [
        f"{name}: done: {result_text(end.value, chars_max=share)}"
        if end.ok
        else f"{name}: {'failed' if end.begun else 'not begun'}: {end.detail[:share]}"
        for name, end in ends.items()
    ]
    return Told("\n".join(lines))
