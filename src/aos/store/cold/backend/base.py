"""Django's Postgres backend with a guard: a statement outside a transaction of the store's own is refused.

Django finds a backend by this module's name. Which transaction is open stands on the connection, one to a thread.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any

from django.db.backends.postgresql import base

from aos.kernel.errors import AosError


class Scope(StrEnum):
    """What the open transaction may touch: nothing, one organization's rows, or deployment tables alone."""

    CLOSED = "closed"
    TENANT = "tenant"
    DEPLOYMENT = "deployment"


class DatabaseWrapper(base.DatabaseWrapper):
    """One thread's connection; its pool is the process's."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.scope = Scope.CLOSED
        self.execute_wrappers.append(_refuse_outside)


def _refuse_outside(
    execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]
) -> Any:  # fmt: skip
    """Run the statement, or refuse it where neither `tenant(...)` nor `deployment()` has opened a transaction."""
    if context["connection"].scope is Scope.CLOSED:
        raise AosError("a statement was sent outside a transaction: open one with `tenant(...)` or `deployment()`")
    return execute(sql, params, many, context)
