"""What an agent's function is given: `Context` for a synchronous function, `AsyncContext` for a coroutine function.

Both have the same names; of the asynchronous one every call is awaited. The function runs again from its top whenever
something it waited for is there, and calls already made return what is recorded: so between calls it must do the same
each time, and clock, chance and its own I/O belong into `step`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, NoReturn, TypeAlias

from aos_sdk import shapes
from aos_sdk.blocking import BlockingPass
from aos_sdk.frames import CallKind, Json, Start
from aos_sdk.parking import ParkingPass
from aos_sdk.reach import Reach, read_reach

ReportKind: TypeAlias = Literal["progress", "kpi", "finding"]


class TaskFacts:
    """What the function may know of its task; the same on every pass of an attempt."""

    def __init__(self, start: Start) -> None:
        self._start = start

    @property
    def input(self) -> Json:
        """Return the task's input."""
        return self._start.input

    @property
    def task_id(self) -> str:
        """Return the task's id."""
        return self._start.task_id

    @property
    def token(self) -> str:
        """Return the task token: bearer token or `api_key` at AOS's doors, for as long as this claim lives."""
        return self._start.token

    @property
    def run_id(self) -> str:
        """Return the run's id."""
        return self._start.context.run_id

    @property
    def run_name(self) -> str:
        """Return the run's name."""
        return self._start.context.run_name

    @property
    def agent(self) -> str:
        """Return the agent's name."""
        return self._start.context.agent

    @property
    def agent_version(self) -> int:
        """Return the agent's version."""
        return self._start.context.agent_version

    @property
    def attempt(self) -> int:
        """Return which attempt of the task this is, from 1; a resume after waiting is the same attempt."""
        return self._start.context.attempt

    @property
    def generation(self) -> int:
        """Return how often the task has gone on with a fresh history, from 0."""
        return self._start.context.generation

    @property
    def goal(self) -> str:
        """Return the goal the run was given, else the agent's own."""
        return self._start.context.goal

    @property
    def objectives(self) -> list[Json]:
        """Return the agent's objectives: name, kpi, target."""
        return self._start.context.objectives

    @property
    def thread(self) -> str:
        """Return the run's thread, else the task's id: under what a graph's checkpoints are kept."""
        return self._start.context.thread or self._start.task_id

    @property
    def labels(self) -> Mapping[str, str]:
        """Return the run's labels."""
        return self._start.context.labels

    @property
    def clock(self) -> datetime | None:
        """Return the run's own clock, None unless the run carries one."""
        told = self._start.context.clock
        return None if told is None else datetime.fromisoformat(told)


