"""From a workflow to the tasks and edges of one run: what a workflow means is checked and decided here, once.

Tasks come out in an order that respects every edge. A reference `${match.output...}` in a template implies `after: [match]`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from aos.kernel.errors import AosError, FieldError, InvalidManifest, TooLarge
from aos.kernel.json import Json
from aos.kernel.limits import EDGES_PER_RUN_MAX, FOR_EACH_ITEMS_MAX, TASKS_PER_RUN_MAX
from aos.kernel.workflow.checks import REFERABLE, task_errors
from aos.kernel.workflow.spec import JOIN_ANY, AtLeast, OnFailure, TaskSpec, TaskWork, WorkflowSpec
from aos.kernel.workflow.templates import INDEX, INPUT, ITEM, names_read, render, split_template


@dataclass(frozen=True, slots=True)
class PlannedTask:
    """One task of a run to be: `after` are positions of earlier tasks in the plan.

    `needs` is how many of those must succeed, None where all must.
    """

    name: str
    work: TaskWork
    after: tuple[int, ...]
    needs: int | None = None

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


def plan_workflow(
    workflow: WorkflowSpec, *, agents: Collection[str] | None = None, workflows: Collection[str] | None = None
) -> Plan:
    """Return the tasks and edges of a run of `workflow`; `agents` and `workflows` are the names there are, None: any.

    Raises InvalidManifest naming every task that is wrong (a name used twice, an unknown task, agent or workflow, a
    template that does not compile, a circle) and TooLarge past the limits of a run.
    """
    if len(workflow.tasks) > TASKS_PER_RUN_MAX:
        raise TooLarge(f"workflow `{workflow.name}` has {len(workflow.tasks)} tasks, at most {TASKS_PER_RUN_MAX} run")
    errors = task_errors(workflow, agents=agents, workflows=workflows)
    names = frozenset(task.name for task in workflow.tasks if REFERABLE.fullmatch(task.name))
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


def _completed(task: TaskSpec, names: frozenset[str]) -> tuple[TaskSpec, TaskWork]:
    """Return the task with what its templates imply, and what its row keeps."""
    given = frozenset({INPUT, ITEM, INDEX} if task.for_each is not None else {INPUT})
    read = names_read(task.input, names, also=given)
    for field, template in (("for_each", task.for_each), ("when", task.when)):
        if template is None:
            continue
        pieces = split_template(template)
        if len(pieces) != 1 or not pieces[0].is_expression:
            wanted = "yields a list" if field == "for_each" else "is true or false"
            raise InvalidManifest(f"`{field}` must be one `${{...}}` that {wanted}, not `{template}`")
        read |= names_read(template, names, also=frozenset({INPUT}))
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
        workflow=task.workflow,
        when=task.when,
        on_failure=task.on_failure,
        fallback=task.fallback.agent if task.fallback is not None else None,
        total_timeout_seconds=task.total_timeout_seconds,
        queue=task.queue,
        priority=task.priority,
    )
    return replace(task, after=after), work


def _needs(task: TaskSpec) -> int | None:
    """Return how many of the tasks before it must succeed, None where all must."""
    if isinstance(task.join, AtLeast):
        return task.join.at_least
    return 1 if task.join == JOIN_ANY else None


def _unknown_errors(workflow: WorkflowSpec, completed: Mapping[str, tuple[TaskSpec, TaskWork]]) -> list[FieldError]:
    """Return what is wrong with the tasks that each waits for, those that its templates name included."""
    known = {task.name for task in workflow.tasks}
    errors = []
    for position, task in enumerate(workflow.tasks):
        after = completed[task.name][0].after if task.name in completed else task.after
        for name in after:
            if name == task.name:
                errors.append(FieldError(f"/tasks/{position}/after", f"task `{name}` waits for itself"))
            elif name not in known:
                text = f"task `{task.name}` waits for `{name}`, which is no task of this workflow"
                errors.append(FieldError(f"/tasks/{position}/after", text))
        needs = _needs(task)
        if needs is not None and not 1 <= needs <= len(after):
            text = f"task `{task.name}` needs {needs} of the {len(after)} tasks before it"
            errors.append(FieldError(f"/tasks/{position}/join", text))
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
            PlannedTask(name, work, tuple(order[source] for source in task.after), _needs(task))
            for name in order
            for task, work in (completed[name],)
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
    """Return what the row of a fan's child keeps: its input is rendered already, and the fan answers for its failure."""
    return replace(work, input=None, reads=(), reads_input=False, for_each=None, when=None, on_failure=OnFailure.FAIL)


def is_wanted(work: TaskWork, values: Mapping[str, Json]) -> bool:
    """Say whether a task's condition holds; one without a condition is wanted.

    Raises InvalidManifest where the condition is neither true nor false, InvalidCondition where it has no value.
    """
    if work.when is None:
        return True
    holds = render(work.when, values)
    if not isinstance(holds, bool):
        raise InvalidManifest(f"`when: {work.when}` is {type(holds).__name__}, neither true nor false")
    return holds
