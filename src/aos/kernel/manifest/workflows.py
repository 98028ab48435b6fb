"""Reads a workflow: its tasks in an order that can be run, with the waits that `${...}` references imply."""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter

from aos.kernel.errors import AosError
from aos.kernel.json import Json
from aos.kernel.json_text import suggest
from aos.kernel.limits import TASKS_PER_RUN_MAX
from aos.kernel.manifest.parts import Part, read_arguments_schema
from aos.kernel.manifest.templates import roots_of, texts_in
from aos.kernel.manifest.values import RetrySpec, TaskSpec, WorkflowSpec
from aos.kernel.schema import pointer
from aos.kernel.workflow.checks import task_errors
from aos.kernel.workflow.spec import JOIN_ALL, JOIN_ANY, AtLeast, FallbackSpec, Join, OnFailure
from aos.kernel.workflow.templates import INDEX, INPUT, ITEM, RESERVED, names_read, split_template


def read_workflow(name: str, part: Part) -> WorkflowSpec:
    """Read one workflow; what is wrong with its references and its order is noted in `part`."""
    tasks = dict(part.subs("tasks"))
    if len(tasks) > TASKS_PER_RUN_MAX:
        part.note("tasks", f"a workflow has at most {TASKS_PER_RUN_MAX} tasks, not {len(tasks)}")
    for task in RESERVED & tasks.keys():
        part.sub("tasks").note(task, f"a task cannot be called `{task}`: expressions use that name")
    read = {task: _read_task(task, each, tasks) for task, each in tasks.items()}
    output = part.fields.get("output")
    _referred(part, "output", output, tasks, has_item=False)
    workflow = WorkflowSpec(
        name=name,
        tasks=_in_order(read, part),
        input=read_arguments_schema(part, "input") if "input" in part.fields else None,
        output=output,
        description=part.text("description"),
    )
    _check_tasks(workflow, part)
    return workflow


def _check_tasks(workflow: WorkflowSpec, part: Part) -> None:
    """Note what is wrong with the tasks themselves, where the manifest says it."""
    for error in task_errors(workflow) if workflow.tasks else ():
        _, _, position, *fields = error.pointer.split("/")
        if fields == ["name"]:
            continue  # a reserved name is noted with its reason, and keys of a map do not repeat
        at = pointer(part.sub("tasks").at, workflow.tasks[int(position)].name)
        for field in fields:
            at = pointer(at, field.removesuffix("_seconds"))
        part.note_at(at, error.detail)


def _read_task(name: str, part: Part, tasks: Mapping[str, Part]) -> TaskSpec:
    waits = list(part.texts("after"))
    for index, task in enumerate(waits):
        if task not in tasks:
            part.sub("after").note(str(index), f"no task is called `{task}`{suggest(task, tasks)}")
    for_each = part.fields.get("for_each")
    waits += _referred(part, "for_each", for_each, tasks, has_item=False)
    waits += _referred(part, "when", part.fields.get("when"), tasks, has_item=False)
    waits += _referred(part, "input", part.fields.get("input"), tasks, has_item=for_each is not None)
    if name in waits:
        part.note("", f"task `{name}` refers to itself")
    after = tuple(task for task in dict.fromkeys(waits) if task in tasks and task != name)
    return TaskSpec(
        name=name,
        agent=part.text("agent"),
        input=part.fields.get("input"),
        after=after,
        for_each=for_each if isinstance(for_each, str) else None,
        retry=_read_retry(part.sub("retry")),
        timeout_seconds=_read_timeout(part, "timeout"),
        workflow=part.text("workflow"),
        when=part.text("when") or None,
        join=_read_join(part, len(after)),
        on_failure=OnFailure(part.text("on_failure", OnFailure.FAIL)),
        fallback=FallbackSpec(part.sub("fallback").text("agent")) if "fallback" in part.fields else None,
        total_timeout_seconds=_read_timeout(part, "total_timeout"),
        queue=part.text("queue"),
        priority=_integer(part, "priority"),
    )


def _read_retry(part: Part) -> RetrySpec:
    usual = RetrySpec()
    attempts = _integer(part, "attempts")
    return RetrySpec(
        usual.attempts if attempts is None else attempts,
        part.seconds("backoff", usual.backoff_seconds),
        part.seconds("max_backoff", max(usual.max_backoff_seconds, part.seconds("backoff", 0))),
        part.texts("on"),
        part.texts("never"),
    )


def _read_timeout(part: Part, field: str) -> float | None:
    """Return a bound in seconds, None where there is none; note one of `0s`, which would bound nothing."""
    if field not in part.fields:
        return None
    seconds = part.seconds(field, 1)
    if not seconds:
        part.note(field, f"`{field}` must be longer than 0s: leave it out where nothing is bounded")
    return seconds or None


def _read_join(part: Part, sources: int) -> Join:
    """Read how many of the tasks before must succeed; note a number that there are not."""
    found = part.fields.get("join", JOIN_ALL)
    needs = found.get("at_least") if isinstance(found, dict) else 1 if found == JOIN_ANY else None
    if isinstance(needs, int) and needs > sources:
        part.note("join", f"`join` needs {needs} of the tasks before it, and there are {sources}")
    if isinstance(found, dict):
        return AtLeast(needs if isinstance(needs, int) else 1)
    return found if isinstance(found, str) else JOIN_ALL


def _integer(part: Part, field: str) -> int | None:
    found = part.fields.get(field)
    return found if isinstance(found, int) else None


def _referred(part: Part, field: str, value: Json, tasks: Mapping[str, Part], *, has_item: bool) -> list[str]:
    """Return the tasks that a field's expressions refer to, and note the names that are nothing."""
    found: list[str] = []
    for where, text in texts_in(value, pointer(part.at, field)):
        try:
            wrong = _find_wrong_names(text, tasks, has_item=has_item)
            given = RESERVED if has_item else frozenset({INPUT})
            names = frozenset[str]() if wrong else names_read(text, tasks, also=given)
        except AosError as error:
            wrong, names = [error.detail], frozenset[str]()
        found += sorted(names - RESERVED)
        for detail in wrong:
            part.note_at(where, detail)
    return found


def _find_wrong_names(text: str, tasks: Mapping[str, Part], *, has_item: bool) -> list[str]:
    """Say which names in a text's expressions are nothing, in words that say what was meant."""
    wrong: list[str] = []
    for piece in split_template(text):
        if not piece.is_expression:
            continue
        if not piece.text.strip():
            wrong.append("`${}` is empty")
        for root, has_output in roots_of(piece.text):
            if root in (ITEM, INDEX) and not has_item:
                wrong.append(f"`{root}` is known only in the input of a task with `for_each`")
            elif has_output and root not in RESERVED and root not in tasks:
                wrong.append(f"no task is called `{root}`{suggest(root, tasks)}")
    return wrong


def _in_order(tasks: Mapping[str, TaskSpec], part: Part) -> tuple[TaskSpec, ...]:
    """Return the tasks so that each stands behind those it waits for, else by name; note a cycle."""
    sorter = TopologicalSorter({name: task.after for name, task in tasks.items()})
    try:
        sorter.prepare()
    except CycleError as error:
        cycle = [str(name) for name in error.args[1]]
        part.sub("tasks").note(cycle[-1], f"task `{cycle[-1]}` waits for itself: {' -> '.join(reversed(cycle))}")
        return tuple(tasks.values())
    ordered: list[TaskSpec] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        ordered.extend(tasks[name] for name in ready)
        sorter.done(*ready)
    return tuple(ordered)
