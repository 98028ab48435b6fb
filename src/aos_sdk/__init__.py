"""What an agent author imports: a context with tool, spawn, gather, sleep, wait_for_signal, report and step, and the errors
that they raise."""

from aos_sdk.context import AsyncContext, AsyncSpawned, Context, Spawned
from aos_sdk.errors import (
    AgentStopped,
    AosCallError,
    BudgetSpent,
    ChildFailed,
    Denied,
    InvalidCall,
    ModelFailed,
    OutcomeUnknown,
    Refused,
    StepFailed,
    TimedOut,
    ToolFailed,
    Unavailable,
)
from aos_sdk.shapes import UNFINISHED, Unfinished

__all__ = [
    "UNFINISHED",
    "AgentStopped",
    "AosCallError",
    "AsyncContext",
    "AsyncSpawned",
    "BudgetSpent",
    "ChildFailed",
    "Context",
    "Denied",
    "InvalidCall",
    "ModelFailed",
    "OutcomeUnknown",
    "Refused",
    "Spawned",
    "StepFailed",
    "TimedOut",
    "ToolFailed",
    "Unavailable",
    "Unfinished",
]
