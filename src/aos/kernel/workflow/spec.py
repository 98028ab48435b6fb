"""A workflow as it is declared and stored: its tasks, what each waits for, and the templates of inputs and outputs.

Field names are those of the manifest. What `workflow_spec` writes is read back by `workflow_from`; an unknown field is
refused, one that is missing takes its default, so that an added field keeps old versions readable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from aos.kernel.json import Json


@dataclass(frozen=True, slots=True)
class RetrySpec:
    """How often a task is attempted, the first included, and how long is waited between."""

    attempts: int = 1
    backoff_seconds: float = 1.0
    max_backoff_seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """One task of a workflow. `input` may hold `${...}`; `for_each` is one `${...}` that yields a list.

    `after` names tasks whose success is needed; references in templates imply it and need not be written.
    """

    name: str
    agent: str
    input: Json = None
    after: tuple[str, ...] = ()
    for_each: str | None = None
    retry: RetrySpec = RetrySpec()
    timeout_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class WorkflowSpec:
    """A workflow: its tasks, its input's JSON Schema, and the template of what it returns.

    Without `output` a run returns what its only last task returns, and null where several tasks come last.
    """

    name: str
    tasks: tuple[TaskSpec, ...]
    input: Json = None
    output: Json = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class TaskWork:
    """What one task's row keeps of its declaration; `reads` are the tasks whose outputs its templates name.

    `reads_input` says that a template names the run's input. `action_id` is the act that spawned it, where one did.
    """

    agent: str
    input: Json = None
    reads: tuple[str, ...] = ()
    reads_input: bool = False
    for_each: str | None = None
    retry: RetrySpec = RetrySpec()
    timeout_seconds: float | None = None
    action_id: str | None = None


def workflow_spec(workflow: WorkflowSpec) -> dict[str, Any]:
    """Return the JSON that is stored as one immutable version of a workflow."""
    plain: dict[str, Any] = msgspec.to_builtins(workflow)
    return plain


def workflow_from(spec: Mapping[str, Any]) -> WorkflowSpec:
    """Return the workflow of a version's spec."""
    return WorkflowSpec(**{**spec, "tasks": tuple(_task_from(task) for task in spec["tasks"])})


def _task_from(spec: Mapping[str, Any]) -> TaskSpec:
    return TaskSpec(**{**spec, "after": tuple(spec.get("after", ())), "retry": RetrySpec(**spec.get("retry", {}))})


_EMPTY = msgspec.to_builtins(TaskWork(agent=""))


def work_spec(work: TaskWork) -> dict[str, Any]:
    """Return the JSON that a task's row holds; fields at their defaults are left out, since a run may have 100,000 rows."""
    plain: dict[str, Any] = msgspec.to_builtins(work)
    return {name: value for name, value in plain.items() if value != _EMPTY[name]}


def work_from(spec: Mapping[str, Any]) -> TaskWork:
    """Return what a task's row keeps of its declaration."""
    return TaskWork(**{**spec, "reads": tuple(spec.get("reads", ())), "retry": RetrySpec(**spec.get("retry", {}))})
