"""Brings the schema up to date: Django's migrations, run with the owner's login, one process at a time.

The quick look that answers "nothing to do" reads file names and one table, and starts no Django.
"""

from __future__ import annotations

from pathlib import Path

import psycopg
from django.db import connections
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.migrations.executor import MigrationExecutor

from aos.kernel.errors import Misconfigured, Unavailable
from aos.store.django_settings import database_settings, set_up_django
from aos.store.sql_files import sql

OLDEST_SERVER = 15
LOCK_WAIT_SECONDS = 120

_FOLDER = Path(__file__).parent / "migrations"
_ALIAS = "owner"


def migrate(owner_dsn: str) -> tuple[str, ...]:
    """Run the migrations that the database lacks and return their names; none where it is up to date.

    Each migration is one transaction: whole or not at all. Two processes take turns, and the second finds nothing to do.
    Raises Misconfigured for a server that is too old or not in UTF-8 and for a database that a newer AOS has migrated,
    Unavailable where the server cannot be reached or another process migrates for longer than LOCK_WAIT_SECONDS.
    """
    try:
        with psycopg.connect(owner_dsn, autocommit=True, application_name="aos migrate") as connection:
            _check_server(connection)
            if not _missing(connection):
                return ()
            connection.execute(f"set lock_timeout = '{LOCK_WAIT_SECONDS}s'")
            connection.execute(sql("lock_migrations").encode())
            missing = _missing(connection)
            if missing:
                _run_django(owner_dsn)
            return missing
    except psycopg.errors.LockNotAvailable:
        raise Unavailable(f"another process has been migrating the database for {LOCK_WAIT_SECONDS} s") from None
    except psycopg.OperationalError as error:
        raise Unavailable(f"cannot reach the database that AOS_DATABASE_URL names: {error}") from error


def known_migrations() -> tuple[str, ...]:
    """Return the names of the migrations that this code has, in order."""
    return tuple(sorted(file.stem for file in _FOLDER.glob("[0-9]*.py")))


def _missing(connection: psycopg.Connection) -> tuple[str, ...]:
    """Return the migrations still to run, refusing a database that is ahead of this code."""
    try:
        applied = {row[0] for row in connection.execute(sql("list_migrations").encode())}
    except psycopg.errors.UndefinedTable:
        applied = set()
    known = known_migrations()
    newer = sorted(applied.difference(known))
    if newer:
        raise Misconfigured(
            f"the database holds migration `{newer[-1]}`, which this AOS does not know: a newer AOS has migrated it; "
            "start that version or a later one"
        )
    return tuple(name for name in known if name not in applied)


def _check_server(connection: psycopg.Connection) -> None:
    if connection.info.server_version < OLDEST_SERVER * 10_000:
        major = connection.info.server_version // 10_000
        raise Misconfigured(f"the server is Postgres {major}, AOS needs {OLDEST_SERVER} or newer")
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise Misconfigured(f"the database is encoded in `{encoding}`, AOS needs UTF8: create it with encoding 'UTF8'")


def _run_django(owner_dsn: str) -> None:
    """Run every missing migration on a connection of its own, which is closed and forgotten afterwards."""
    set_up_django()
    connection = DatabaseWrapper(database_settings(owner_dsn, options={"options": "-c search_path=public"}), _ALIAS)
    connections[_ALIAS] = connection
    try:
        executor = MigrationExecutor(connection)
        executor.migrate(executor.loader.graph.leaf_nodes())
    finally:
        connection.close()
        del connections[_ALIAS]
