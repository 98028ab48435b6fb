"""Agents' functions that the SDK's tests run in real hosts."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from aos_sdk import AosCallError, AsyncContext, ChildFailed, Context, InvalidCall, StepFailed, ToolFailed


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


def pays_after_approval(ctx: Context):
    before = ctx.tool("erp.read", {"id": 1})
    paid = ctx.tool("payments.create", iban="DE1", amount="10.00")
    return [before, paid]


async def pays_after_approval_async(ctx: AsyncContext):
    before = await ctx.tool("erp.read", {"id": 1})
    paid = await ctx.tool("payments.create", iban="DE1", amount="10.00")
    return [before, paid]


def retries(ctx: Context):
    for _ in range(5):
        try:
            return ctx.tool("payments.create", {"amount": 1})
        except ToolFailed as error:
            ctx.report(error.detail)
    return "gave up"


async def retries_async(ctx: AsyncContext):
    for _ in range(5):
        try:
            return await ctx.tool("payments.create", {"amount": 1})
        except ToolFailed as error:
            await ctx.report(error.detail)
    return "gave up"


def twice_the_same(ctx: Context):
    return [ctx.tool("payments.create", {"amount": 1}), ctx.tool("payments.create", {"amount": 1})]


def one_key_twice(ctx: Context):
    return [
        ctx.tool("payments.create", {"amount": 1}, key="salary"),
        ctx.tool("payments.create", amount=1, key="salary"),
    ]


def one_key_for_two_calls(ctx: Context):
    return [ctx.tool("payments.create", {"amount": 1}, key="a"), ctx.tool("payments.create", {"amount": 2}, key="a")]


def meets_every_error(ctx: Context):
    seen = []
    for name in ("denied", "budget", "failed", "unavailable", "unknown", "unknown"):
        try:
            ctx.tool(name)
        except AosCallError as error:
            seen.append([type(error).__name__, error.slug, error.rule, list(error.reasons)])
    return seen


async def waits_in_a_task_group(ctx: AsyncContext):
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(ctx.tool("payments.create", {"amount": amount})) for amount in range(6)]
    return [task.result() for task in tasks]


async def waits_in_gather(ctx: AsyncContext):
    return await asyncio.gather(*(ctx.tool("payments.create", {"amount": amount}) for amount in range(6)))


async def finishes_siblings_before_parking(ctx: AsyncContext):
    async def chain():
        for n in range(4):
            await ctx.tool("erp.read", {"n": n})
        return await ctx.step("slow", asyncio.sleep, 0.05, "slept")

    return await asyncio.gather(ctx.tool("payments.create", {"amount": 1}), chain())


async def races_two_retries(ctx: AsyncContext):
    order = []

    async def one(name):
        for _ in range(3):
            try:
                await ctx.tool("flaky")
                order.append(name)
                return
            except ToolFailed:
                order.append(f"{name} failed")

    await asyncio.gather(one("a"), one("b"))
    await ctx.tool("payments.create", {"amount": 1})
    return order


async def reacts_through_layers(ctx: AsyncContext):
    order = []

    async def deep(layers):
        if layers:
            return await asyncio.create_task(deep(layers - 1))
        return await ctx.tool("a", {})

    async def reacting(name, work):
        await work
        order.append(name)

    await asyncio.gather(reacting("a", deep(6)), reacting("b", ctx.tool("b", {})))
    await ctx.tool("payments.create", {"amount": 1})
    return order


def stubborn(ctx: Context):
    refused = []
    try:
        ctx.tool("payments.create", {"amount": 1})
    except BaseException:
        for _ in range(3):
            try:
                ctx.tool("after", {})
            except BaseException as error:
                refused.append(type(error).__name__)
        thread = threading.Thread(target=_call_quietly, args=(ctx, refused))
        thread.start()
        thread.join()
    finally:
        _call_quietly(ctx, refused)
        print("latched", *refused)
    return "swallowed"


def _call_quietly(ctx: Context, refused):
    try:
        ctx.tool("after", {})
    except BaseException as error:
        refused.append(type(error).__name__)


async def stubborn_async(ctx: AsyncContext):
    refused = []
    try:
        await ctx.tool("payments.create", {"amount": 1})
    except BaseException:
        try:
            await ctx.tool("after", {})
        except BaseException as error:
            refused.append(type(error).__name__)
    finally:
        try:
            await ctx.report("bye")
        except BaseException as error:
            refused.append(type(error).__name__)
        print("latched", *refused)
    return "swallowed"


def outlives_its_signal(ctx: Context):
    try:
        ctx.tool("payments.create", {"amount": 1})
    finally:
        time.sleep(60)


async def outlives_its_signal_async(ctx: AsyncContext):
    try:
        await ctx.tool("payments.create", {"amount": 1})
    finally:
        await asyncio.sleep(60)


async def waits_for_neighbour(ctx: AsyncContext):
    await ctx.tool("hold", {})


def calls_in_threads(ctx: Context):
    with ThreadPoolExecutor(4) as threads:
        return sorted(threads.map(lambda n: ctx.tool("echo", {"n": n})["echo"]["n"], range(8)))


def leaves_a_thread_behind(ctx: Context):
    threading.Thread(target=_call_quietly, args=(ctx, []), daemon=True).start()
    return ctx.tool("first", {})


def spawns(ctx: Context):
    handles = [ctx.spawn("vendor-review", {"vendor": vendor}, name=f"v{vendor}") for vendor in range(3)]
    values = ctx.gather(handles)
    return [values, handles[0].result()]


async def spawns_async(ctx: AsyncContext):
    handles = [await ctx.spawn("vendor-review", {"vendor": vendor}) for vendor in range(3)]
    return [await ctx.gather(handles), await handles[0].result()]


def child_fails(ctx: Context):
    try:
        return ctx.gather([ctx.spawn("a"), ctx.spawn("b")])
    except ChildFailed as error:
        return [error.task_id, error.failures]


def steps(ctx: Context):
    def reads():
        print("step ran")
        ctx.tool("erp.read", {"inside": True})
        return {"at": 5}

    at = ctx.step("clock", reads)
    failure: list = []
    try:
        ctx.step("breaks", _breaks)
    except StepFailed as error:
        failure = [error.type, error.step, str(error)]
    return [at, failure, ctx.tool("payments.create", {"amount": 1})]


def _breaks():
    print("breaking")
    raise ValueError("no file")


async def steps_async(ctx: AsyncContext):
    async def reads():
        print("step ran")
        await ctx.tool("erp.read", {"inside": True})
        return {"at": 5}

    at = await ctx.step("clock", reads)
    failure: list = []
    try:
        await ctx.step("breaks", _breaks)
    except StepFailed as error:
        failure = [error.type, error.step, str(error)]
    return [at, failure, await ctx.tool("payments.create", {"amount": 1})]


async def steps_beside_each_other(ctx: AsyncContext):
    """On the first attempt the first branch comes to no step: the other's is then the first of that name."""

    async def branch(value):
        if value == 1 and ctx.attempt == 1:
            raise ValueError("not yet")
        return await ctx.step("say", _same, value)

    said = await asyncio.gather(branch(1), branch(2), return_exceptions=True)
    if isinstance(said[0], Exception):
        raise said[0]
    return said


