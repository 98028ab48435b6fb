"""An asynchronous pass: never raised into; a call that must wait simply does not return.

Outcomes, recorded or new, are handed over in the order of their `seq`, one each time the loop has nothing else ready to
run: so the function reacts on every pass in the order in which it reacted first. When a call is parked, no other call
and no `step()` is under way and the loop is idle, the root task is cancelled. A loop that never idles (a task that spins)
hands over after `BUSY_TURNS_MAX` turns all the same.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import heapq
import inspect
import selectors
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import ContextVar, copy_context
from typing import Any, Final, NoReturn, TypeVar

from aos_sdk.errors import InvalidCall, Suspended
from aos_sdk.frames import CALLS_IN_FLIGHT_MAX, Call, CallKind, Ended, Json, Raised, Result, State
from aos_sdk.replay import OpenStep, Outcome, Pass, Site
from aos_sdk.shapes import (
    raised,
    read_outcome,
    read_step,
    result_value,
    step_arguments,
    step_failure,
    step_reached,
    step_value,
)

BUSY_TURNS_MAX: Final = 200
"""Turns of a loop that is never idle after which outcomes are handed over all the same."""

T = TypeVar("T")

_current: ContextVar[ParkingPass | None] = ContextVar("aos_current_pass", default=None)


def current_pass() -> ParkingPass | None:
    """Return the asynchronous pass that this code belongs to, in whatever thread or task of it."""
    return _current.get()


class ParkingPass:
    """The calls of one asynchronous pass, on the host's loop."""

    def __init__(self, core: Pass, send: Callable[[Call], None], loop: asyncio.AbstractEventLoop) -> None:
        self.core = core
        self.root: asyncio.Task[object] | None = None
        self.tasks: set[asyncio.Task[Any]] = set()
        self._send = send
        self._loop = loop
        self._due: list[tuple[int, int, Site, Outcome]] = []
        self._pushed = 0
        self._waiters: dict[Site, list[asyncio.Future[Outcome]]] = {}
        self._backlog: deque[Call] = deque()
        self._steps: set[OpenStep] = set()
        self._parked = 0

    def begin(self, work: Coroutine[Any, Any, object]) -> asyncio.Task[object]:
        """Start the function as the root task of the pass."""
        context = copy_context()
        context.run(_current.set, self)
        self.root = self._loop.create_task(work, context=context)
        return self.root

    async def call(
        self, kind: CallKind, name: str, *, arguments: dict[str, Json], key: str | None, options: dict[str, Json]
    ) -> Json:
        """Return the value of a call, recorded or performed now; raises its `AosCallError`. May never return."""
        site, fresh = self._reach(kind, name, arguments=arguments, key=key)
        if fresh and site.recorded is None:
            self._go(self.core.call_frame(site, arguments=arguments, options=options))
        return read_outcome(await self._outcome(site), kind)

    async def query(self, kind: CallKind, name: str, *, arguments: dict[str, Json]) -> Json:
        """Return the answer to a call that no history holds, as things stand now; raises its `AosCallError`."""
        site = self.core.open_query(kind, name)
        self._go(self.core.call_frame(site, arguments=arguments, options={}))
        return read_outcome(await self._outcome(site))

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what `work` comes to on this pass's loop, from a thread that is not the loop's; raises what it raises.

        Raises `Suspended` once the pass is over, and `RuntimeError` on the loop's own thread, which must not wait.
        """
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            running = None
        if running is not None:
            work.close()
            raise RuntimeError("this thread runs a loop: await the asynchronous form instead (`ainvoke`)")
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop).result()
        except concurrent.futures.CancelledError:
            raise Suspended from None

    async def step(
        self, name: str, function: Callable[..., object], *, args: tuple[object, ...], key: str | None
    ) -> Json:
        """Return what `function` returned, this time or on an earlier pass; raises `StepFailed` when it raised."""
        site, fresh = self._reach("step", name, arguments=step_arguments(args), key=key)
        if fresh and site.recorded is not None:
            self.core.reach_inside(site, step_reached(site.recorded.value))
        elif fresh:
            self._go(await self._run_step(site, function, args=args))
        return read_step(name, await self._outcome(site))

    def _reach(self, kind: CallKind, name: str, *, arguments: dict[str, Json], key: str | None) -> tuple[Site, bool]:
        """Find the site of a call, and hand its outcome over in its turn when there is one."""
        self.core.check()
        if asyncio.get_running_loop() is not self._loop:
            raise RuntimeError(f"{kind} `{name}` is called on another loop than its agent's")
        site, fresh = self.core.begin(kind, name, arguments=arguments, key=key)
        known = site.recorded if fresh else site.outcome
        if known is not None:
            self._push(site, known)
        return site, fresh

    async def _run_step(self, site: Site, function: Callable[..., object], *, args: tuple[object, ...]) -> Call:
        """Run a step's function and return the frame that records it."""
        step = self.core.open_step(site)
        self._steps.add(step)
        state: State = "performed"
        try:
            value = function(*args)
            if inspect.isawaitable(value):
                value = await value
            envelope = step_value(site.name, value, reached=step.reached)
        except Exception as error:
            self.core.check()
            envelope, state = step_failure(error, step.reached), "failed"
        except BaseException:
            self.core.abandon(site)
            raise
        finally:
            self._steps.discard(step)
            self.core.close_step(step)
        self.core.check()
        return self.core.call_frame(site, arguments=envelope, options={"state": state})

    async def _outcome(self, site: Site) -> Outcome:
        waiter: asyncio.Future[Outcome] = self._loop.create_future()
        self._waiters.setdefault(site, []).append(waiter)
        return await waiter

    def _go(self, call: Call) -> None:
        if self.core.flying - len(self._backlog) > CALLS_IN_FLIGHT_MAX:
            self._backlog.append(call)
        else:
            self._send(call)

    def _push(self, site: Site, outcome: Outcome) -> None:
        self._pushed += 1
        heapq.heappush(self._due, (outcome.seq, self._pushed, site, outcome))

    def take(self, result: Result) -> None:
        """Take the owner's answer to a call: it is handed over in its turn, or parked."""
        landed = self.core.land(result)
        if landed is None:
            return
        if self._backlog:
            self._send(self._backlog.popleft())
        site, outcome = landed
        if self.core.latched == "cancelled":
            self.cancel()
        elif outcome is None:
            self._parked += 1
        else:
            self._push(site, outcome)

    def turn(self) -> bool:
        """Hand the next outcome over, or suspend the pass; returns whether anything is now ready to run.

        Called when nothing of the loop is ready to run.
        """
        if self.core.latched is not None:
            return False
        if self._due:
            _, _, site, outcome = heapq.heappop(self._due)
            self.core.conclude(site, outcome)
            for waiter in self._waiters.pop(site, ()):
                if not waiter.done():
                    waiter.set_result(outcome)
            return True
        if not self._parked or self.core.flying or any(not step.parked for step in self._steps):
            return False
        self.core.latch("waiting")
        return self._unwind()

    async def go_on(self, value: Json) -> NoReturn:
        """End the pass: the task goes on with this input and a fresh history. Never returns."""
        self.core.go_on(value)
        self._unwind()
        await self._loop.create_future()
        raise AssertionError("a latched pass goes on")

    def cancel(self) -> None:
        """End the pass: the owner no longer holds the task."""
        self.core.latch("cancelled")
        self._unwind()

    def _unwind(self) -> bool:
        return self.root is not None and not self.root.done() and self.root.cancel()

    def ended(self, root: asyncio.Task[object]) -> Ended:
        """Return how the pass ended, its `root` task being done, and cancel what the function left running."""
        value: Json = None
        error: Raised | None = None
        if root.cancelled():
            error = Raised("CancelledError", "the function was cancelled from within")
        elif (failure := root.exception()) is not None:
            error = raised(failure)
        else:
            try:
                value = result_value(root.result())
            except InvalidCall as invalid:
                error = raised(invalid)
        frame = self.core.ended(value, error)
        for task in self.tasks:
            task.cancel()
        return frame


class IdleSelector(selectors.DefaultSelector):
    """A selector that tells when its loop is about to sleep: exactly then nothing is ready to run."""

    def __init__(self, idle: Callable[[], bool]) -> None:
        super().__init__()
        self._idle = idle
        self._busy_turns = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait for events, unless the idle loop was given something to run."""
        self._busy_turns += 1
        if timeout is None or timeout > 0 or self._busy_turns > BUSY_TURNS_MAX:
            self._busy_turns = 0
            if self._idle():
                timeout = 0
        found: list[tuple[selectors.SelectorKey, int]] = super().select(timeout)
        return found


def own_task(
    loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any] | Generator[Any, None, Any], **options: Any
) -> asyncio.Task[Any]:
    """Make a task (a loop's task factory) and note to which pass it belongs."""
    task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, **options)
    owner = _current.get()
    if owner is not None:
        owner.tasks.add(task)
        task.add_done_callback(owner.tasks.discard)
    return task
