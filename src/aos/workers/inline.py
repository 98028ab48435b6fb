"""Agents that the operator vouches for, run in the worker itself: the same passes, replay and parking as in a host.

Only coroutine functions: a synchronous one would hold up the worker. There is no boundary here against mistakes, and a
function that blocks blocks every other pass of this process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

from aos.workers.runners import OnCall
from aos_sdk.context import AsyncContext
from aos_sdk.entries import EntryError, is_asynchronous
from aos_sdk.frames import Call, Ended, Raised, Start
from aos_sdk.native import load_runtime
from aos_sdk.parking import ParkingPass
from aos_sdk.replay import Outcome, Pass, Site

AgentFunction: TypeAlias = Callable[[AsyncContext], Coroutine[Any, Any, object]]
IDLE_TURNS = 3
"""Turns of the loop after which nothing of a pass counts as ready to run: what an outcome wakes has run by then."""


@dataclass(frozen=True, slots=True)
class TimedOut:
    """A pass that took longer than it may."""

    reason: str
    counted: bool = False
    timed_out: bool = True
    code: str = ""


class InlineRunner:
    """The `AgentRunner` of this process."""

    async def run_pass(
        self, start: Start, on_call: OnCall, *, timeout_seconds: float | None = None
    ) -> Ended | TimedOut:
        """Run one pass on this loop."""
        try:
            function = _function(start.entry, start.runtime)
        except EntryError as error:
            return Ended(start.task_id, "raised", error=Raised("EntryError", str(error)))
        return await run_here(function, start, on_call, timeout_seconds=timeout_seconds)


async def run_here(
    function: AgentFunction, start: Start, on_call: OnCall, *, timeout_seconds: float | None
) -> Ended | TimedOut:
    """Run one pass of a coroutine function on this loop."""
    running = _InlinePass(start, on_call)
    try:
        return await asyncio.wait_for(running.run(function), timeout_seconds)
    except TimeoutError:
        return TimedOut(f"the pass took longer than {timeout_seconds:g} s")


class _InlinePass(ParkingPass):
    """One pass on the worker's loop, which is never idle: it counts turns instead."""

    def __init__(self, start: Start, on_call: OnCall) -> None:
        loop = asyncio.get_running_loop()
        core = Pass(start, asyncio.CancelledError, on_latch=_nothing)
        super().__init__(core, self._send_call, loop)
        self._on_call = on_call
        self._calls: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None
        self._turning = False

    async def run(self, function: Callable[[AsyncContext], Coroutine[Any, Any, object]]) -> Ended:
        root = self.begin(function(AsyncContext(self)))
        try:
            await asyncio.wait((root,))
        except asyncio.CancelledError:
            self.cancel()
            root.cancel()
            raise
        finally:
            for call in self._calls:
                call.cancel()
        if self._failure is not None:
            raise self._failure
        return self.ended(root)

    def _send_call(self, call: Call) -> None:
        task = self._loop.create_task(self._answer(call))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def _answer(self, call: Call) -> None:
        try:
            self.take(await self._on_call(call))
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # raised to whoever runs the pass: nothing more can be recorded for it
            self._failure = self._failure or error
            self.cancel()
        self._turn_soon()

    def _push(self, site: Site, outcome: Outcome) -> None:
        super()._push(site, outcome)
        self._turn_soon()

    def _turn_soon(self) -> None:
        if not self._turning:
            self._turning = True
            self._loop.call_soon(self._count_down, IDLE_TURNS)

    def _count_down(self, turns: int) -> None:
        if turns:
            self._loop.call_soon(self._count_down, turns - 1)
            return
        self._turning = False
        if self.turn():
            self._turn_soon()


@lru_cache(maxsize=1_024)
def _function(entry: str, runtime: str) -> Callable[[AsyncContext], Coroutine[Any, Any, object]]:
    function = load_runtime(runtime, entry, folders=None)
    if not is_asynchronous(function):
        raise EntryError(f"entry `{entry}` runs inline and must be a coroutine function (`async def`)")
    return function


def _nothing() -> None:
    """A latched pass needs no watch here: whoever waits for it holds its time."""
