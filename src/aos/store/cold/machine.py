"""The cold half's connection as role `machine`: the few listed statements that run before the organization is known.

Each statement is a transaction of its own and only reads; a lost connection is retried once.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Final

import psycopg
from psycopg.rows import DictRow, dict_row
from psycopg_pool import ConnectionPool, PoolTimeout

from aos.kernel.errors import AosError, Unavailable
from aos.store.hot.machine import MACHINE_STATEMENTS
from aos.store.sql_files import sql

COLD_MACHINE_CONNECTIONS_MAX: Final = 2
"""Connections as `machine` that the cold half of one process holds at most; boot adds them to the sum it checks."""
CONNECTION_WAIT_SECONDS: Final = 5.0
STATEMENT_TIMEOUT_SECONDS: Final = 5

_lock = threading.Lock()
_pools: dict[str, ConnectionPool[psycopg.Connection[DictRow]]] = {}


def configure_machine(machine_dsn: str, *, connections_max: int = COLD_MACHINE_CONNECTIONS_MAX) -> None:
    """Bind the login of role `machine`; another login than before closes what is open. Nothing connects yet."""
    with _lock:
        if machine_dsn in _pools:
            return
        _close()
        _pools[machine_dsn] = ConnectionPool(
            machine_dsn,
            min_size=0,
            max_size=connections_max,
            open=True,
            timeout=CONNECTION_WAIT_SECONDS,
            max_idle=60.0,
            name="cold-machine",
            kwargs={
                "row_factory": dict_row,
                "autocommit": True,
                "connect_timeout": 5,
                "application_name": "aos",
                "options": f"-c search_path=public -c statement_timeout={STATEMENT_TIMEOUT_SECONDS}s",
            },
        )


def disconnect_machine() -> None:
    """Close the pool; the next statement needs `configure_machine` again."""
    with _lock:
        _close()


def read_machine(name: str, params: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Run one listed statement that only reads and return its rows; raise Unavailable where the server is away."""
    if name not in MACHINE_STATEMENTS:
        raise KeyError(f"`{name}` is not a statement of the machine role")
    try:
        return _read(name, params)
    except psycopg.OperationalError:
        try:
            return _read(name, params)
        except (psycopg.OperationalError, PoolTimeout) as error:
            raise Unavailable(f"the database cannot be reached: {error}") from error
    except PoolTimeout as error:
        raise Unavailable("no connection to the database came free in time") from error


def _read(name: str, params: Mapping[str, Any]) -> list[dict[str, Any]]:
    pools = list(_pools.values())
    if not pools:
        raise AosError("the machine role is not bound: call `configure_machine` once, when the process starts")
    with pools[0].connection() as connection:
        return connection.execute(sql(name).encode(), params, prepare=True).fetchall()


def _close() -> None:
    while _pools:
        _pools.popitem()[1].close()
