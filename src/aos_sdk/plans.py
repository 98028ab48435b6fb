"""Plans of tasks: read from what a model wrote, checked, and carried out by spawning; for agents that lead others.

    plan = read_plan(written, agents=["finance"], tasks_max=20)   # raises PlanError with every reason
    ends = await run_plan(ctx, plan)                               # {"match": TaskEnd(ok=True, value=...), ...}

A task begins when the tasks it names in `after` and `uses` have succeeded; of those in `uses` it is given the results. A plan
gives no rights: each spawn is decided by the gate for the agent that spawns.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any, Final

from aos_sdk.checks import schema_problems
from aos_sdk.context import AsyncContext, AsyncSpawned, Context, Spawned
from aos_sdk.errors import AosCallError
from aos_sdk.frames import Json
from aos_sdk.shapes import Join, Unfinished

PLAN_TASKS_MAX: Final = 50
"""Tasks of one plan, unless its reader says another number."""
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,60}")


class PlanError(Exception):
    """A plan cannot be carried out; `problems` are all the reasons, in words that its author can mend it by."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class PlanTask:
    """One task: who does it, what, with which input, after which others, and whose results it is given."""

    id: str
    agent: str
    task: str
    input: Mapping[str, Json] = field(default_factory=dict)
    after: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()

    @property
    def needs(self) -> tuple[str, ...]:
        """Return every task that must have succeeded before."""
        return tuple(dict.fromkeys((*self.after, *self.uses)))


@dataclass(frozen=True, slots=True)
class Plan:
    """Tasks in an order in which each stands after those it needs."""

    tasks: tuple[PlanTask, ...]


@dataclass(frozen=True, slots=True)
class TaskEnd:
    """What became of one task of a plan; `begun` is false for one that was never spawned."""

    ok: bool
    value: Json = None
    detail: str = ""
    begun: bool = True


def plan_schema(agents: Sequence[str], tasks_max: int = PLAN_TASKS_MAX) -> dict[str, Json]:
    """Return the JSON Schema of a plan, as a model is shown it."""
    others: Json = {"type": "array", "items": {"type": "string"}}
    task: Json = {
        "type": "object",
        "properties": {
            "id": {"type": "string", "description": "A short name of your own for this task"},
            "agent": {"type": "string", "enum": list(agents), "description": "Who does it"},
            "task": {"type": "string", "description": "What is to be done, with all that the agent must know"},
            "input": {"type": "object", "description": "Values that the agent is given beside the words"},
            "after": {**others, "description": "Ids of tasks that must have succeeded before"},
            "uses": {**others, "description": "Ids of tasks whose results this one is given; they come before it too"},
        },
        "required": ["id", "agent", "task"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"tasks": {"type": "array", "items": task, "minItems": 1, "maxItems": tasks_max}},
        "required": ["tasks"],
        "additionalProperties": False,
    }


def read_plan(written: Json, *, agents: Collection[str], tasks_max: int = PLAN_TASKS_MAX) -> Plan:
    """Return the plan that was written; raise PlanError with every reason why it is none.

    Refused are an unknown agent, an id given twice, a need of no task, a cycle, and more than `tasks_max` tasks.
    """
    shape = schema_problems(written, plan_schema(sorted(agents), tasks_max))
    if shape:
        raise PlanError(shape)
    tasks = [_read_task(each) for each in written["tasks"]]
    names = [task.id for task in tasks]
    problems = [
        f"task `{name[:60]}`: an id is 1 to 60 letters, digits, `_` or `-`" for name in names if not _ID.fullmatch(name)
    ]
    problems += [f"task `{name}` stands twice" for name in dict.fromkeys(names) if names.count(name) > 1]
    for task in tasks:
        problems += [f"task `{task.id}` needs `{need}`, which is no task" for need in task.needs if need not in names]
    if problems:
        raise PlanError(problems)
    by_id = {task.id: task for task in tasks}
    try:
        order = list(TopologicalSorter({task.id: task.needs for task in tasks}).static_order())
    except CycleError as error:
        raise PlanError([f"the tasks wait for each other: {' -> '.join(error.args[1])}"]) from error
    return Plan(tuple(by_id[name] for name in order))


def _read_task(written: Mapping[str, Any]) -> PlanTask:
    return PlanTask(
        written["id"],
        written["agent"],
        written["task"],
        dict(written.get("input") or {}),
        tuple(written.get("after") or ()),
        tuple(written.get("uses") or ()),
    )


