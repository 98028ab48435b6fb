"""A synchronous pass: the function runs in the main thread, and each call waits on the socket itself.

Calls may come from several threads: whichever waits first reads the socket for all. A call that must wait, or that
returns after the latch, raises `Suspended`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import NoReturn

from aos_sdk.frames import EXIT_PROTOCOL, Call, CallKind, Cancel, Json, OwnerFrame, Result, State, Stop
from aos_sdk.replay import Outcome, Pass, Site
from aos_sdk.shapes import read_outcome, read_step, step_arguments, step_failure, step_reached, step_value
from aos_sdk.wire import Wire


class BlockingPass:
    """The calls of one synchronous pass."""

    def __init__(self, core: Pass, wire: Wire) -> None:
        self.core = core
        self._wire = wire
        self._answered = threading.Condition()
        self._reading = False
        self._waiting = 0

    @property
    def waiting_threads(self) -> int:
        """Return how many threads are inside a call."""
        return self._waiting

    def call(
        self, kind: CallKind, name: str, *, arguments: dict[str, Json], key: str | None, options: dict[str, Json]
    ) -> Json:
        """Return the value of a call, recorded or performed now; raises its `AosCallError`, or `Suspended`."""
        site, fresh = self.core.begin(kind, name, arguments=arguments, key=key)
        if fresh and site.recorded is not None:
            self.core.conclude(site, site.recorded)
        elif fresh:
            self._wire.send(self.core.call_frame(site, arguments=arguments, options=options))
        return read_outcome(site.outcome or self._wait(site), kind)

    def step(self, name: str, function: Callable[..., object], *, args: tuple[object, ...], key: str | None) -> Json:
        """Return what `function` returned, this time or on an earlier pass; raises `StepFailed` when it raised."""
        site, fresh = self.core.begin("step", name, arguments=step_arguments(args), key=key)
        if fresh and site.recorded is not None:
            self.core.reach_inside(site, step_reached(site.recorded.value))
            self.core.conclude(site, site.recorded)
        elif fresh:
            self._wire.send(self._run_step(site, function, args=args))
        return read_step(name, site.outcome or self._wait(site))

    def go_on(self, value: Json) -> NoReturn:
        """End the pass: the task goes on with this input and a fresh history. Raises `Suspended`."""
        self.core.go_on(value)
        with self._answered:
            self._answered.notify_all()
        self.core.check()
        raise AssertionError("a latched pass goes on")

    def _run_step(self, site: Site, function: Callable[..., object], *, args: tuple[object, ...]) -> Call:
        """Run a step's function and return the frame that records it."""
        step = self.core.open_step(site)
        state: State = "performed"
        try:
            envelope = step_value(site.name, function(*args), reached=step.reached)
        except Exception as error:
            self.core.check()
            envelope, state = step_failure(error, step.reached), "failed"
        except BaseException:
            self.core.abandon(site)
            raise
        finally:
            self.core.close_step(step)
        return self.core.call_frame(site, arguments=envelope, options={"state": state})

    def _wait(self, site: Site) -> Outcome:
        with self._answered:
            self._waiting += 1
        try:
            while True:
                with self._answered:
                    self.core.check()
                    if site.outcome is not None:
                        return site.outcome
                    if self._reading:
                        self._answered.wait()
                        continue
                    self._reading = True
                frame = self._wire.read()
                with self._answered:
                    self._reading = False
                    self._take(frame)
                    self._answered.notify_all()
        finally:
            with self._answered:
                self._waiting -= 1

    def _take(self, frame: OwnerFrame) -> None:
        match frame:
            case Result():
                landed = self.core.land(frame) if frame.task_id == self.core.start.task_id else None
                if landed is None:
                    return
                site, outcome = landed
                if outcome is None:
                    self.core.latch("waiting")
                else:
                    self.core.conclude(site, outcome)
            case Cancel():
                if frame.task_id == self.core.start.task_id:
                    self.core.latch("cancelled")
            case Stop():
                os._exit(0)
            case _:
                os.write(2, b"the owner sent work to a host that runs a synchronous task\n")
                os._exit(EXIT_PROTOCOL)