class Context(TaskFacts):
    """The context of a synchronous function."""

    def __init__(self, calls: BlockingPass) -> None:
        super().__init__(calls.core.start)
        self._calls = calls

    def tool(
        self, name: str, arguments: Mapping[str, object] | None = None, /, *, key: str | None = None, **named: object
    ) -> Any:
        """Call a tool through the gate and return its value.

        Arguments are given as a dict, as keywords or both; a dict can name what is no keyword here, such as `key`.
        Raises `Denied`, `BudgetSpent`, `ToolFailed`, `OutcomeUnknown` or `Unavailable`. The same call made again after a
        refusal or failure is a retry of it; an explicit `key` names the call for ever.
        """
        return self._call("tool", name, arguments=shapes.tool_arguments(name, arguments, named=named), key=key)

    def govern(self, function: Callable[..., object], name: str | None = None) -> Callable[..., Any]:
        """Return a function that calls the registered tool of that name instead of `function`, with its arguments by name."""
        tool = name or function.__name__
        return lambda *args, **named: self.tool(tool, shapes.bound_arguments(function, args, named=named))

    def complete(
        self,
        prompt: str | Sequence[Mapping[str, object]],
        /,
        *,
        model: str = "auto",
        key: str | None = None,
        **parameters: object,
    ) -> shapes.Completion:
        """Ask a model through the gate and return its answer.

        `prompt` is a text, or messages as chat/completions has them; `model` is a model's name, `purpose:NAME` or `auto`.
        `parameters` are those of chat/completions: `max_tokens`, `tools`, `response_format`, `temperature` ... An answer that
        was given once is given again by every later pass, and not paid twice. Raises as `tool` does.
        """
        arguments = shapes.completion_arguments(prompt, parameters)
        return shapes.read_completion(self._call("complete", model, arguments=arguments, key=key))

    def spawn(
        self,
        agent: str,
        input: object = None,
        *,
        name: str | None = None,
        key: str | None = None,
        budget: object = None,
        after: Sequence[Spawned] = (),
    ) -> Spawned:
        """Start another agent on a task of its own and return its handle at once.

        It begins when the tasks `after` have succeeded, and is skipped where one of them does not.
        """
        arguments = shapes.spawn_arguments(
            agent, input, name=name, budget=budget, after=[handle.task_id for handle in after]
        )
        value = self._call("spawn", agent, arguments=arguments, key=key)
        return Spawned(shapes.read_spawned(value), agent, self)

    def gather(
        self, handles: Sequence[Spawned], *, join: shapes.Join = "all", return_exceptions: bool = False
    ) -> list[Any]:
        """Wait once for all the tasks, for `"any"` of them or for a number, and return their values in order.

        In the place of a task that has not ended by then stands `UNFINISHED`; it goes on, and can be waited for again.

        Raises `ChildFailed` naming every one that failed, or puts the error in its place with `return_exceptions`.
        """
        if not handles:
            return []
        arguments = shapes.gather_arguments([handle.task_id for handle in handles], join)
        value = self._call("children", "", arguments=arguments, key=None)
        return shapes.child_values(shapes.read_children(value), return_exceptions=return_exceptions)

    def report(self, value: object = None, *, kind: ReportKind = "progress", **fields: object) -> None:
        """Tell the run's watchers how far the task is, a KPI's value, or a finding."""
        self._call("report", kind, arguments=shapes.report_arguments(kind, value, fields=fields), key=None)

    def sleep(self, duration: float | timedelta, *, key: str | None = None) -> None:
        """Wait for so many seconds; the task holds no worker meanwhile, and sleeps on whatever dies."""
        self._call("timer", "sleep", arguments=shapes.sleep_arguments(duration), key=key)

    def sleep_until(self, when: datetime, *, key: str | None = None) -> None:
        """Wait until a time, by the run's own clock where it has one; one that has passed is no wait."""
        self._call("timer", "sleep", arguments=shapes.until_arguments(when), key=key)

    def wait_for_signal(self, name: str, *, timeout: float | timedelta | None = None, key: str | None = None) -> Any:
        """Wait for a signal of this name to the run, take it and return its value; the oldest comes first.

        A signal is taken once, by one wait. Raises `TimedOut` when none has come within `timeout` seconds.
        """
        return self._call("signal", name, arguments=shapes.signal_arguments(timeout), key=key)

    def kpis(self) -> dict[str, Any]:
        """Return the value that the run's agents reported last for each KPI, as recorded for this place of the task."""
        values: dict[str, Any] = self._call("kpis", "", arguments={}, key=None)
        return values

    def reach(self, model: str = "") -> Reach:
        """Return what the agent may use at all: tools and agents, and how the model `model` is best asked.

        It is a reading of the rules at this place of the task, the same on every later pass; each call is decided for itself.
        """
        return read_reach(self._call("reach", model, arguments={}, key=None))

    def continue_as_new(self, input: object = None) -> NoReturn:
        """End this pass and let the task go on with another input and a fresh history. Never returns.

        For functions that loop: what a history holds is bounded. It is the same attempt; spawned tasks live on, and a call
        under an explicit key has the same idempotency key as before.
        """
        self._calls.go_on(shapes.next_input(input))

    def step(self, name: str, function: Callable[..., object], *args: object, key: str | None = None) -> Any:
        """Run `function(*args)` once and return its value, recorded for later passes: for clock, chance and own I/O.

        The value must be JSON. What the function raises becomes `StepFailed`, on this pass and on every later one.
        """
        return self._calls.step(name, function, args=args, key=key)

    def _call(self, kind: CallKind, name: str, *, arguments: dict[str, Json], key: str | None) -> Json:
        return self._calls.call(kind, name, arguments=arguments, key=key, options={})


