"""What can be said against a workflow before its templates are compiled: names, times, joins, and who is to do what.

Each problem carries a pointer into the workflow's spec, `/tasks/3/retry/attempts`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Final

from aos.kernel.errors import FieldError
from aos.kernel.json import Json, canonical_json
from aos.kernel.limits import (
    ATTEMPTS_MAX,
    ERROR_NAMES_MAX,
    INPUT_BYTES_MAX,
    NAME_LENGTH_MAX,
    QUEUE_LENGTH_MAX,
    TASK_PRIORITY_MAX,
)
from aos.kernel.workflow.spec import JOIN_ALL, JOIN_ANY, TaskSpec, WorkflowSpec
from aos.kernel.workflow.templates import INPUT, RESERVED, expressions_of

REFERABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""Names of tasks that templates can use."""
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:[-.][A-Za-z0-9_]+)*")
_QUEUE: Final = re.compile(r"[a-z0-9][a-z0-9_-]*")
_PATH: Final = re.compile(rf"{INPUT}((?:\.[A-Za-z_][A-Za-z0-9_]*)*)")
DAY_SECONDS: Final = 86_400.0
TIMEOUT_DAYS_MAX: Final = 7
TOTAL_TIMEOUT_DAYS_MAX: Final = 366


def task_errors(
    workflow: WorkflowSpec, *, agents: Collection[str] | None = None, workflows: Collection[str] | None = None
) -> list[FieldError]:
    """Return what is wrong with the tasks of a workflow; `agents` and `workflows` are the names there are, None: any."""
    errors: list[FieldError] = []
    seen: set[str] = set()
    if not workflow.tasks:
        errors.append(FieldError("/tasks", "there are no tasks"))
    for position, task in enumerate(workflow.tasks):
        at = f"/tasks/{position}"
        errors += [FieldError(f"{at}/name", detail) for detail in _name_errors(task, seen)]
        seen.add(task.name)
        for field, detail in _field_errors(task):
            errors.append(FieldError(f"{at}/{field}", f"task `{task.name}` {detail}"))
        for field, detail in _doer_errors(task, workflow.name, agents, workflows=workflows):
            errors.append(FieldError(f"{at}/{field}", f"task `{task.name}` {detail}"))
        wrong = for_each_problem(task.for_each, workflow.input)
        if wrong:
            errors.append(FieldError(f"{at}/for_each", f"task `{task.name}`: {wrong}"))
    return errors


def for_each_problem(for_each: str | None, schema: Json) -> str | None:
    """Return why `for_each` cannot yield a list, None where it may; `schema` is that of the workflow's input.

    Only a path into the input is judged, by the type that its schema gives there: the rest is known when it runs.
    """
    expressions = list(expressions_of(for_each)) if for_each is not None else []
    found = _PATH.fullmatch(expressions[0].strip()) if len(expressions) == 1 else None
    if found is None:
        return None
    part: Json = schema
    for name in [name for name in found[1].split(".") if name]:
        properties = part.get("properties") if isinstance(part, dict) else None
        part = properties.get(name) if isinstance(properties, dict) else None
    kinds = part.get("type") if isinstance(part, dict) else None
    if kinds is None or kinds == "array" or (isinstance(kinds, list) and "array" in kinds):
        return None
    return f"`for_each: {for_each}` must be a list, and the input's schema says `{kinds}`"


def _name_errors(task: TaskSpec, seen: Collection[str]) -> Iterator[str]:
    if not _NAME.fullmatch(task.name) or len(task.name) > NAME_LENGTH_MAX:
        yield f"`{task.name[:60]}` is no name for a task: use letters, digits, _ and -"
    if task.name in RESERVED:
        yield f"`{task.name}` means something else in templates: name the task differently"
    if task.name in seen:
        yield f"two tasks are named `{task.name}`"


def _doer_errors(
    task: TaskSpec, mine: str, agents: Collection[str] | None, *, workflows: Collection[str] | None
) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with who does a task."""
    if bool(task.agent) == bool(task.workflow):
        yield "agent", "is for an `agent` or a `workflow`, one of them"
    if task.agent and agents is not None and task.agent not in agents:
        yield "agent", f"is for agent `{task.agent}`, which there is not"
    if task.fallback is not None and agents is not None and task.fallback.agent not in agents:
        yield "fallback/agent", f"falls back to agent `{task.fallback.agent}`, which there is not"
    if task.workflow == mine:
        yield "workflow", f"starts workflow `{mine}`, which it is part of"
    elif task.workflow and workflows is not None and task.workflow not in workflows:
        yield "workflow", f"starts workflow `{task.workflow}`, which there is not"
    if task.workflow and task.fallback is not None:
        yield "fallback", "is a workflow: only an agent's task has a fallback"
    if task.workflow and task.timeout_seconds is not None:
        yield "timeout_seconds", "is a workflow: bound it by `total_timeout`"


def _field_errors(task: TaskSpec) -> Iterator[tuple[str, str]]:
    retry = task.retry
    if not 1 <= retry.attempts <= ATTEMPTS_MAX:
        yield "retry/attempts", f"asks for {retry.attempts} attempts; from 1 to {ATTEMPTS_MAX} are made"
    if not all(0 <= seconds <= DAY_SECONDS for seconds in (retry.backoff_seconds, retry.max_backoff_seconds)):
        yield "retry", "waits longer between attempts than a day, or less than nothing"
    for field, names in (("on", retry.on), ("never", retry.never)):
        if len(names) > ERROR_NAMES_MAX or not all(0 < len(name) <= NAME_LENGTH_MAX for name in names):
            yield f"retry/{field}", f"names more than {ERROR_NAMES_MAX} errors, or one that has no name"
    for field, seconds, days in (
        ("timeout_seconds", task.timeout_seconds, TIMEOUT_DAYS_MAX),
        ("total_timeout_seconds", task.total_timeout_seconds, TOTAL_TIMEOUT_DAYS_MAX),
    ):
        if seconds is not None and not 0 < seconds <= days * DAY_SECONDS:
            yield field, f"has a timeout outside of 0 to {days} days"
    if isinstance(task.join, str) and task.join not in (JOIN_ALL, JOIN_ANY):
        yield "join", f"joins `{task.join}`: give `all`, `any` or `at_least`"
    if task.priority is not None and abs(task.priority) > TASK_PRIORITY_MAX:
        yield "priority", f"has priority {task.priority}; from -{TASK_PRIORITY_MAX} to {TASK_PRIORITY_MAX} are given"
    if task.queue and (not _QUEUE.fullmatch(task.queue) or len(task.queue) > QUEUE_LENGTH_MAX):
        yield "queue", f"has queue `{task.queue[:60]}`: use lower-case letters, digits, - and _"
    size = len(canonical_json(task.input)) if task.input is not None else 0
    if size > INPUT_BYTES_MAX:
        yield "input", f"has an input of {size} bytes, at most {INPUT_BYTES_MAX} are taken"