def next_tasks(plan: Plan, begun: Collection[str], ended: Mapping[str, TaskEnd]) -> tuple[list[PlanTask], list[str]]:
    """Return the tasks to spawn now, and the ids of those that never will be; pure.

    A task that only comes after others is spawned at once, to wait by itself; one that uses results waits for them here.
    """
    ready: list[PlanTask] = []
    lost: list[str] = []
    coming = set(begun)
    for task in plan.tasks:
        if task.id in coming or task.id in ended:
            continue
        never = {name for name, end in ended.items() if not end.ok} | set(lost)
        if any(need in never for need in task.needs):
            lost.append(task.id)
        elif all(use in ended for use in task.uses) and all(each in coming for each in task.after):
            ready.append(task)
            coming.add(task.id)
    return ready, lost


def task_input(task: PlanTask, ended: Mapping[str, TaskEnd]) -> dict[str, Json]:
    """Return what the agent of a task is given: its input, the words of the task, and the results that it uses."""
    given: dict[str, Json] = {**task.input, "task": task.task}
    if task.uses:
        given["results"] = {use: ended[use].value for use in task.uses}
    return given


@dataclass(slots=True)
class _Course:
    """How far a plan is: what was spawned and what has ended; the calls themselves are the two colours' own."""

    plan: Plan
    begun: list[str] = field(default_factory=list)
    ended: dict[str, TaskEnd] = field(default_factory=dict)

    def ready(self) -> list[PlanTask]:
        """Return what to spawn now; what never will be has ended."""
        ready, lost = next_tasks(self.plan, self.begun, self.ended)
        for name in lost:
            self.ended[name] = TaskEnd(False, detail="not begun: a task that it needs did not succeed", begun=False)
        return ready

    def refused(self, task: PlanTask, error: AosCallError) -> None:
        self.ended[task.id] = TaskEnd(False, detail=error.detail, begun=False)

    @property
    def waiting(self) -> list[str]:
        return [name for name in self.begun if name not in self.ended]

    @property
    def join(self) -> Join:
        """Return what to wait for: for any task where a result is used by one that has not begun, else for all."""
        known = {*self.begun, *self.ended}
        return "all" if all(task.id in known for task in self.plan.tasks) else "any"

    def learn(self, names: Sequence[str], values: Sequence[Any]) -> None:
        """Take what a wait for tasks brought."""
        for name, value in zip(names, values, strict=True):
            if isinstance(value, AosCallError):
                self.ended[name] = TaskEnd(False, detail=value.detail)
            elif not isinstance(value, Unfinished):
                self.ended[name] = TaskEnd(True, value)

    def ends(self) -> dict[str, TaskEnd]:
        return {task.id: self.ended[task.id] for task in self.plan.tasks}


async def run_plan(ctx: AsyncContext, plan: Plan, *, budget: object = None) -> dict[str, TaskEnd]:
    """Carry out a plan and return what became of each task; `budget` limits what each may cost.

    A task that fails, or that the gate does not let begin, is an end like any: nothing is raised.
    """
    course, handles = _Course(plan), dict[str, AsyncSpawned]()
    while True:
        if ready := course.ready():
            for task in ready:
                if any(need not in handles for need in task.after):
                    continue  # one of them could not be spawned just now: the next look leaves this one out
                after = [handles[need] for need in task.after]
                try:
                    given = task_input(task, course.ended)
                    handles[task.id] = await ctx.spawn(task.agent, given, name=task.id, budget=budget, after=after)
                    course.begun.append(task.id)
                except AosCallError as error:
                    course.refused(task, error)
        elif waiting := course.waiting:
            asked = [handles[name] for name in waiting]
            course.learn(waiting, await ctx.gather(asked, join=course.join, return_exceptions=True))
        else:
            return course.ends()


def run_plan_blocking(ctx: Context, plan: Plan, *, budget: object = None) -> dict[str, TaskEnd]:
    """Do what `run_plan` does, for a synchronous function."""
    course, handles = _Course(plan), dict[str, Spawned]()
    while True:
        if ready := course.ready():
            for task in ready:
                if any(need not in handles for need in task.after):
                    continue  # as above
                after = [handles[need] for need in task.after]
                try:
                    given = task_input(task, course.ended)
                    handles[task.id] = ctx.spawn(task.agent, given, name=task.id, budget=budget, after=after)
                    course.begun.append(task.id)
                except AosCallError as error:
                    course.refused(task, error)
        elif waiting := course.waiting:
            asked = [handles[name] for name in waiting]
            course.learn(waiting, ctx.gather(asked, join=course.join, return_exceptions=True))
        else:
            return course.ends()
