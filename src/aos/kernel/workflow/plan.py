"""From a workflow to the tasks and edges of one run: what a workflow means is checked and decided here, once.

Tasks come out in an order that respects every edge. A reference `${match.output...}` in a template implies `after: [match]`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from aos.kernel.errors import AosError, FieldError, InvalidManifest, TooLarge
from aos.kernel.json import Json
from aos.kernel.limits import ATTEMPTS_MAX, EDGES_PER_RUN_MAX, FOR_EACH_ITEMS_MAX, NAME_LENGTH_MAX, TASKS_PER_RUN_MAX
from aos.kernel.workflow.spec import TaskSpec, TaskWork, WorkflowSpec
from aos.kernel.workflow.templates import INDEX, INPUT, ITEM, RESERVED, names_read, render, split_template

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:[-.][A-Za-z0-9_]+)*")
_REFERABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
BACKOFF_SECONDS_MAX: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class PlannedTask:
    """One task of a run to be: `after` are positions of earlier tasks in the plan."""

    name: str
    work: TaskWork
    after: tuple[int, ...]

    @property
    def is_fan(self) -> bool:
        """Say whether it runs once for each item."""
        return self.work.for_each is not None


@dataclass(frozen=True, slots=True)
class Plan:
    """Tasks in an order that respects `after`."""

    tasks: tuple[PlannedTask, ...]

    @property
    def edges(self) -> int:
        """Return how many edges the plan has."""
        return sum(len(task.after) for task in self.tasks)


def plan_workflow(workflow: WorkflowSpec) -> Plan:
    """Return the tasks and edges of a run of `workflow`.

    Raises InvalidManifest naming every task that is wrong (a name used twice, an unknown task, a template that does not
    compile, a circle) and TooLarge past the limits of a run.
    """
    if len(workflow.tasks) > TASKS_PER_RUN_MAX:
        raise TooLarge(f"workflow `{workflow.name}` has {len(workflow.tasks)} tasks, at most {TASKS_PER_RUN_MAX} run")
    errors = _name_errors(workflow)
    names = frozenset(task.name for task in workflow.tasks if _REFERABLE.fullmatch(task.name))
    completed: dict[str, tuple[TaskSpec, TaskWork]] = {}
    for position, task in enumerate(workflow.tasks):
        try:
            completed[task.name] = _completed(task, names)
        except AosError as error:
            errors.append(FieldError(f"/tasks/{position}", f"task `{task.name}`: {error.detail}"))
    errors += _unknown_errors(workflow, completed)
    try:
        names_read(workflow.output, names, also=frozenset({INPUT}))
    except AosError as error:
        errors.append(FieldError("/output", error.detail))
    if errors:
        details = "; ".join(error.detail for error in errors[:5])
        raise InvalidManifest(f"workflow `{workflow.name}`: {details}", errors=errors)
    plan = _ordered(workflow, completed)
    if plan.edges > EDGES_PER_RUN_MAX:
        raise TooLarge(f"workflow `{workflow.name}` has {plan.edges} edges, at most {EDGES_PER_RUN_MAX} are kept")
    return plan


def plan_agent(agent: str) -> Plan:
    """Return the plan of a run of one agent: a single task that gets the run's input."""
    work = TaskWork(agent=agent, input=f"${{{INPUT}}}", reads_input=True)
    return Plan((PlannedTask(agent, work, ()),))


def _name_errors(workflow: WorkflowSpec) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    if not workflow.tasks:
        errors.append(FieldError("/tasks", "there are no tasks"))
    for position, task in enumerate(workflow.tasks):
        pointer = f"/tasks/{position}/name"
        if not _NAME.fullmatch(task.name) or len(task.name) > NAME_LENGTH_MAX:
            errors.append(
                FieldError(pointer, f"`{task.name[:60]}` is no name for a task: use letters, digits, _ and -")
            )
        if task.name in RESERVED:
            errors.append(
                FieldError(pointer, f"`{task.name}` means something else in templates: name the task differently")
            )
        if task.name in seen:
            errors.append(FieldError(pointer, f"two tasks are named `{task.name}`"))
        seen.add(task.name)
        errors += _retry_errors(task, position)
    return errors


