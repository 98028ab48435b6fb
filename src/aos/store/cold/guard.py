"""Django's Postgres connection with a guard: a statement outside a transaction of the store's own is refused.

Which transaction is open stands on the connection, one to a thread; the pool beneath is the process's.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any

from django.db import DEFAULT_DB_ALIAS
from django.db.backends.postgresql.base import DatabaseWrapper

from aos.kernel.errors import AosError


class Scope(StrEnum):
    """What the open transaction may touch: nothing, one organization's rows, or the deployment tables alone."""

    CLOSED = "closed"
    TENANT = "tenant"
    DEPLOYMENT = "deployment"


class GuardedConnection(DatabaseWrapper):
    """One thread's connection."""

    def __init__(self, settings: dict[str, Any]) -> None:
        super().__init__(settings, DEFAULT_DB_ALIAS)
        self.scope = Scope.CLOSED
        self.execute_wrappers.append(_refuse_outside)


def _refuse_outside(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """Run the statement, or refuse it where neither `tenant(...)` nor `deployment()` has opened a transaction."""
    connection = context["connection"]
    if connection.scope is Scope.CLOSED:
        raise AosError("a statement was sent outside a transaction: open one with `tenant(...)` or `deployment()`")
    return execute(sql, params, many, context)
