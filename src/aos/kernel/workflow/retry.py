"""Whether a failed task is attempted again, and how long it waits for that: exponential, bounded, with a jitter that is the same each time asked."""

from __future__ import annotations

import hashlib
from uuid import UUID

from aos.kernel.workflow.spec import RetrySpec

JITTER = 0.25
"""The share of a wait that varies, so that tasks which failed together do not come back together."""


def backoff_seconds(retry: RetrySpec, attempt: int, *, task_id: UUID) -> float:
    """Return the wait in seconds after `attempt` (from 1) failed: doubled each time, up to the maximum, less the jitter.

    The jitter follows from task and attempt alone, so that a decision made again is the same decision.
    """
    if attempt < 1:
        raise ValueError(f"attempts count from 1, not from {attempt}")
    doublings = min(attempt - 1, 62)
    full: float = min(retry.backoff_seconds * 2.0**doublings, retry.max_backoff_seconds)
    seed = hashlib.sha256(task_id.bytes + attempt.to_bytes(8, "big")).digest()
    share = int.from_bytes(seed[:8], "big") / 2**64
    return full * (1 - JITTER * share)


def is_retried(retry: RetrySpec, code: str, error_class: str = "") -> bool:
    """Say whether a failure may be followed by another attempt: by its code, or by the name of the exception's class.

    `never` is stronger than `on`; an empty `on` stands for every failure.
    """
    names = {code, error_class, error_class.rpartition(".")[2]} - {""}
    if names & set(retry.never):
        return False
    return not retry.on or bool(names & set(retry.on))
