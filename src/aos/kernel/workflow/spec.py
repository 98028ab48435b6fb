"""A workflow as it is declared and stored: its tasks, what each waits for, and the templates of inputs and outputs.

Field names are those of the manifest. What `workflow_spec` writes is read back by `workflow_from`; an unknown field is
refused, one that is missing takes its default, so that an added field keeps old versions readable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeAlias

import msgspec

from aos.kernel.json import Json


class OnFailure(StrEnum):
    """What the failure of a task does to its run: ends it as failed, is passed over, or has what was done undone."""

    FAIL = "fail"
    CONTINUE = "continue"
    COMPENSATE = "compensate"


@dataclass(frozen=True, slots=True)
class RetrySpec:
    """How often a task is attempted, the first included, and how long is waited between.

    `on` names the only errors after which it is attempted again (none: any), `never` those after which it is not: by
    the error's code, as `timed-out`, or by the name of the exception's class, as `ConnectionError`.
    """

    attempts: int = 1
    backoff_seconds: float = 1.0
    max_backoff_seconds: float = 60.0
    on: tuple[str, ...] = ()
    never: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FallbackSpec:
    """Who has a task after its last attempt failed: another agent, with as many attempts again."""

    agent: str


@dataclass(frozen=True, slots=True)
class AtLeast:
    """A join that needs so many of the tasks before it."""

    at_least: int


Join: TypeAlias = str | AtLeast

JOIN_ALL: Final = "all"
JOIN_ANY: Final = "any"


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """One task of a workflow: for an agent, or a run of another workflow. `for_each` is one `${...}` that yields a list.

    `after` names tasks that must come first; references in templates imply it and need not be written. `join` says how
    many of them must succeed. `when` is one `${...}` that says whether the task is done at all. `timeout_seconds` bounds
    one attempt, `total_timeout_seconds` all of them with the waits between. `input` may hold `${...}`.
    """

    name: str
    agent: str = ""
    input: Json = None
    after: tuple[str, ...] = ()
    for_each: str | None = None
    retry: RetrySpec = RetrySpec()
    timeout_seconds: float | None = None
    workflow: str = ""
    when: str | None = None
    join: Join = JOIN_ALL
    on_failure: OnFailure = OnFailure.FAIL
    fallback: FallbackSpec | None = None
    total_timeout_seconds: float | None = None
    queue: str = ""
    priority: int | None = None


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

    agent: str = ""
    input: Json = None
    reads: tuple[str, ...] = ()
    reads_input: bool = False
    for_each: str | None = None
    retry: RetrySpec = RetrySpec()
    timeout_seconds: float | None = None
    action_id: str | None = None
    workflow: str = ""
    when: str | None = None
    on_failure: OnFailure = OnFailure.FAIL
    fallback: str | None = None
    total_timeout_seconds: float | None = None
    queue: str = ""
    priority: int | None = None


def workflow_spec(workflow: WorkflowSpec) -> dict[str, Any]:
    """Return the JSON that is stored as one immutable version of a workflow."""
    plain: dict[str, Any] = msgspec.to_builtins(workflow)
    return plain


def workflow_from(spec: Mapping[str, Any]) -> WorkflowSpec:
    """Return the workflow of a version's spec."""
    return WorkflowSpec(**{**spec, "tasks": tuple(_task_from(task) for task in spec["tasks"])})


def _task_from(spec: Mapping[str, Any]) -> TaskSpec:
    join, fallback = spec.get("join", JOIN_ALL), spec.get("fallback")
    return TaskSpec(
        **{
            **spec,
            "after": tuple(spec.get("after", ())),
            "retry": _retry_from(spec),
            "join": join if isinstance(join, str) else AtLeast(**join),
            "on_failure": OnFailure(spec.get("on_failure", OnFailure.FAIL)),
            "fallback": None if fallback is None else FallbackSpec(**fallback),
        }
    )


def _retry_from(spec: Mapping[str, Any]) -> RetrySpec:
    found = spec.get("retry")
    if not found:
        return _RETRY
    return RetrySpec(**{**found, "on": tuple(found.get("on", ())), "never": tuple(found.get("never", ()))})


_RETRY: Final = RetrySpec()
_EMPTY = msgspec.to_builtins(TaskWork())


def work_spec(work: TaskWork) -> dict[str, Any]:
    """Return the JSON that a task's row holds; fields at their defaults are left out, since a run may have 100,000 rows."""
    plain: dict[str, Any] = msgspec.to_builtins(work)
    return {name: value for name, value in plain.items() if value != _EMPTY[name]}


def work_from(spec: Mapping[str, Any]) -> TaskWork:
    """Return what a task's row keeps of its declaration."""
    return TaskWork(
        **{
            **spec,
            "reads": tuple(spec.get("reads", ())),
            "retry": _retry_from(spec),
            "on_failure": OnFailure(spec.get("on_failure", OnFailure.FAIL)),
        }
    )
