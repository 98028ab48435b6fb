"""What an agent author imports: a context with tool, spawn, gather, report and step, and the errors they raise."""

from aos_sdk.context import AsyncContext, AsyncSpawned, Context, Spawned
from aos_sdk.errors import (
    AosCallError,
    BudgetSpent,
    ChildFailed,
    Denied,
    InvalidCall,
    OutcomeUnknown,
    Refused,
    StepFailed,
    ToolFailed,
    Unavailable,
)

__all__ = [
    "AosCallError",
    "AsyncContext",
    "AsyncSpawned",
    "BudgetSpent",
    "ChildFailed",
    "Context",
    "Denied",
    "InvalidCall",
    "OutcomeUnknown",
    "Refused",
    "Spawned",
    "StepFailed",
    "ToolFailed",
    "Unavailable",
]
