"""What a call of an agent's function may raise: one class for each way in which it was not performed.

`Suspended` is no error: it unwinds a synchronous function that must wait. Never catch it; the pass is over, and the
function runs again from its top when what it waits for is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from aos_sdk.frames import CallError, Json

_RETRYABLE: Final = frozenset(
    ("unavailable", "rate-limited", "stale-facts", "still-running", "deadline-exceeded", "host-died")
)


class Suspended(BaseException):
    """The pass is over because a call must wait, or because the task was taken away."""


class AosCallError(Exception):
    """A call was not performed. `slug` names the problem for ever, `detail` is for people."""

    def __init__(
        self,
        detail: str,
        *,
        slug: str = "internal",
        title: str = "",
        reasons: Sequence[str] = (),
        rule: str | None = None,
        approval_id: str | None = None,
        comment: str = "",
        suggested: Json = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.slug = slug
        self.title = title
        self.reasons = tuple(reasons)
        self.rule = rule
        self.approval_id = approval_id
        self.comment = comment
        self.suggested = suggested


class InvalidCall(AosCallError):
    """The call is wrong as written (not JSON, too large, a key used twice); it never left the host."""


class Refused(AosCallError):
    """The gate refused the call; nothing was done."""


class Denied(Refused):
    """A policy denied the call, or a person did: `rule` and `reasons` say which and why."""


class BudgetSpent(Refused):
    """A budget on the way up has no room for what the call costs."""


class ToolFailed(AosCallError):
    """The tool ran and failed; the detail is its own message."""


class ModelFailed(AosCallError):
    """The model could not be asked as it was asked for, or its server failed; the detail says which."""


class Unavailable(AosCallError):
    """A part that the call needs could not be reached in time; nothing was done, and a retry may help."""


class OutcomeUnknown(AosCallError):
    """The call was sent and its outcome is not known. The same call raises this again until that is settled."""


class TimedOut(AosCallError):
    """What the call waited for did not come in time. The same wait made again waits anew."""


class StepFailed(AosCallError):
    """The function of a `step` raised; `type` is its exception's class name, the same on every pass."""

    def __init__(self, detail: str, *, step: str, type: str) -> None:
        super().__init__(detail, slug="step-failed", title="Step failed")
        self.step = step
        self.type = type


class ChildFailed(AosCallError):
    """A spawned task did not succeed. `failures` maps each failed task's id to what is known of it."""

    def __init__(self, detail: str, *, task_id: str, failures: dict[str, str]) -> None:
        super().__init__(detail, slug="child-failed", title="Spawned task failed")
        self.task_id = task_id
        self.failures = failures


class AgentStopped(Exception):
    """The agent ends its own task as failed, with `code` as the task's error: `loop-detected`, `turns-spent` ...

    A code that AOS does not know fails the task as `raised`.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


def call_failure(state: str, error: CallError | None, *, kind: str = "tool") -> AosCallError:
    """Return the exception for a call of a kind that ended `failed`, `refused` or `unknown`."""
    found = error or CallError(slug=state, detail=f"the call ended `{state}`")
    cls: type[AosCallError]
    if state == "unknown":
        cls = OutcomeUnknown
    elif found.slug == "budget-spent":
        cls = BudgetSpent
    elif found.slug == "timed-out":
        cls = TimedOut
    elif found.slug in _RETRYABLE:
        cls = Unavailable
    elif state == "refused":
        cls = Denied if found.slug == "denied" else Refused
    else:
        cls = ModelFailed if kind == "complete" else ToolFailed
    return cls(
        found.detail or found.title or found.slug,
        slug=found.slug,
        title=found.title,
        reasons=found.reasons,
        rule=found.rule,
        approval_id=found.approval_id,
        comment=found.comment,
        suggested=found.suggested,
    )