def _same(value):
    return value


async def waits_inside_a_step(ctx: AsyncContext):
    async def inner():
        return await ctx.tool("payments.create", {"amount": 1})

    return await ctx.step("outer", inner)


def changes_its_mind(ctx: Context):
    if ctx.attempt == 1 and not (_MARK / "second").exists():
        (_MARK / "second").touch()
        ctx.tool("payments.create", {"amount": 1})
        ctx.tool("wait", {})
    return "elsewhere"


_MARK = Path(os.environ.get("MARK_FOLDER", "/nonexistent"))


def environment(ctx: Context):
    return [dict(os.environ), sys.stdin.read(), os.getpgid(0) == os.getpid()]


def prints(ctx: Context):
    print("hello from the agent")
    sys.stderr.write("a warning\n")
    sys.stdout.write("x" * 20_000 + "\n")
    sys.stdout.flush()
    os.write(1, b"\xff\xfe raw\n")


def raises(ctx: Context):
    raise RuntimeError("half a \ud800 pair")


def exits(ctx: Context):
    sys.exit(3)


async def exits_async(ctx: AsyncContext):
    sys.exit(3)


def dies(ctx: Context):
    os.kill(os.getpid(), 9)


def returns_no_json(ctx: Context):
    return object()


def returns_too_much(ctx: Context):
    return "x" * 2_000_000


