"""Django's connection as role `app`: a bounded pool, and the only two ways to open a transaction on it.

`tenant(organization_id)` sees and writes the rows of one organization; `deployment()` sees those of none, only the
deployment tables. No statement runs outside of them, and they do not nest: one operation, one transaction. What is
cold runs on threads; nothing here may be called from an event loop.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final
from uuid import UUID

import psycopg
from django.db import DEFAULT_DB_ALIAS, DataError, OperationalError, connections, transaction
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row
from psycopg.types.json import JsonbBinaryLoader, JsonbLoader
from psycopg_pool import PoolTimeout

from aos.kernel.errors import AosError, InvalidRequest, Unavailable
from aos.store.cold.guard import GuardedConnection, Scope
from aos.store.django_settings import database_settings, set_up_django
from aos.store.sql_files import sql

COLD_CONNECTIONS_MAX: Final = 4
"""Connections that the cold half of one process holds at most; boot adds them to the sum it checks."""
CONNECTION_WAIT_SECONDS: Final = 5.0
"""How long an operation waits for a free connection before it is answered 503."""
STATEMENT_TIMEOUT_SECONDS: Final = 30
"""No cold statement may take longer; the server cancels it."""
CONNECTION_IDLE_SECONDS: Final = 60.0
PREPARE_AFTER: Final = 5
"""Executions of a statement in one connection before the server keeps its plan."""

_log = logging.getLogger("aos.store")
_lock = threading.Lock()
_of_thread = threading.local()
_bound: list[dict[str, Any]] = []


def configure(
    app_dsn: str, *, connections_max: int = COLD_CONNECTIONS_MAX, wait_seconds: float = CONNECTION_WAIT_SECONDS
) -> None:
    """Set Django up, where nothing has yet, and bind its connection to the login of role `app`.

    No connection is made before the first transaction. Calling it again with another login binds that one instead.
    """
    set_up_django()
    given = conninfo_to_dict(app_dsn).get("options") or ""
    options = {
        "pool": {
            "min_size": 0,
            "max_size": connections_max,
            "timeout": wait_seconds,
            "max_idle": CONNECTION_IDLE_SECONDS,
            "name": "cold",
        },
        "prepare_threshold": PREPARE_AFTER,
        "options": f"{given} -c search_path=public -c statement_timeout={STATEMENT_TIMEOUT_SECONDS}s".strip(),
    }
    bound = database_settings(app_dsn, options=options)
    with _lock:
        if _bound != [bound]:
            _close_pool()
            _bound[:] = [bound]


def disconnect() -> None:
    """Close the pool; the next transaction needs `configure` again."""
    with _lock:
        _close_pool()
        _bound.clear()


@contextmanager
def tenant(organization_id: UUID) -> Iterator[None]:
    """Open a transaction that sees and writes the rows of one organization; commit at the end, roll back on an error.

    Raises Unavailable where the server cannot be reached or no connection comes free in time, InvalidRequest for a value
    that no column holds: who checks what enters leaves none, and this is the last word.
    """
    with _open(Scope.TENANT) as connection, connection.cursor() as cursor:
        cursor.execute(sql("set_organization"), {"organization_id": organization_id})
        yield


@contextmanager
def deployment() -> Iterator[None]:
    """Open a transaction on the deployment tables; every tenant table is empty in it and refuses to be written.

    Raises Unavailable where the server cannot be reached or no connection comes free in time.
    """
    with _open(Scope.DEPLOYMENT):
        yield


def run_sql(name: str, params: Mapping[str, Any] | Sequence[Any] | None = None) -> list[dict[str, Any]]:
    """Run the statement `sql/<name>.sql` in the open transaction and return its rows, by column.

    Parameters are bound by the server and values come back as psycopg gives them, exactly as in the hot half: Django's
    own conversions play no part. A statement that returns no rows answers an empty list.
    """
    connection = _connection()
    if connection.scope is Scope.CLOSED:
        raise AosError(f"statement `{name}` was run outside a transaction: open one with `tenant(...)`")
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection, row_factory=dict_row) as cursor:
        for kind in ("json", "jsonb"):
            cursor.adapters.register_loader(kind, JsonbLoader)
            cursor.adapters.register_loader(kind, JsonbBinaryLoader)
        cursor.execute(sql(name).encode(), params)
        return cursor.fetchall() if cursor.description else []


@contextmanager
def _open(scope: Scope) -> Iterator[GuardedConnection]:
    connection = _connection()
    if connection.scope is not Scope.CLOSED:
        raise AosError(f"a `{connection.scope}` transaction is already open: an operation is one transaction")
    connection.scope = scope
    try:
        with transaction.atomic(durable=True):
            yield connection
    except (DataError, psycopg.DataError, UnicodeEncodeError) as error:
        _log.warning("a value that no column holds reached a statement", exc_info=error)
        told = "a value is none that can be kept (a NUL, or a number or time out of range); nothing was done"
        raise InvalidRequest(told) from error
    except (OperationalError, PoolTimeout, psycopg.OperationalError) as error:
        raise Unavailable(f"the database did not answer: {error}") from error
    finally:
        connection.scope = Scope.CLOSED
        connection.close()


def _connection() -> GuardedConnection:
    """Return the calling thread's connection, made anew where another login was bound since."""
    if not _bound:
        raise AosError("the database is not bound: call `configure` once, when the process starts")
    found = getattr(_of_thread, "connection", None)
    if not isinstance(found, GuardedConnection) or found.settings_dict is not _bound[0]:
        found = GuardedConnection(_bound[0])
        _of_thread.connection = found
        connections[DEFAULT_DB_ALIAS] = found
    return found


def _close_pool() -> None:
    if _bound:
        GuardedConnection(_bound[0]).close_pool()