def _retry_errors(task: TaskSpec, position: int) -> list[FieldError]:
    retry, errors = task.retry, []
    if not 1 <= retry.attempts <= ATTEMPTS_MAX:
        text = f"task `{task.name}` asks for {retry.attempts} attempts; from 1 to {ATTEMPTS_MAX} are made"
        errors.append(FieldError(f"/tasks/{position}/retry/attempts", text))
    waits = (retry.backoff_seconds, retry.max_backoff_seconds)
    if not all(0 <= seconds <= BACKOFF_SECONDS_MAX for seconds in waits):
        text = f"task `{task.name}` waits longer between attempts than a day, or less than nothing"
        errors.append(FieldError(f"/tasks/{position}/retry", text))
    if task.timeout_seconds is not None and not 0 < task.timeout_seconds <= 7 * BACKOFF_SECONDS_MAX:
        text = f"task `{task.name}` has a timeout outside of 0 to 7 days"
        errors.append(FieldError(f"/tasks/{position}/timeout_seconds", text))
    return errors


def _completed(task: TaskSpec, names: frozenset[str]) -> tuple[TaskSpec, TaskWork]:
    """Return the task with what its templates imply, and what its row keeps."""
    given = frozenset({INPUT, ITEM, INDEX} if task.for_each is not None else {INPUT})
    read = names_read(task.input, names, also=given)
    if task.for_each is not None:
        pieces = split_template(task.for_each)
        if len(pieces) != 1 or not pieces[0].is_expression:
            raise InvalidManifest(f"`for_each` must be one `${{...}}` that yields a list, not `{task.for_each}`")
        read |= names_read(task.for_each, names, also=frozenset({INPUT}))
    reads = tuple(sorted(read - given))
    after = tuple(dict.fromkeys((*task.after, *reads)))
    work = TaskWork(
        agent=task.agent,
        input=task.input,
        reads=reads,
        reads_input=INPUT in read,
        for_each=task.for_each,
        retry=task.retry,
        timeout_seconds=task.timeout_seconds,
    )
    return replace(task, after=after), work


def _unknown_errors(workflow: WorkflowSpec, completed: Mapping[str, tuple[TaskSpec, TaskWork]]) -> list[FieldError]:
    known = {task.name for task in workflow.tasks}
    errors = []
    for position, task in enumerate(workflow.tasks):
        for name in completed[task.name][0].after if task.name in completed else task.after:
            if name == task.name:
                errors.append(FieldError(f"/tasks/{position}/after", f"task `{name}` waits for itself"))
            elif name not in known:
                text = f"task `{task.name}` waits for `{name}`, which is no task of this workflow"
                errors.append(FieldError(f"/tasks/{position}/after", text))
    return errors


def _ordered(workflow: WorkflowSpec, completed: Mapping[str, tuple[TaskSpec, TaskWork]]) -> Plan:
    """Return the tasks sorted so that each comes after what it waits for; raise InvalidManifest for a circle."""
    open_sources = {name: len(task.after) for name, (task, _) in completed.items()}
    followers: dict[str, list[str]] = {name: [] for name in completed}
    for name, (task, _) in completed.items():
        for source in task.after:
            followers[source].append(name)
    queue = [name for name, count in open_sources.items() if count == 0]
    order: dict[str, int] = {}
    for name in queue:
        order[name] = len(order)
        for follower in followers[name]:
            open_sources[follower] -= 1
            if open_sources[follower] == 0:
                queue.append(follower)
    if len(order) != len(completed):
        circle = ", ".join(f"`{name}`" for name in completed if name not in order)
        raise InvalidManifest(f"workflow `{workflow.name}`: these tasks wait for each other in a circle: {circle}")
    return Plan(
        tuple(
            PlannedTask(name, completed[name][1], tuple(order[source] for source in completed[name][0].after))
            for name in order
        )
    )


def expand_fan(work: TaskWork, values: Mapping[str, Json]) -> list[Json]:
    """Return the input of each child of a `for_each` task, in order.

    Raises InvalidManifest where `for_each` yields no list, TooLarge past FOR_EACH_ITEMS_MAX, InvalidCondition where a
    template has no value.
    """
    items = render(work.for_each, values)
    if not isinstance(items, list):
        raise InvalidManifest(f"`for_each: {work.for_each}` yields {type(items).__name__}, not a list")
    if len(items) > FOR_EACH_ITEMS_MAX:
        raise TooLarge(f"`for_each: {work.for_each}` yields {len(items)} items, at most {FOR_EACH_ITEMS_MAX} run")
    return [render(work.input, {**values, ITEM: item, INDEX: index}) for index, item in enumerate(items)]


def child_work(work: TaskWork) -> TaskWork:
    """Return what the row of a fan's child keeps: its input is rendered already."""
    return replace(work, input=None, reads=(), reads_input=False, for_each=None)