class AsyncContext(TaskFacts):
    """The context of a coroutine function; every call is awaited."""

    def __init__(self, calls: ParkingPass) -> None:
        super().__init__(calls.core.start)
        self._calls = calls

    async def tool(
        self, name: str, arguments: Mapping[str, object] | None = None, /, *, key: str | None = None, **named: object
    ) -> Any:
        """Call a tool through the gate and return its value.

        Arguments are given as a dict, as keywords or both; a dict can name what is no keyword here, such as `key`.
        Raises `Denied`, `BudgetSpent`, `ToolFailed`, `OutcomeUnknown` or `Unavailable`. The same call made again after a
        refusal or failure is a retry of it; an explicit `key` names the call for ever.
        """
        return await self._call("tool", name, arguments=shapes.tool_arguments(name, arguments, named=named), key=key)

    def govern(self, function: Callable[..., object], name: str | None = None) -> Callable[..., Any]:
        """Return a coroutine function that calls the registered tool of that name instead of `function`."""
        tool = name or function.__name__
        return lambda *args, **named: self.tool(tool, shapes.bound_arguments(function, args, named=named))

    async def complete(
        self,
        prompt: str | Sequence[Mapping[str, object]],
        /,
        *,
        model: str = "auto",
        key: str | None = None,
        **parameters: object,
    ) -> shapes.Completion:
        """Ask a model through the gate and return its answer.

        `prompt` is a text, or messages as chat/completions has them; `model` is a model's name, `purpose:NAME` or `auto`.
        `parameters` are those of chat/completions: `max_tokens`, `tools`, `response_format`, `temperature` ... An answer that
        was given once is given again by every later pass, and not paid twice. Raises as `tool` does.
        """
        arguments = shapes.completion_arguments(prompt, parameters)
        return shapes.read_completion(await self._call("complete", model, arguments=arguments, key=key))

    async def spawn(
        self,
        agent: str,
        input: object = None,
        *,
        name: str | None = None,
        key: str | None = None,
        budget: object = None,
        after: Sequence[AsyncSpawned] = (),
    ) -> AsyncSpawned:
        """Start another agent on a task of its own and return its handle at once.

        It begins when the tasks `after` have succeeded, and is skipped where one of them does not.
        """
        arguments = shapes.spawn_arguments(
            agent, input, name=name, budget=budget, after=[handle.task_id for handle in after]
        )
        value = await self._call("spawn", agent, arguments=arguments, key=key)
        return AsyncSpawned(shapes.read_spawned(value), agent, self)

    async def gather(
        self, handles: Sequence[AsyncSpawned], *, join: shapes.Join = "all", return_exceptions: bool = False
    ) -> list[Any]:
        """Wait once for all the tasks, for `"any"` of them or for a number, and return their values in order.

        In the place of a task that has not ended by then stands `UNFINISHED`; it goes on, and can be waited for again.

        Raises `ChildFailed` naming every one that failed, or puts the error in its place with `return_exceptions`.
        """
        if not handles:
            return []
        arguments = shapes.gather_arguments([handle.task_id for handle in handles], join)
        value = await self._call("children", "", arguments=arguments, key=None)
        return shapes.child_values(shapes.read_children(value), return_exceptions=return_exceptions)

    async def report(self, value: object = None, *, kind: ReportKind = "progress", **fields: object) -> None:
        """Tell the run's watchers how far the task is, a KPI's value, or a finding."""
        await self._call("report", kind, arguments=shapes.report_arguments(kind, value, fields=fields), key=None)

    async def sleep(self, duration: float | timedelta, *, key: str | None = None) -> None:
        """Wait for so many seconds; the task holds no worker meanwhile, and sleeps on whatever dies."""
        await self._call("timer", "sleep", arguments=shapes.sleep_arguments(duration), key=key)

    async def sleep_until(self, when: datetime, *, key: str | None = None) -> None:
        """Wait until a time, by the run's own clock where it has one; one that has passed is no wait."""
        await self._call("timer", "sleep", arguments=shapes.until_arguments(when), key=key)

    async def wait_for_signal(
        self, name: str, *, timeout: float | timedelta | None = None, key: str | None = None
    ) -> Any:
        """Wait for a signal of this name to the run, take it and return its value; the oldest comes first.

        A signal is taken once, by one wait. Raises `TimedOut` when none has come within `timeout` seconds.
        """
        return await self._call("signal", name, arguments=shapes.signal_arguments(timeout), key=key)

    async def kpis(self) -> dict[str, Any]:
        """Return the value that the run's agents reported last for each KPI, as recorded for this place of the task."""
        values: dict[str, Any] = await self._call("kpis", "", arguments={}, key=None)
        return values

    async def reach(self, model: str = "") -> Reach:
        """Return what the agent may use at all: tools and agents, and how the model `model` is best asked.

        It is a reading of the rules at this place of the task, the same on every later pass; each call is decided for itself.
        """
        return read_reach(await self._call("reach", model, arguments={}, key=None))

    async def continue_as_new(self, input: object = None) -> NoReturn:
        """End this pass and let the task go on with another input and a fresh history. Never returns.

        For functions that loop: what a history holds is bounded. It is the same attempt; spawned tasks live on, and a call
        under an explicit key has the same idempotency key as before.
        """
        await self._calls.go_on(shapes.next_input(input))

    async def step(self, name: str, function: Callable[..., object], *args: object, key: str | None = None) -> Any:
        """Run `function(*args)` once, awaited where it is a coroutine, and return its value, recorded for later passes.

        The value must be JSON. What the function raises becomes `StepFailed`, on this pass and on every later one.
        """
        return await self._calls.step(name, function, args=args, key=key)

    async def _call(self, kind: CallKind, name: str, *, arguments: dict[str, Json], key: str | None) -> Json:
        return await self._calls.call(kind, name, arguments=arguments, key=key, options={})


@dataclass(frozen=True, slots=True)
class Spawned:
    """A task that a synchronous function spawned."""

    task_id: str
    agent: str
    _context: Context

    def result(self) -> Any:
        """Wait for the task and return its value; raises `ChildFailed`."""
        return self._context.gather([self])[0]


@dataclass(frozen=True, slots=True)
class AsyncSpawned:
    """A task that a coroutine function spawned."""

    task_id: str
    agent: str
    _context: AsyncContext

    async def result(self) -> Any:
        """Wait for the task and return its value; raises `ChildFailed`."""
        return (await self._context.gather([self]))[0]
