"""What a run, or a task that stands for several, comes to when everything below it has ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aos.kernel.errors import Conflict
from aos.kernel.workflow.states import FINAL, RunState, TaskState


@dataclass(frozen=True, slots=True)
class EndedTask:
    """One task that has ended, as what stands above it sees it.

    `tolerated` says that it did not succeed and that this is all right: it was left out by its condition, or the run goes
    on without it.
    """

    label: str
    state: TaskState
    error_code: str | None = None
    tolerated: bool = False


def run_outcome(tasks: Sequence[EndedTask]) -> tuple[RunState, str | None]:
    """Return the state of a run whose tasks have all ended, and the error of the first task that failed.

    Only tasks of the workflow itself are given: of items and spawned children their parents have decided. Succeeded when
    all succeeded or are tolerated, cancelled when one was, else failed. Raises Conflict where a task is still open.
    """
    still_open = [task.label for task in tasks if task.state not in FINAL]
    if still_open:
        raise Conflict(f"task `{still_open[0]}` has not ended")
    if any(task.state is TaskState.CANCELLED for task in tasks):
        return RunState.CANCELLED, None
    lost = [task for task in tasks if not task.tolerated]
    failed = next((task for task in lost if task.state is TaskState.FAILED), None)
    if failed is not None:
        return RunState.FAILED, failed.error_code
    if any(task.state is TaskState.SKIPPED for task in lost):
        return RunState.FAILED, "skipped"
    return RunState.SUCCEEDED, None


def fan_failure(children: Sequence[EndedTask]) -> str | None:
    """Return why a `for_each` task fails, None where every item succeeded."""
    failed = [child for child in children if child.state is not TaskState.SUCCEEDED]
    if not failed:
        return None
    named = ", ".join(f"`{child.label}` ({child.error_code or child.state})" for child in failed[:5])
    more = f" and {len(failed) - 5} more" if len(failed) > 5 else ""
    return f"{len(failed)} of {len(children)} items did not succeed: {named}{more}"