def sends_too_much(ctx: Context):
    try:
        ctx.tool("echo", {"text": "x" * 2_000_000})
    except InvalidCall as error:
        return [error.slug, ctx.tool("echo", {"n": 1})["echo"]["n"]]


def sends_no_json(ctx: Context):
    told = []
    for value in (float("nan"), object(), 2**70, "\ud800"):
        try:
            ctx.tool("echo", {"value": value})
        except InvalidCall as error:
            told.append(error.slug)
    return told


def computes(ctx: Context):
    ctx.tool("begin", {})
    while True:
        time.sleep(0.01)
        ctx.tool("tick", {})


def hangs(ctx: Context):
    time.sleep(60)


async def hangs_async(ctx: AsyncContext):
    await asyncio.sleep(60)


def reads_big_and_waits(ctx: Context):
    sizes = [len(ctx.tool("read", {"n": n})) for n in range(3)]
    ctx.tool("wait", {})
    return sizes


class Desk:
    @staticmethod
    def sums(ctx: Context):
        return sum(ctx.input)


def tool_adds(a: int, b: int = 1):
    return a + b


async def tool_adds_async(a: int, b: int = 1):
    return a + b


def tool_pays(amount: int, idempotency_key: str):
    return [amount, idempotency_key]


def tool_breaks(text: str):
    raise ValueError(text)


def tool_sleeps(seconds: float):
    time.sleep(seconds)
    return "slept"


async def tool_sleeps_async(seconds: float):
    await asyncio.sleep(seconds)
    return "slept"


def tool_dies():
    os.kill(os.getpid(), 9)


def tool_pid():
    return os.getpid()


def tool_no_json():
    return object()


def _start(code: str, **options):
    """Start a process that says its id and goes on for a minute."""
    command = [sys.executable, "-c", code + "; import os, time; print(os.getpid(), flush=True); time.sleep(60)"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)
    assert process.stdout is not None
    return int(process.stdout.readline())


_DAEMON = "import os; os.fork() and os._exit(0); os.setsid(); os.fork() and os._exit(0)"


def _starts_children():
    """Return the ids of a child, of one in a session of its own, and of a daemon that left its parents."""
    return [_start("pass"), _start("pass", start_new_session=True), _start(_DAEMON)]


def starts_children(ctx):
    """Start processes and tell of them, then compute for ever."""
    ctx.report(_starts_children())
    while True:
        pass


async def starts_children_async(ctx):
    """Start processes and tell of them, then wait for ever."""
    await ctx.report(_starts_children())
    await asyncio.sleep(60)


def starts_children_and_dies(ctx):
    """Start processes and tell of them, then be killed from outside."""
    ctx.report(_starts_children())
    os.kill(os.getpid(), 9)


def eats_memory(ctx):
    """Hold more and more memory."""
    held = []
    while True:
        held.append(bytearray(b"x" * 4_000_000))
        time.sleep(0.005)


def asks_for_memory(ctx):
    """Ask for a great deal of memory at once."""
    return len(bytearray(8_000_000_000))


def computes_for_ever(ctx):
    """Use the processor."""
    while True:
        pass


def process_id(ctx):
    """Return the host's process id."""
    return os.getpid()
